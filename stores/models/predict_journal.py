"""What predictions in a folder are finished: a line for each in a journal beside them, and the table made of it.

Lines are appended as images are done; what a stop leaves of a line is passed over. No torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Annotated, Any, TextIO

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from stores.models.predict_inputs import Stamp, stamp_of
from stores.models.predict_options import MASK, OVERLAY
from wilss.errors import SpecError
from wilss.escapes import csv_text
from wilss.outputs import whole_file

JOURNAL, TABLE = ".predictions.jsonl", "predictions.csv"
LINE_BYTES = 64 << 20
"""Of a line that is read: the outlines of one image take far less."""
COLUMNS = ("path", "result", "width", "height")
ODD = "backslashreplace"
"""How bytes of a file's name that are no UTF-8 stand in the table."""


def _below(name: str) -> str:
    """The name itself: of a result within the folder. Raises ValueError for one that leads out of it."""
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or ".." in path.parts or "\0" in name:
        raise ValueError("a result lies within the folder")
    return name


Below = Annotated[str, AfterValidator(_below)]


class Done(BaseModel):
    """A finished input.

    key: of model and options. place: of the input. path: as it was named. stamp: of the input. name: of its results,
    below the folder, without suffix. files: result -> its stamp. width, height, pixels (class id -> number of pixels,
    of all frames). outlines: annotations of COCO, without ids.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    place: str
    path: str
    stamp: Stamp
    name: Below
    files: dict[Below, Stamp]
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    pixels: dict[int, int]
    outlines: list[dict[str, Any]] = []


class Begun(BaseModel):
    """An input whose results are about to be written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    place: str
    begun: Below
    "name of the results"


class Journal:
    """What is known of a folder of predictions.

    entries: the last finished one of every input. begun: those that are not finished, by place.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries: dict[str, Done] = {}
        self.begun: dict[str, Begun] = {}
        self.is_there = (folder / JOURNAL).is_file()
        for entry in _lines(folder / JOURNAL) if self.is_there else ():
            self._take(entry)

    def _take(self, entry: Done | Begun) -> None:
        if isinstance(entry, Begun):
            self.begun[entry.place] = entry
        else:
            self.begun.pop(entry.place, None)
            self.entries[entry.place] = entry

    @property
    def results(self) -> list[Path]:
        """All files that the journal knows of, and those that a stop may have left."""
        begun = [entry.begun + ending for entry in self.begun.values() for ending in (MASK, OVERLAY)]
        return [self.folder / name for entry in self.entries.values() for name in entry.files] + [
            self.folder / name for name in begun
        ]

    def is_finished(self, key: str, place: str, stamp: Stamp | None) -> bool:
        """Whether an input is as it was when the same model and options finished it, and its results are there."""
        entry = self.entries.get(place)
        return (
            entry is not None
            and (entry.key, entry.stamp) == (key, stamp)
            and all((self.folder / name).exists() for name in entry.files)
        )

    def owns(self, key: str, place: str, name: str) -> bool:
        """Whether a result is what the same model and options have written for this input, and unchanged since."""
        begun = self.begun.get(place)
        if begun is not None and begun.key == key:
            return True
        entry = self.entries.get(place)
        return entry is not None and entry.key == key and entry.files.get(name) == stamp_of(self.folder / name)

    def standing(self, key: str) -> list[Done]:
        """Finished inputs of a model and its options whose results are there."""
        return [
            entry
            for entry in self.entries.values()
            if entry.key == key and all((self.folder / name).exists() for name in entry.files)
        ]


class Writing:
    """A journal and a table that are written on; both begin anew from what is known, whole.

    Args:
        classes: class id -> name, columns of the table. key: of the entries that the table has.
    """

    def __init__(self, journal: Journal, classes: Mapping[int, str], key: str) -> None:
        self.journal, self.classes, self.key = journal, classes, key
        self._open: list[TextIO] = []

    def __enter__(self) -> Writing:
        folder = self.journal.folder
        with whole_file(folder / JOURNAL) as partial, partial.open("w", encoding="utf-8") as file:
            for entry in (*self.journal.entries.values(), *self.journal.begun.values()):
                file.write(_line(entry))
        with whole_file(folder / TABLE) as partial:
            rows = (self._row(entry) for entry in self.journal.standing(self.key))
            partial.write_text(csv_text([column_names(self.classes), *rows]), encoding="utf-8", errors=ODD)
        self._open = [(folder / name).open("a", encoding="utf-8", errors=ODD) for name in (JOURNAL, TABLE)]
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for file in self._open:
            file.close()

    def begin(self, place: str, name: str) -> None:
        """Note that results are about to be written: what a stop leaves of them is this call's own."""
        self._note(Begun(key=self.key, place=place, begun=name))

    def finish(self, entry: Done) -> None:
        """Note that all results of an input are there."""
        self._note(entry)
        self._open[1].write(csv_text([self._row(entry)]))
        self._open[1].flush()

    def _note(self, entry: Done | Begun) -> None:
        self._open[0].write(_line(entry))
        self._open[0].flush()
        self.journal._take(entry)

    def _row(self, entry: Done) -> list[object]:
        total = sum(entry.pixels.values()) or 1
        shares = [f"{100 * entry.pixels.get(class_id, 0) / total:.3f}" for class_id in self.classes]
        return [entry.path, next(iter(entry.files), ""), entry.width, entry.height, *shares]


def _line(entry: BaseModel) -> str:
    """In ASCII, as a name of a file may be no text in any encoding."""
    return json.dumps(entry.model_dump()) + "\n"


def column_names(classes: Mapping[int, str]) -> list[str]:
    """Columns of the table: the share of a class in % is called as the class is."""
    return [*COLUMNS, *(f"{name} (class)" if name in COLUMNS else name for name in classes.values())]


def require_own(folder: Path, journal: Journal, names: Iterable[str], replace: bool) -> None:
    """Raise SpecError for a table that is there without a journal: it is somebody else's."""
    for name in names:
        if not replace and not journal.is_there and (folder / name).exists():
            raise SpecError(f"'{folder / name}' is there already; choose another place, or add --replace")


def _lines(path: Path) -> Iterator[Done | Begun]:
    with path.open("rb") as file:
        while line := file.readline(LINE_BYTES):
            try:
                content = json.loads(line)
                kind = Begun if isinstance(content, dict) and "begun" in content else Done
                yield kind.model_validate(content)
            except (ValueError, RecursionError, ValidationError):  # a stop cut it off, or somebody changed it
                continue
