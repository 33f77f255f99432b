"""What each step learnt from in a folder that grows: photographs that come with a later step leave it alone.

A folder's steps are lists of its photographs. One that is added for a new step may carry tags of older classes too;
those steps, and all that is built upon them, would then be other ones. So a finished run notes the photographs of its
steps, and a benchmark with more steps takes what came since for its later steps only. A photograph without a class of a
later step is new for its own step, as ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from wilss.data.findings import Finding
from wilss.digest import digest_of
from wilss.layout import whole
from wilss.outputs import whole_file
from wilss.outside import checked, read_json, require_format

if TYPE_CHECKING:
    from wilss.data.steps import StepLists

FOLDER = "learnt-from"
FORMAT = 1
MOST_BYTES = 64 << 20


class LearntFrom(BaseModel):
    """The photographs of one step when it was learnt, and how many steps the benchmark had then."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    steps: Annotated[int, Field(ge=1, le=1000)]
    ids: tuple[str, ...]


def came_since(folder: Path, lists: StepLists) -> Iterator[tuple[int, Path, frozenset[str]]]:
    """Steps to which photographs came that show a class of a step which their benchmark lacked when they were learnt.

    Args:
        folder: see `folder_of`.

    Yields:
        Step, the note that says so, and ids of the photographs. Raises FormatError for a note that cannot be read.
    """
    steps = lists.protocol.steps
    for step in range(len(steps)):
        path = folder / _name(lists, step)
        if not path.is_file():
            continue
        learnt = _read(path)
        later = {c for classes in steps[learnt.steps :] for c in classes}
        known, tags = set(learnt.ids), lists.training.tags
        came = (p for p in lists.positions(step) if later & set(tags[p]))
        if found := frozenset(lists.training.ids[p] for p in came) - known:
            yield step, path, found


def newcomers(step: int, note: Path, ids: frozenset[str]) -> Finding:
    """What people are told of a step of `came_since`."""
    seen = f"stays with what it learnt from; images that came since with a later step: {len(ids)}, first '{min(ids)}'"
    return Finding("note", "came-later", f"step {step}", seen, f"to learn from them too, delete '{note}'")


def note_lists(folder: Path, lists: StepLists, learnt: Iterable[int]) -> None:
    """Note the photographs of the steps that have been learnt; what an earlier run noted stays."""
    for step in learnt:
        path = folder / _name(lists, step)
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            note = LearntFrom(format=FORMAT, steps=len(lists.protocol.steps), ids=lists.ids(step))
            with whole_file(path, shared=True) as partial:
                partial.write_text(note.model_dump_json())


def folder_of(root: Path, data: Path) -> Path:
    """Where a store keeps the notes of a data folder."""
    return root / FOLDER / digest_of(str(whole(data)))[:12]


def _name(lists: StepLists, step: int) -> str:
    """The same step of a benchmark that has grown has the same name."""
    names = [[lists.source.classes[c - 1] for c in classes] for classes in lists.protocol.steps[: step + 1]]
    return f"step-{step}-{digest_of([names, lists.scenario])[:12]}.json"


def _read(path: Path) -> LearntFrom:
    advice = "delete it, and its step takes every photograph that is there"
    content = read_json(path, advice, MOST_BYTES)
    require_format(content, path, FORMAT)
    return checked(LearntFrom, content, path, advice)
