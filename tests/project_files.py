"""Reading the files around the code: workflows, forms, targets of make, words of commands in texts."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
WORKFLOW = ROOT / ".github/workflows/tests.yml"
FORMS = sorted(path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
TEXTS = [
    ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md", ".github/PULL_REQUEST_TEMPLATE.md")
]
LINK = re.compile(r"\]\(([^)\s#]+)[^)]*\)")
CODE = re.compile(r"```[a-z]*\n(.*?)```|`([^`\n]+)`", re.DOTALL)


def project() -> dict[str, Any]:
    """The table ``project`` of pyproject.toml."""
    content: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return content


def workflow() -> dict[str, Any]:
    """Jobs by name."""
    content: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    return content


def commands(job: dict[str, Any]) -> list[str]:
    """What a job runs, step by step."""
    return [step["run"] for step in job["steps"] if "run" in step]


def targets(line: str) -> list[str]:
    """Targets of a ``make`` command; empty for any other command."""
    words = shlex.split(line, comments=True)
    return [word for word in words[1:] if "=" not in word] if words[:1] == ["make"] else []


def make_knows(target: str) -> bool:
    """Asks make itself; nothing is run."""
    done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False)
    return not done.returncode


def code_lines(text: str) -> Iterator[str]:
    """Lines of the blocks and words of code in Markdown."""
    for block, words in CODE.findall(text):
        yield from (block or words).splitlines()


def strings(value: Any) -> Iterator[str]:
    """All strings below a value that YAML gave."""
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from strings(inner)


def valid(schema: str, file: Path) -> tuple[bool, str]:
    """Whether a file keeps a schema of `check_jsonschema`, which ships it; and what was said."""
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return not done.returncode, done.stdout + done.stderr
