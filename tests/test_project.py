"""Files for those who join: what they name exists, and what others read of them is valid."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import wilss.testing
from deployments.command import add_commands
from flows.cli.app import app
from tests.project_files import (
    FORMS,
    LINK,
    ROOT,
    TEXTS,
    WORKFLOW,
    code_lines,
    commands,
    make_knows,
    project,
    strings,
    targets,
    valid,
    workflow,
)

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
PYTHONS = workflow()["tests"]["strategy"]["matrix"]["python"]
PAPERS = {"FMWISS": 2023, "WILSON": 2022, "SVF": 2022, "CWT": 2021, "IPMT": 2022, "PFENet": 2020, "BAM": 2022}
HOST = re.compile(r"pypi|pythonhosted|download\.pytorch|ghcr\.io|quay\.io|docker\.io|mcr\.|nvcr\.|index-url|://", re.I)


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("vendor.github-workflows", WORKFLOW),
        ("custom.github-workflows-require-timeout", WORKFLOW),
        ("vendor.dependabot", ROOT / ".github/dependabot.yml"),
        ("vendor.github-issue-config", ROOT / ".github/ISSUE_TEMPLATE/config.yml"),
        *(("vendor.github-issue-forms", form) for form in FORMS),
        ("vendor.citation-file-format", ROOT / "CITATION.cff"),
    ],
)
def test_files_for_github_are_valid(schema: str, file: Path) -> None:
    good, told = valid(schema, file)
    assert good, told


def test_the_test_would_see_an_invalid_workflow(tmp_path: Path) -> None:
    broken = tmp_path / "tests.yml"
    broken.write_text(WORKFLOW.read_text().replace("runs-on:", "runs_on:", 1))
    assert not valid("vendor.github-workflows", broken)[0]


def test_workflows_run_targets_of_make() -> None:
    for name, job in workflow().items():
        asked = [target for line in commands(job) for target in targets(line)]
        assert asked, name
        assert len(asked) == len(commands(job)), f"{name} runs something that is no target"
        assert [target for target in asked if not make_knows(target)] == []
    assert {"test", "slow"} <= {target for line in commands(workflow()["tests"]) for target in targets(line)}
    assert not make_knows("no-such-target")


def test_every_python_that_is_allowed_is_tried() -> None:
    allowed = SpecifierSet(project()["requires-python"])
    assert all(python in allowed for python in PYTHONS)
    assert "3.10" not in allowed
    tag = "Programming Language :: Python :: 3."
    told = [line.rpartition(" ")[2] for line in project()["classifiers"] if line.startswith(tag)]
    assert set(told) <= set(PYTHONS)
    assert min(PYTHONS, key=_minor) == workflow()["lowest"]["steps"][1]["with"]["python-version"]


def _minor(python: str) -> int:
    return int(python.split(".")[1])


@pytest.mark.parametrize("extra", ["", *project()["optional-dependencies"]])
def test_every_dependency_has_a_lower_bound_and_a_reason(extra: str) -> None:
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    wanted = project()["optional-dependencies"][extra] if extra else project()["dependencies"]
    for one in wanted:
        assert any(part.operator == ">=" for part in Requirement(one).specifier), one
    needed = project()["dependencies"] if not extra else []
    for one in needed:
        (at,) = (number for number, line in enumerate(lines) if line.strip().startswith(f'"{one}"'))
        assert "#" in lines[at] or lines[at - 1].strip().startswith("#"), f"{one} has no reason"


def test_forms_ask_for_commands_that_exist() -> None:
    add_commands()
    asked = [words for form in FORMS for text in strings(yaml.safe_load(form.read_text())) for words in _asked(text)]
    assert {("--version",), ("store", "verify"), ("data", "check")} <= set(asked)
    for words in asked:
        known = app
        for word in words if words != ("--version",) else ():
            assert word in known, f"wilss {' '.join(words)}"
            known = known[word]


def _asked(text: str) -> list[tuple[str, ...]]:
    """Commands of wilss in code or behind a prompt, each with its group: ``("store", "verify")``."""
    found = re.findall(r"(?:`|\$ )wilss (--version|[a-z-]+(?: [a-z]+)?)", text)
    return [tuple(words.split()) for words in found]


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_texts_name_what_exists(text: Path) -> None:
    content = text.read_text()
    for link in LINK.findall(content):
        assert link.startswith("https://") or (text.parent / link).exists(), link
    for line in code_lines(content):
        assert [target for target in targets(line) if not make_knows(target)] == [], line
        for path in re.findall(r"(?:^|(?<=\s))((?:tests|docs|wilss|examples|\.github)/[\w./-]*)", line):
            assert (ROOT / path).exists(), path


def test_contributing_tells_what_a_newcomer_needs() -> None:
    for word in (
        "make setup",
        "make test",
        "make lowest",
        "python -m tests.golden.make",
        "CHANGELOG.md",
        "twine upload",
    ):
        assert word in CONTRIBUTING
    for suite in wilss.testing.__all__:
        assert f"`{suite}`" in CONTRIBUTING, suite
    for register in ("method", "head", "scorer", "grouper", "family"):
        assert f"register_{register}" in CONTRIBUTING
        assert hasattr(wilss, f"register_{register}")
    for module in re.findall(r"python -m (tests[\w.]*)", CONTRIBUTING):
        assert (ROOT / module.replace(".", "/")).with_suffix(".py").is_file(), module


@pytest.mark.slow
def test_contributing_has_a_contract_test_that_runs(tmp_path: Path) -> None:
    """The example's code, beside the example's method under the name that the text gives it."""
    (code,) = re.findall(r"```python\n(.*?)```", CONTRIBUTING, re.DOTALL)
    (tmp_path / "test_mine.py").write_text(code)
    (tmp_path / "keep_old.py").write_text((ROOT / "examples/own_method.py").read_text())
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stdout
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 5


def test_hooks_are_the_checks_of_make_test() -> None:
    config = ROOT / ".pre-commit-config.yaml"
    words = [sys.executable, "-m", "pre_commit", "validate-config", str(config)]
    assert not subprocess.run(words, check=False).returncode
    hooks = {hook["id"]: hook for repo in yaml.safe_load(config.read_text())["repos"] for hook in repo["hooks"]}
    assert {"ruff", "ruff-format", "mypy"} <= set(hooks)
    checks = subprocess.run(["make", "-n", "test"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for hook in hooks.values():
        program = hook["entry"].split()[0]
        assert program in checks, f"{hook['id']} runs {program}, make test does not"


def test_the_citation_is_of_this_version_and_names_the_papers() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["version"] == project()["version"]
    assert cited["license"] == project()["license"]
    assert [author["name"] for author in cited["authors"]] == [author["name"] for author in project()["authors"]]
    assert {one["abbreviation"]: one["year"] for one in cited["references"]} == PAPERS
    assert f"## {cited['version']} " in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize(
    "file",
    [
        "Makefile",
        "Dockerfile",
        "pyproject.toml",
        ".pre-commit-config.yaml",
        ".devcontainer/devcontainer.json",
        WORKFLOW,
    ],
)
def test_no_file_names_the_host_of_a_registry(file: str | Path) -> None:
    assert HOST.findall((ROOT / file).read_text()) == []


def test_the_container_for_editors_sets_up_what_make_does() -> None:
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    folder = ROOT / ".devcontainer"
    dockerfile = (folder / container["build"]["dockerfile"]).resolve()
    assert (folder / container["build"]["context"]).resolve() == ROOT
    assert f" AS {container['build']['target']}\n" in dockerfile.read_text()
    assert [target for target in targets(container["postCreateCommand"]) if not make_knows(target)] == []
    assert f"--shell /bin/bash {container['remoteUser']}\n" in dockerfile.read_text()


@pytest.mark.slow
def test_tests_have_the_same_names_whenever_they_are_collected() -> None:
    """Else those that share a run between processes do not know each other's: no time, no order of a set in a name."""
    names = []
    for seed in ("1", "2"):
        words = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-o", "addopts=", "-p", "no:cacheprovider"]
        done = subprocess.run(
            words, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        )
        names.append([line for line in done.stdout.splitlines() if "::" in line])
    assert len(names[0]) > 4000
    assert names[0] == names[1]
