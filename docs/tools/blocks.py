"""Blocks of code of pages, and the commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path

FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,})(?P<language>[\w+-]*)\s*$")
INDENTED = re.compile(r"^(?: {4,}|\t)(?=wilss )")
OPTIONAL = re.compile(r"\[(?=[-A-Z])([^\[\]]*)\]")
SEPARATORS = {"&&", "||", ";", "&", "|", ">", ">>"}
READERS = {"tee", "less", "head", "tail", "grep", "jq", "wc", "sort", "cat"}
"""Programs that stand after a bar."""
VARIABLE = re.compile(r"[A-Z_]+=.*")


@dataclass(frozen=True)
class Block:
    """A block of code. line: its first line, 1 is the page's first. language: as the fence says; "" if it says none."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}, line {self.line}"


def blocks_of(text: str, page: str = "page") -> Iterator[Block]:
    """Blocks between fences, and commands of ``wilss`` that are indented by four spaces, in order."""
    lines = iter(enumerate(text.splitlines(), start=1))
    for number, line in lines:
        if found := FENCE.match(line):
            yield Block(page, number + 1, found["language"], _fenced(lines, found["fence"], len(found["indent"])))
        elif INDENTED.match(line):
            yield Block(page, number, "sh", line.strip())


def _fenced(lines: Iterator[tuple[int, str]], fence: str, indent: int) -> str:
    inside = []
    for _, line in lines:
        if line.strip() == fence:
            return "\n".join(inside)
        inside.append(line[indent:] if not line[:indent].strip() else line)
    raise ValueError(f"a block of code that begins with {fence} has no end")


def page_blocks(path: Path, root: Path) -> list[Block]:
    """Blocks of a file, which is called by its path from the root."""
    return list(blocks_of(path.read_text(), str(path.relative_to(root))))


def commands_of(text: str) -> Iterator[list[str]]:
    """Words of every command of ``wilss`` in a block of shell, without ``wilss`` itself.

    What stands in brackets is optional and taken as given, and ``NAME=value`` before a command is none of its words.
    ``wilss store verify | repair`` are two commands of one group, as long as what follows the bar is no program that
    reads.
    """
    for line in text.replace("\\\n", " ").splitlines():
        first: list[str] = []
        for before, part in _split(shlex.split(OPTIONAL.sub(r"\1", line), comments=True)):
            words = list(dropwhile(VARIABLE.fullmatch, part))
            if words[:1] == ["wilss"]:
                first = words[1:]
                if first and not first[0].endswith(":"):  # "wilss serve: ..." is what a command printed
                    yield first
            elif before == "|" and first and words and words[0] not in READERS:
                yield [first[0], *words]


def _split(words: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Commands of a line, and what stands before each."""
    before, part = "", list[str]()
    for word in words:
        if word in SEPARATORS:
            yield before, part
            before, part = word, []
        else:
            part.append(word)
    yield before, part
