"""Numbers of every row of a label set by name, for sorting and filtering, read when they are first asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stores.artefacts import Manifest, Store, read_manifest
from stores.labels.sets import LabelSet
from stores.labels.stats import row_score
from wilss.errors import FormatError
from wilss.layout import cache_folder, published

Floats = NDArray[np.float32]
DERIVED = ("score", "coverage", "teacher", "iou")
"""score: see `stores.labels.stats.WORST`, low is worst. coverage: share of the image. teacher: 1 - IoU with the masks
of the newest teacher that learnt from it. iou: with the truth, where the inspector has computed it."""


class Columns(Mapping[str, Floats]):
    """The numbers of quality of a label set and `DERIVED`: float32 ``(R,)``, NaN where a number is not known."""

    def __init__(self, store: Store, manifest: Manifest, labels: LabelSet) -> None:
        self._store, self._manifest, self._labels = store, manifest, labels
        self._names = tuple(dict.fromkeys((*labels.columns, *DERIVED)))
        self._held: dict[str, Floats] = {}
        self._truth: tuple[int, int] | None = None

    def __getitem__(self, name: str) -> Floats:
        if name not in self._names:
            raise KeyError(name)
        if name == "iou":
            self._look_at_truth()
        if name not in self._held:
            self._held[name] = self._made(name)
        return self._held[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def known(self, name: str) -> bool:
        """Whether any row has such a number."""
        return not bool(np.isnan(self[name]).all())

    def _made(self, name: str) -> Floats:
        quality, unknown = self._labels.quality, np.full(self._labels.index.n_rows, np.nan, np.float32)
        if name == "score":
            return row_score(self._labels)
        if name == "teacher":
            return self._teacher(unknown)
        if name == "iou":
            return _stored(truth_path(self._store.root, self._manifest), unknown)
        return np.ascontiguousarray(quality.get("area" if name == "coverage" else name, unknown))

    def _teacher(self, unknown: Floats) -> Floats:
        """Of a teacher's own set, its agreement says it; of another, that of the newest teacher's set."""
        if "teacher" in self._manifest.parents:
            return 1 - self._labels.quality.get("agreement", unknown)
        teacher = newest_teacher(self._store, self._manifest.digest)
        if teacher is None:
            return unknown
        labels, agreement = teacher
        rows = rows_in(self._labels, labels)
        return np.where(rows >= 0, 1 - agreement[rows], np.float32(np.nan))

    def _look_at_truth(self) -> None:
        """Forget IoUs that were computed again, or first, since they were read."""
        try:
            facts = truth_path(self._store.root, self._manifest).stat()
        except OSError:
            seen = None
        else:
            seen = facts.st_mtime_ns, facts.st_ino
        if seen != self._truth:
            self._held.pop("iou", None)
        self._truth = seen


def shown_folder(root: Path, manifest: Manifest) -> Path:
    """What was made to look at a label set; that of one which was made anew lies elsewhere."""
    mark = (manifest.seal or "".join(filter(str.isdigit, manifest.created)))[:16]
    return cache_folder(root) / "sets" / manifest.digest / mark


def truth_path(root: Path, manifest: Manifest) -> Path:
    """Where the IoU of every row with the truth is kept, float32 ``(R,)``."""
    return shown_folder(root, manifest) / "iou.npy"


def newest_teacher(store: Store, digest: str) -> tuple[LabelSet, Floats] | None:
    """The newest sound set of masks of a teacher that learnt from a label set, and their agreement with it ``(R,)``."""
    found = []
    for folder in published(store.root, "labels"):
        try:
            manifest = read_manifest(folder)
        except FormatError:
            continue
        if "teacher" in manifest.parents and manifest.parents.get("parent") == digest:
            found.append(manifest)
    for manifest in sorted(found, key=lambda one: (one.created, one.digest), reverse=True):
        try:
            labels = LabelSet.open(store.path("labels", store.get("labels", manifest.digest).digest))
            if "agreement" in labels.quality:
                return labels, labels.quality["agreement"]
        except FormatError:  # damaged: the one before
            continue
    return None


def rows_in(labels: LabelSet, other: LabelSet) -> NDArray[np.int64]:
    """The row of another set for each row of this one, by image id and class name, int64 ``(R,)``; -1 for none."""
    mine, yours = labels.index, other.index
    if mine.ids == yours.ids:
        places = np.arange(len(mine.ids))
    else:
        places = np.fromiter((other.rows.get(name, -1) for name in mine.ids), np.int64, len(mine.ids))
    channels = np.array([yours.classes.index(name) if name in yours.classes else -1 for name in mine.classes])
    images, own = mine.pairs
    return yours.rows_of(places[images], channels[own])


def _stored(path: Path, unknown: Floats) -> Floats:
    """What a file of the cache holds; one that is not whole is as one that is not there."""
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return unknown
    return found if found.shape == unknown.shape and found.dtype == np.float32 else unknown
