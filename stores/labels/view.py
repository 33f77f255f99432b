"""One opened label set for looking at: its rows filtered, sorted and counted. Imports no torch.

All is held in columns, and no row is an object: 100,000 rows of 20 classes take some 20 MB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stores.artefacts import Manifest, Store
from stores.labels.card import LabelCard, read_card
from stores.labels.columns import Columns, Floats
from stores.labels.query import IMAGE, SIZES, Query
from stores.labels.review import Review
from stores.labels.sets import LabelSet
from stores.labels.verdicts import Bools, Verdicts

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Selection:
    """What a query finds.

    rows: in the order that is asked for, int64 ``(M,)``. total: rows of the set. states, classes: how many rows there
    would be if only this state, or class, were asked for, with everything else as it is.
    """

    rows: Rows
    total: int
    states: Mapping[str, int]
    classes: Mapping[str, int]


@dataclass(frozen=True)
class Histogram:
    """How many rows have which value of a column; rows of unknown value are left out.

    edges: float64 ``(B + 1,)``, over all values that the set has. counts: int64 ``(B,)``. by_class: int64 ``(C, B)``.
    medians: float64 ``(C,)``, NaN for a class without a known value.
    """

    edges: NDArray[np.float64]
    counts: Rows
    by_class: Rows
    medians: NDArray[np.float64]


class LabelView:
    """A label set, its card and its review; may be used by several threads. What others review is seen by `refresh`."""

    def __init__(self, store: Store, manifest: Manifest) -> None:
        folder = store.path("labels", manifest.digest)
        self.store, self.manifest = store, manifest
        self.labels = LabelSet.open(folder)
        self.card: LabelCard = read_card(manifest, folder, len(self.labels.index.classes))
        self.columns = Columns(store, manifest, self.labels)
        self.review = Review.open(store.root, manifest.digest)
        self._verdicts = Verdicts(self.labels, self.review)
        self._orders: dict[tuple[str, bool], tuple[Floats, Rows]] = {}

    @classmethod
    def open(cls, root: Path, digest: str) -> LabelView:
        """Open a label set by its digest, or the first digits of it.

        Raises ArtefactNotFoundError for one that is not there, DamagedArtefactError for one that is damaged, or whose
        review is, FormatError for one that is newer.
        """
        store = Store(root)
        return cls(store, store.get("labels", digest))

    def __len__(self) -> int:
        return self.labels.index.n_rows

    def refresh(self) -> bool:
        """Take in what was reviewed since, here or by others; whether there was anything."""
        return self._verdicts.refresh()

    @property
    def verdicts(self) -> NDArray[np.int8]:
        """Verdict of every row, int8 ``(R,)``: places in `stores.labels.review.VERDICTS`."""
        self._verdicts.follow()
        return self._verdicts.codes

    @property
    def reviewed(self) -> int:
        """Rows that have a verdict or a painted mask."""
        return int((~self._states()["unreviewed"]).sum())

    def row_of(self, image: int, channel: int) -> int:
        """The row of an image's position and a channel; -1 where the image is not tagged with the class."""
        return int(self.labels.index.rows_of(np.array([image]), np.array([channel]))[0])

    def at(self, row: int) -> tuple[int, int]:
        """Position of the image and channel of a row."""
        images, channels = self.labels.index.pairs
        return int(images[row]), int(channels[row])

    def mask(self, row: int, stage: str = "") -> Bools:
        """The mask of a row over its image, bool ``(h, w)``; of the last stage when none is named."""
        index, (image, _) = self.labels.index, self.at(row)
        height, width = self.labels.true_size(image)
        bits = self.labels.stored.read(self._stage(stage), row, row + 1)[0, :height, : -(-width // 8)]
        return np.unpackbits(bits, axis=-1, count=min(width, index.canvas)).astype(bool)

    def _stage(self, stage: str) -> str:
        if stage and stage not in self.labels.index.stages:
            self.labels.packed(stage, 0, 0)  # says which there are
        return stage or self.labels.stage

    def soft(self, row: int) -> NDArray[np.float16]:
        """The scorer's map of a row over the canvas, float16 ``(h, w)``. Raises ArtefactNotFoundError where none is."""
        image, _ = self.at(row)
        return self.labels.soft(image)[row - int(self.labels.index.starts[image])]

    def select(self, query: Query) -> Selection:
        """The rows that a query asks for. Raises SpecError for what this set has none of."""
        query.require(self.labels.index.classes, self.columns)
        parts = self._parts(query)
        keep = self._all_but(parts, "")
        order = self._order(query.sort, query.descending)
        return Selection(order[keep[order]], len(self), self._by_state(parts), self._by_class(parts))

    def histogram(self, column: str, query: Query, bins: int = 20) -> Histogram:
        """How the values of a column lie among the rows of a query, whose range of this column is passed over."""
        others = query.without_range(column)
        for asked in (others, Query(sort=column)):
            asked.require(self.labels.index.classes, self.columns)
        values = self.columns[column]
        edges = _edges(values, bins)
        keep = self._all_but(self._parts(others), "") & ~np.isnan(values)
        order, size = self._order(column, False), len(self.labels.index.classes)
        rows = order[keep[order]]
        known, own = values[rows], self.labels.index.pairs[1][rows]
        place = ((known - edges[0]) / (edges[-1] - edges[0]) * bins).astype(np.int64).clip(0, bins - 1)
        by_class = np.bincount(own * bins + place, minlength=size * bins).reshape(size, bins)
        return Histogram(edges, by_class.sum(0), by_class, _medians(known, own, size))

    def _parts(self, query: Query) -> dict[str, Bools]:
        """Rows that each part of a query allows, of those that ask for something."""
        images, channels = self.labels.index.pairs
        parts: dict[str, Bools] = {}
        if query.classes:
            wanted = np.isin(np.array(self.labels.index.classes), query.classes)
            parts["classes"] = wanted[channels]
        if query.states:
            parts["states"] = reduce(np.logical_or, [self._states()[state] for state in query.states])
        if query.sizes:
            area = self.columns["coverage"]
            limits = [SIZES[size] for size in query.sizes]
            parts["sizes"] = reduce(np.logical_or, [(area >= low) & (area < high) for low, high in limits])
        if query.text:
            text = query.text.casefold()
            parts["text"] = np.fromiter((text in name for name in self._folded), bool, len(self._folded))[images]
        for column, (low, high) in query.ranges.items():
            parts[f"range {column}"] = (self.columns[column] >= low) & (self.columns[column] <= high)
        return parts

    def _all_but(self, parts: Mapping[str, Bools], one: str) -> Bools:
        return reduce(np.logical_and, [mask for name, mask in parts.items() if name != one], np.ones(len(self), bool))

    def _states(self) -> dict[str, Bools]:
        self._verdicts.follow()
        return self._verdicts.state_masks()

    def _by_state(self, parts: Mapping[str, Bools]) -> dict[str, int]:
        keep = self._all_but(parts, "states")
        return {name: int((mask & keep).sum()) for name, mask in self._states().items()}

    def _by_class(self, parts: Mapping[str, Bools]) -> dict[str, int]:
        classes, channels = self.labels.index.classes, self.labels.index.pairs[1]
        counts = np.bincount(channels[self._all_but(parts, "classes")], minlength=len(classes))
        return dict(zip(classes, counts.tolist(), strict=True))

    def _order(self, sort: str, descending: bool) -> Rows:
        """All rows in order; kept, as long as the column stays the same."""
        if sort == IMAGE:
            rows = np.arange(len(self))
            return rows[::-1] if descending else rows
        values = self.columns[sort]
        held = self._orders.get((sort, descending))
        if held is None or held[0] is not values:
            held = values, (-values if descending else values).argsort(kind="stable")
            self._orders[sort, descending] = held
        return held[1]

    @cached_property
    def _folded(self) -> tuple[str, ...]:
        """Image ids in lower case; those that are so anyhow take no memory of their own."""
        folded = ((name, name.casefold()) for name in self.labels.index.ids)
        return tuple(name if name == low else low for name, low in folded)


def _edges(values: Floats, bins: int) -> NDArray[np.float64]:
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    return np.linspace(low, high if high > low else low + 1.0, bins + 1)


def _medians(ordered: Floats, channels: Rows, size: int) -> NDArray[np.float64]:
    """Median of the values of each class; they are in order, and numbers of 16 bits are sorted in one pass."""
    values = ordered[channels.astype(np.int16).argsort(kind="stable")]
    ends, found = np.bincount(channels, minlength=size).cumsum(), np.full(size, np.nan)
    for channel, (first, last) in enumerate(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)):
        if last > first:
            found[channel] = (float(values[(first + last - 1) // 2]) + float(values[(first + last) // 2])) / 2
    return found
