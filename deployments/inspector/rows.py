"""What pages say of a row: one mask of one class in one image, and what people said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stores.labels.review import RowState
from stores.labels.view import LabelView
from wilss.data.palette import HATCHES, ClassLook, class_look


@dataclass(frozen=True)
class RowFacts:
    """A row as a page shows it.

    row: -1 for a class that a person said is missing. image: position of its image. version: number of the last act on
    it, which a change has to name. size: (width, height) on the canvas.
    """

    row: int
    image: int
    image_id: str
    channel: int
    class_name: str
    state: RowState
    version: int
    score: float | None
    size: tuple[int, int]

    @property
    def status(self) -> str:
        """The word for what is said of it: a painted mask counts more than a verdict, unless the class is not here."""
        if self.state.mask and self.state.verdict != "absent":
            return "corrected"
        return self.state.verdict or "unreviewed"

    def plain(self) -> dict[str, Any]:
        """For scripts of the page."""
        said = {"verdict": self.state.verdict, "mask": self.state.mask, "note": self.state.note}
        where = {"row": self.row, "image": self.image, "channel": self.channel, "class": self.class_name}
        return {**where, "version": self.version, "status": self.status, **said}


def looks(view: LabelView) -> list[ClassLook]:
    """How the classes of a label set are shown, one a channel."""
    named = zip(view.card.class_ids, view.labels.index.classes, strict=True)
    return [class_look(class_id, name) for class_id, name in named]


def hatches(view: LabelView) -> list[str]:
    """Words for the hatching of each channel's masks where a page is asked for it: all differ, up to eleven classes."""
    return [_hatch(channel) for channel in range(len(view.labels.index.classes))]


def _hatch(channel: int) -> str:
    wide, place = divmod(channel % (2 * len(HATCHES) - 1), len(HATCHES))
    return f"{HATCHES[place + 1]} wide" if wide else HATCHES[place]


def row_facts(view: LabelView, row: int) -> RowFacts:
    """A row of the set."""
    image, channel = view.at(row)
    score = float(view.columns["score"][row])
    return _facts(view, row, image, channel, None if score != score else score)


def facts_at(view: LabelView, image: int, channel: int) -> RowFacts:
    """A class of an image, whether the set has a row of it or a person said so. Both have to be there."""
    row = view.row_of(image, channel)
    return row_facts(view, row) if row >= 0 else _facts(view, -1, image, channel, None)


def rows_of_image(view: LabelView, image: int) -> list[RowFacts]:
    """Rows of an image, and classes that a person said are missing."""
    own, image_id = view.labels.index.tags[image].nonzero()[0].tolist(), view.labels.index.ids[image]
    said = [k for k, name in enumerate(view.labels.index.classes) if k not in own and view.review.state(image_id, name)]
    return [facts_at(view, image, channel) for channel in [*own, *said]]


def missing_classes(view: LabelView, rows: Sequence[RowFacts]) -> list[tuple[int, str]]:
    """Channel and name of classes that an image is not known to have."""
    there = {row.channel for row in rows if row.row >= 0 or row.state.verdict}
    return [(k, name) for k, name in enumerate(view.labels.index.classes) if k not in there]


def _facts(view: LabelView, row: int, image: int, channel: int, score: float | None) -> RowFacts:
    image_id, name = view.labels.index.ids[image], view.labels.index.classes[channel]
    height, width = view.labels.true_size(image)
    said = view.review.state(image_id, name), view.review.version(image_id, name)
    return RowFacts(row, image, image_id, channel, name, *said, score, (width, height))
