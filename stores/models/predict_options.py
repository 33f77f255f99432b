"""What is made of images that a student segments. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wilss.data.palette import hex_of, voc_colour
from wilss.digest import digest_of, file_digest
from wilss.errors import SpecError
from wilss.escapes import csv_text
from wilss.models.card import StudentCard, model_files
from wilss.models.passes import ONCE, Passes
from wilss.outputs import whole_file

VERSION = 1
"""Raised when the same model and options give other results: what is finished is then made anew."""
LEGEND, COCO = "legend.csv", "predictions.json"
MASK, OVERLAY, VIDEO, FRAMES = ".png", "-overlay.png", "-overlay.mp4", "-masks"
ENDINGS = ("", "-overlay", FRAMES)
Format = Literal["png", "coco", "overlay"]


@dataclass(frozen=True)
class PredictOptions:
    """How images are looked at, what is written, and what is done about what is there.

    format: "png" palette PNGs, "coco" one JSON of all, "overlay" pictures alone. overlay: pictures beside them.
    batch: images of one size that go through the network at once; 8 on a GPU and 1 elsewhere when left out.
    again: what is finished is done anew. replace: files that are there, and not known to be results of the same model
    and options, may be replaced; an image never is. every: of a video's frames, each such one is labelled.
    frame_masks: palette PNGs of them too.

    Raises SpecError for options that contradict each other.
    """

    passes: Passes = ONCE
    format: Format = "png"
    overlay: bool = True
    batch: int | None = None
    again: bool = False
    replace: bool = False
    every: int = 1
    frame_masks: bool = False

    def __post_init__(self) -> None:
        if self.format == "overlay" and not self.overlay:
            raise SpecError("--format overlay and --no-overlay leave nothing to write; take one of them away")
        for name, value in (("batch", self.batch), ("every", self.every)):
            if value is not None and value < 1:
                raise SpecError(f"--{name} is {value}; give 1 or more")

    @property
    def endings(self) -> tuple[str, ...]:
        """What the names of an image's results end in."""
        return ((MASK,) if self.format == "png" else ()) + ((OVERLAY,) if self.overlay else ())

    def key(self, folder: Path) -> str:
        """Digest of the model in a folder and of everything here that determines results."""
        files = model_files(folder)
        facts = {
            "version": VERSION,
            "model": [file_digest(files.weights), file_digest(files.card)],
            "tta": self.passes.tta,
            "window": [self.passes.window, self.passes.overlap] if self.passes.window else None,
            "written": [self.format, self.overlay, self.every, self.frame_masks],
        }
        return digest_of(facts)


def classes_of(card: StudentCard) -> dict[int, str]:
    """Class id -> name; 0 is "background"."""
    return {0: "background", **dict(zip(card.class_ids, card.classes, strict=True))}


def write_legend(folder: Path, classes: Mapping[int, str], card: StudentCard) -> None:
    """Write the ids, names and colours of classes as CSV."""
    rows = [[class_id, name, hex_of(colour_of(card, class_id))] for class_id, name in classes.items()]
    with whole_file(folder / LEGEND) as partial:
        partial.write_text(csv_text([["id", "class", "colour"], *rows]), encoding="utf-8")


def colour_of(card: StudentCard, class_id: int) -> tuple[int, int, int]:
    """Colour of a class in files of masks; background is black."""
    return card.colour_of.get(class_id, voc_colour(class_id)) if class_id else (0, 0, 0)
