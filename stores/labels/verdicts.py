"""What a review says of the rows of a label set, as arrays that follow it act by act. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from stores.labels.review import VERDICTS, Changed, Review, RowState
from stores.labels.sets import LabelSet

CODES = {verdict: code for code, verdict in enumerate(VERDICTS)}
REJECTED, ABSENT, MISSING = CODES["rejected"], CODES["absent"], "missing"
Bools = NDArray[np.bool_]


class Verdicts:
    """Of every row: its verdict as int8 ``(R,)`` (places in `VERDICTS`), and what else is said of it.

    corrected, noted: bool ``(R,)``, a painted mask or a note. image_noted: bool ``(N,)``. missing: int16 ``(N,)``,
    classes that an image lacks the tag of.
    """

    def __init__(self, labels: LabelSet, review: Review) -> None:
        self.labels, self.review = labels, review
        self._classes = {name: channel for channel, name in enumerate(labels.index.classes)}
        self._lock = Lock()
        self._begin()
        self.follow()

    def _begin(self) -> None:
        rows, images = self.labels.index.n_rows, len(self.labels)
        self.codes = np.zeros(rows, np.int8)
        self.corrected, self.noted = np.zeros(rows, bool), np.zeros(rows, bool)
        self.image_noted, self.missing = np.zeros(images, bool), np.zeros(images, np.int16)
        self.n, self._seal = 0, ""

    def refresh(self) -> bool:
        """Read what others said since; whether there was anything."""
        self.review.refresh()
        return self.follow()

    def follow(self) -> bool:
        """Take in the acts that the review has read by now; whether there were any."""
        with self._lock:
            acts = self.review.since(max(0, self.n - 1))
            if self.n and (not acts or acts[0].seal != self._seal):  # the file of acts was replaced
                self._begin()
                acts = self.review.since(0)
            news = acts[1:] if self.n else acts
            for act in news:
                self._take(act.changes)
            if news:
                self.n, self._seal = news[-1].n, news[-1].seal
            return bool(news)

    def state_masks(self) -> dict[str, Bools]:
        """Rows in each of `stores.labels.query.STATES`, bool ``(R,)``."""
        images, codes = self.labels.index.pairs[0], self.codes
        about_image = self.image_noted | (self.missing > 0)
        doubted = (codes == REJECTED) | (codes == ABSENT)
        return {
            "unreviewed": (codes == 0) & ~self.corrected,
            **{name: codes == CODES[name] for name in ("accepted", "rejected", "absent")},
            "corrected": self.corrected,
            "flagged": doubted | self.noted | about_image[images],
        }

    def _take(self, changes: Iterable[Changed]) -> None:
        """Follow one act; what it says of images and classes that the set does not have is passed over."""
        told = [change for change in changes if change.image in self.labels.rows]
        images = np.array([self.labels.rows[change.image] for change in told], np.int64)
        channels = np.array([self._classes.get(change.class_name, -1) for change in told], np.int64)
        for image, row, change in zip(images.tolist(), self.labels.index.rows_of(images, channels), told, strict=True):
            self.missing[image] += (change.after.verdict == MISSING) - (change.before.verdict == MISSING)
            if not change.class_name:
                self.image_noted[image] = bool(change.after.note)
            elif row >= 0:
                self._put(row, change.after)

    def _put(self, row: int, state: RowState) -> None:
        self.codes[row], self.corrected[row] = CODES[state.verdict], bool(state.mask)
        self.noted[row] = bool(state.note)
