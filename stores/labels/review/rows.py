"""The rows that a label set has, for what is said of them by scripts, files and other reviews."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from stores.labels.review.state import Act, Key, RowState
from stores.labels.sets import LabelSet
from wilss.errors import SpecError, did_you_mean
from wilss.escapes import harmless


@dataclass(frozen=True)
class SetRows:
    """Rows of an opened label set by image id and class name."""

    labels: LabelSet

    @cached_property
    def channels(self) -> dict[str, int]:
        """Class name -> channel."""
        return {name: channel for channel, name in enumerate(self.labels.index.classes)}

    def has_class(self, key: Key) -> bool:
        """Whether the set has the image and the class, or the image for what is said of it as a whole."""
        return key.image in self.labels.rows and (not key.class_name or key.class_name in self.channels)

    def has_row(self, key: Key) -> bool:
        """Whether the image is tagged with the class."""
        known = bool(key.class_name) and self.has_class(key)
        return known and bool(self.labels.index.tags[self.labels.rows[key.image], self.channels[key.class_name]])

    def size(self, key: Key) -> tuple[int, int]:
        """Height and width of the image on the canvas."""
        return self.labels.true_size(self.labels.rows[key.image])

    def require(self, key: Key, state: RowState) -> None:
        """Raise DataError for an image that the set lacks, SpecError for a class, and for what does not fit the row."""
        self.labels.position(key.image)
        if not self.has_class(key):
            raise SpecError(
                f"the label set has no class '{harmless(key.class_name)[:60]}'."
                f"{did_you_mean(key.class_name, self.channels)[:300]}"
            )
        row = f"{key.class_name} of image '{harmless(key.image)[:100]}'"
        if self.has_row(key) and state.verdict == "missing":
            raise SpecError(f"{row} is not missing: the image is tagged with it; accept, reject or paint it")
        if not self.has_row(key) and state.verdict in ("accepted", "rejected", "absent"):
            raise SpecError(f"{row} has no mask to be {state.verdict}: the image is not tagged with it; say missing")

    def unlike(self, acts: Iterable[Act], sizes: Mapping[str, tuple[int, int]]) -> str:
        """What acts say that cannot be of this set, as the end of a sentence; "" for nothing.

        Args:
            sizes: height and width of the painted masks.
        """
        for act in acts:
            for change in act.changes:
                row = harmless(f"{change.class_name or 'the note'} of image '{change.image}'")[:200]
                if not self.has_class(change.key):
                    return f"speaks of {row}, which the label set lacks"
                mask = change.after.mask
                if mask and sizes[mask] != self.size(change.key):
                    (height, width), (own_height, own_width) = sizes[mask], self.size(change.key)
                    return f"has a mask of {height} x {width} for {row}, which is {own_height} x {own_width}"
        return ""
