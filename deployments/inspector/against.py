"""Two label sets compared row by row, in a thread, a shard at a time; the result is kept in the cache."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock

import numpy as np
from numpy.typing import NDArray

from stores.artefacts import Manifest
from stores.labels.columns import rows_in, shown_folder
from stores.labels.sets import LabelSet
from stores.labels.view import LabelView
from wilss.errors import SpecError
from wilss.outputs import whole_file

Rows = NDArray[np.int64]
Shares = NDArray[np.float32]
SPREAD = 4
"""Rows of the other set are read as one piece where that reads at most so many times what is wanted."""
GLANCE_SECONDS = 0.4
"""How long a page waits for a comparison before it says how far it is."""


@dataclass(frozen=True)
class Joined:
    """Rows of two sets, joined by image id and class name.

    iou: of the masks of every row of the first set with the second's, float32 ``(R,)``; NaN where that has no such row.
    there: that row, int64 ``(R,)``, -1 for none. only_there: rows that only the second set has.
    """

    iou: Shares
    there: Rows
    only_there: Rows

    @property
    def only_here(self) -> Rows:
        """Rows that only the first set has."""
        return (self.there < 0).nonzero()[0]

    @property
    def differing(self) -> Rows:
        """Rows of both, those that differ most first; equal ones are left out."""
        both = ((self.there >= 0) & (self.iou < 1)).nonzero()[0]
        return both[self.iou[both].argsort(kind="stable")]


@dataclass
class Progress:
    """How far a comparison is, in shards of the first set."""

    done: int = 0
    total: int = 0
    stopped: Event = field(default_factory=Event, repr=False)

    def step(self) -> None:
        """One more is done. Raises CancelledError where nobody wants the rest."""
        self.done += 1
        if self.stopped.is_set():
            raise CancelledError


class Comparer:
    """Compares label sets, one pair at a time; what was compared is kept."""

    def __init__(self, root: Path) -> None:
        self._root, self._lock = root, Lock()
        self._pool = ThreadPoolExecutor(1, "against")
        self._jobs: dict[Path, tuple[Future[Shares], Progress]] = {}

    def joined(self, first: LabelView, second: LabelView) -> Joined | Progress:
        """The comparison, or how far it is. Raises SpecError for sets that cannot be compared, DamagedArtefactError."""
        require_comparable(first, second)
        path = comparison_path(self._root, first.manifest, second.manifest)
        there = rows_in(first.labels, second.labels)
        iou = _kept(path, len(there))
        if iou is None:
            job, progress = self._job(path, first.labels, second.labels, there)
            with contextlib.suppress(TimeoutError):
                iou = job.result(GLANCE_SECONDS)
            if iou is None:
                return progress
            self._forget(path)
        back = rows_in(second.labels, first.labels)
        return Joined(iou, there, (back < 0).nonzero()[0])

    def close(self) -> None:
        """Give up what is under way."""
        for _, progress in self._jobs.values():
            progress.stopped.set()
        self._pool.shutdown(cancel_futures=True)

    def _job(self, path: Path, first: LabelSet, second: LabelSet, there: Rows) -> tuple[Future[Shares], Progress]:
        with self._lock:
            held = self._jobs.get(path)
            if held is not None and held[0].done() and held[0].exception():
                del self._jobs[path]  # it is told once; who asks again has it tried again
            elif held is None:
                progress = Progress(total=first.index.n_shards)
                held = self._pool.submit(_compared, path, first, second, there, progress), progress
                self._jobs[path] = held
            return held

    def _forget(self, path: Path) -> None:
        with self._lock:
            self._jobs.pop(path, None)


def require_comparable(first: LabelView, second: LabelView) -> None:
    """Raise SpecError for sets that have no class in common, or other canvases."""
    one, two = first.labels.index, second.labels.index
    if one.canvas != two.canvas:
        raise SpecError(
            f"the label sets have masks of {one.canvas} and {two.canvas} pixels, which cannot be laid over each other; "
            "choose another set"
        )
    if not set(one.classes) & set(two.classes):
        raise SpecError(
            f"the label sets have no class in common ({', '.join(one.classes)[:200]} and "
            f"{', '.join(two.classes)[:200]}); choose another set"
        )


def comparison_path(root: Path, first: Manifest, second: Manifest) -> Path:
    """Where the IoU of two sets' masks is kept; of a set that is made anew, elsewhere."""
    return shown_folder(root, first) / f"against-{second.digest}-{shown_folder(root, second).name}.npy"


def _kept(path: Path, rows: int) -> Shares | None:
    """What a file of the cache holds; one that is not whole is as one that is not there."""
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found if found.shape == (rows,) and found.dtype == np.float32 else None


def _compared(path: Path, first: LabelSet, second: LabelSet, there: Rows, progress: Progress) -> Shares:
    iou = row_overlaps(first, second, there, progress.step)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, shared=True) as partial, partial.open("wb") as handle:
        np.save(handle, iou)
    return iou


def row_overlaps(first: LabelSet, second: LabelSet, there: Rows, on_shard: Callable[[], None]) -> Shares:
    """IoU of the masks that are learnt from, float32 ``(R,)``, 1 where both are empty; NaN where ``there`` is -1."""
    iou = np.full(len(there), np.nan, np.float32)
    for shard in range(first.index.n_shards):
        span, images = first.index.rows(shard), first.index.images(shard)
        wanted = there[span.start : span.stop]
        known = (wanted >= 0).nonzero()[0]
        if len(known):
            mine = first.packed(first.stage, images.start, images.stop)[known]
            iou[span.start + known] = _overlap(mine, _rows_of(second, wanted[known]))
        on_shard()
    return iou


def _rows_of(labels: LabelSet, rows: Rows) -> NDArray[np.uint8]:
    """Packed masks of rows, in this order."""
    low, high = int(rows.min()), int(rows.max()) + 1
    if high - low <= SPREAD * len(rows):
        found: NDArray[np.uint8] = labels.stored.read(labels.stage, low, high)[rows - low]
        return found
    return np.concatenate([labels.stored.read(labels.stage, row, row + 1) for row in rows.tolist()])


def _overlap(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> Shares:
    both, either = (np.bitwise_count(bits).sum((1, 2), dtype=np.int64) for bits in (one & two, one | two))
    return np.where(either > 0, both / np.maximum(either, 1), 1.0).astype(np.float32)


@dataclass(frozen=True)
class ClassLine:
    """What a comparison says of a class. both: rows of both sets; equal: of these. mean: of the IoU, None without."""

    name: str
    both: int
    equal: int
    only_here: int
    only_there: int
    mean: float | None


def class_lines(first: LabelView, second: LabelView, joined: Joined) -> list[ClassLine]:
    """A line for every class of either set."""
    names = dict.fromkeys([*first.labels.index.classes, *second.labels.index.classes])
    mine, yours = (np.array(v.labels.index.classes)[v.labels.index.pairs[1]] for v in (first, second))
    lines = []
    for name in names:
        own = mine == name
        both = own & (joined.there >= 0)
        values = joined.iou[both]
        extra = int((yours[joined.only_there] == name).sum())
        mean = float(values.mean()) if len(values) else None
        lines.append(ClassLine(name, len(values), int((values == 1).sum()), int((own & ~both).sum()), extra, mean))
    return lines
