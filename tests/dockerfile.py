"""What the Dockerfile says, stage by stage; enough of its grammar for ours."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

FILE = Path(__file__).parent.parent / "Dockerfile"


@dataclass
class Stage:
    """A stage: its base image, its name, and its instructions in order."""

    base: str
    name: str
    lines: list[tuple[str, str]] = field(default_factory=list)

    def of(self, instruction: str) -> list[str]:
        """What follows an instruction, each time that it stands there."""
        return [rest for word, rest in self.lines if word == instruction]

    def words(self, instruction: str) -> list[list[str]]:
        """The same as words, without flags (``--from=build``); of JSON's form too."""
        return [_words(rest) for rest in self.of(instruction)]


def instructions(text: str) -> list[tuple[str, str]]:
    """Instruction and rest, continued lines joined, comments gone."""
    kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", "", kept)
    found = (line.strip().partition(" ") for line in joined.splitlines() if line.strip())
    return [(word.upper(), rest.strip()) for word, _, rest in found]


def stages(text: str | None = None) -> list[Stage]:
    """All stages; what stands before the first one is in none."""
    found: list[Stage] = []
    for word, rest in instructions(FILE.read_text() if text is None else text):
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(base, name))
        elif found:
            found[-1].lines.append((word, rest))
    return found


def arguments() -> dict[str, str]:
    """Build arguments and what they are by themselves."""
    found = (rest.partition("=") for word, rest in instructions(FILE.read_text()) if word == "ARG")
    return {name: value for name, _, value in found}


def _words(rest: str) -> list[str]:
    flags = re.match(r"(--\S+\s+)*", rest)
    bare = rest[flags.end() :] if flags else rest
    if bare.startswith("["):
        listed: list[str] = json.loads(bare)
        return listed
    return shlex.split(bare)
