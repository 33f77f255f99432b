"""Records of runs and comparisons of a root, read again only where they changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from deployments.inspector.marks import Mark, mark_of
from stores.inventory import lost_reports, read_report
from stores.run_list import RunLine, run_lines
from wilss.errors import ArtefactNotFoundError, DamagedArtefactError, FormatError
from wilss.report.fewshot_records import FewShotComparisonReport, FewShotReport
from wilss.report.records import ComparisonReport, Made, Record, RunReport

FOLDERS = {"runs": "report.json", "fewshot": "fewshot.json", "comparisons": "compare.json"}
"""Of reports -> the name of the record in each of them."""


@dataclass(frozen=True)
class Stored:
    """A record and where it lies. name: of its folder, as addresses have it. written: seconds since the epoch."""

    path: Path
    record: Record
    written: float

    @property
    def name(self) -> str:
        """See the class."""
        return name_of(self.path)


def name_of(path: Path) -> str:
    """The name of a record's folder; bytes that are no UTF-8 are replaced, as a browser sends them."""
    return os.fsencode(path.parent.name).decode("utf-8", "replace")


@dataclass
class Reports:
    """All records of a root by their file. faults: file -> what is wrong with it.

    Both are replaced as a whole, never changed: other threads may go through them meanwhile.
    """

    root: Path
    stored: dict[Path, Stored] = field(default_factory=dict)
    faults: dict[Path, FormatError] = field(default_factory=dict)
    lost: list[DamagedArtefactError] = field(default_factory=list)
    _lines: dict[type[Record], list[tuple[Stored, RunLine]]] = field(default_factory=dict, repr=False)
    _marks: dict[Path, Mark] = field(default_factory=dict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def refresh(self) -> Reports:
        """Read what is new or changed, and forget what is gone."""
        with self._lock:
            there = dict(_records(self.root))
            if there != self._marks:
                self._follow(there)
            self.lost = [*lost_reports(self.root)]
        return self

    def _follow(self, there: dict[Path, Mark]) -> None:
        stored, faults = dict(self.stored), dict(self.faults)
        for path in self._marks:
            if self._marks[path] != there.get(path):
                stored.pop(path, None)
                faults.pop(path, None)
        for path, mark in there.items():
            if self._marks.get(path) != mark:
                try:
                    stored[path] = Stored(path, read_report(path), mark[0] / 1e9)
                except FormatError as error:
                    faults[path] = error
        self.stored, self.faults, self._marks = stored, faults, there
        self._lines.clear()

    @property
    def problems(self) -> list[FormatError]:
        """What is wrong with those that cannot be read, and with those of which only the page is left."""
        return [*self.faults.values(), *self.lost]

    def of(self, kind: type[Record] | tuple[type[Record], ...]) -> list[Stored]:
        """Records of a kind, newest first."""
        found = [one for one in self.stored.values() if isinstance(one.record, kind)]
        return sorted(found, key=lambda one: (one.written, one.name), reverse=True)

    @property
    def runs(self) -> list[Stored]:
        """Of incremental and few-shot runs, newest first."""
        return self.of(Made)

    @property
    def comparisons(self) -> list[Stored]:
        """Newest first."""
        return self.of((ComparisonReport, FewShotComparisonReport))

    def lines(self, kind: type[RunReport] | type[FewShotReport]) -> list[tuple[Stored, RunLine]]:
        """Runs of a kind with what lists say of them, newest first."""
        with self._lock:
            if kind not in self._lines:
                self._lines[kind] = self._told(kind)
            return self._lines[kind]

    def _told(self, kind: type[RunReport] | type[FewShotReport]) -> list[tuple[Stored, RunLine]]:
        found = self.of(kind)
        told = [(one.written, one.record) for one in found if isinstance(one.record, RunReport | FewShotReport)]
        return list(zip(found, run_lines(told), strict=True))

    def get(self, name: str, *folders: str) -> Stored:
        """The record of a folder by its name. Raises its FormatError, or ArtefactNotFoundError for none."""
        stored, faults = self.stored, self.faults
        for path in [*stored, *faults]:
            if path.parent.parent.name in folders and name_of(path) == name:
                if path in faults:
                    raise faults[path]
                return stored[path]
        for error in self.lost:
            if name_of(error.folder / error.file) == name:
                raise error
        raise ArtefactNotFoundError(f"there is no report '{name[:80]}'; choose one of the list")

    def that_name(self, digest: str) -> list[Stored]:
        """Runs that an artefact is of, newest first."""
        return [one for one in self.runs if isinstance(one.record, Made) and digest in one.record.artefacts.values()]


def _records(root: Path) -> Iterator[tuple[Path, Mark]]:
    for folder, name in FOLDERS.items():
        try:
            inner = sorted(entry.name for entry in os.scandir(root / folder))
        except OSError:  # none was ever written
            continue
        for each in inner:
            path = root / folder / each / name
            if path.exists():
                yield path, mark_of(path)
