"""What a few-shot head finds in image files, shown some with masks: masks, overlays and a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from stores.models.fewshot_open import open_head
from stores.models.predict_inputs import Input, find_inputs, result_names
from stores.models.predict_options import MASK, OVERLAY
from stores.models.predict_write import load, write_picture
from stores.progress import say, stage_progress
from wilss.errors import SpecError
from wilss.escapes import csv_text
from wilss.fewshot.own import FewShotSegmenter, Support
from wilss.outputs import require_free, whole_file, writable_folder

TABLE = "predictions.csv"
ENDINGS = (MASK, OVERLAY)
COLUMNS = ("path", "result", "width", "height", "object")
OBJECT = (230, 159, 0)
"""Colour of what is found: orange, which every kind of colour blindness tells from grey."""


@dataclass
class FewShotPredictions:
    """What is to be looked for, and where; everything is checked, and the supports are read, when it is made.

    supports: image and mask, one after the other. unreadable: queries without a result, known as `run` goes on.

    Raises SpecError, DataError, DataNotFoundError or ArtefactNotFoundError; nothing is written then.
    """

    model: str
    supports: Sequence[Path]
    queries: Sequence[Path]
    out: Path
    root: Path
    device: str = "auto"
    weights: Path | None = None
    object_id: int | None = None
    replace: bool = False
    unreadable: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.supports or len(self.supports) % 2:
            raise SpecError(f"{len(self.supports)} files after --support; give an image and its mask, once or more")
        pairs = list(zip(self.supports[::2], self.supports[1::2], strict=True))
        self.inputs = find_inputs(self.queries, out=self.out)
        if videos := [one.path for one in self.inputs if one.is_video]:
            raise SpecError(f"'{videos[0]}' is a video; name images as queries")
        self.names = result_names(self.inputs, ("", "-overlay"), {})
        targets = [self.out / (name + ending) for name in self.names for ending in ENDINGS]
        read = [*self.supports, *(one.path for one in self.inputs)]
        require_free([*targets, self.out / TABLE], self.replace, read)
        self.segmenter: FewShotSegmenter = open_head(self.model, self.root, self.device, self.weights)
        self.known: list[Support] = self.segmenter.supports(pairs, self.object_id)

    def run(self) -> Iterator[Path]:
        """Look into the queries, one after the other; the mask of each as soon as it is there."""
        writable_folder(self.out)
        trained = self.segmenter.spec.shots
        if trained != len(self.known):
            say(f"the head was trained with {trained} support(s) and is shown {len(self.known)}")
        rows: list[list[object]] = []
        with stage_progress("few-shot predict") as progress:
            for number, (one, name) in enumerate(zip(self.inputs, self.names, strict=True), 1):
                row = self._row(one, name)
                if row is not None:
                    rows.append(row)
                    with whole_file(self.out / TABLE) as partial:
                        partial.write_text(csv_text([COLUMNS, *rows]), encoding="utf-8")
                    yield self.out / (name + MASK)
                progress("images", number, len(self.inputs), 0.0)

    def _row(self, one: Input, name: str) -> list[object] | None:
        loaded = load(one.path, None)
        if loaded.image is None:
            say(f"{loaded.problem}; it is left out")
            self.unreadable.append(one.path)
            return None
        if loaded.note:
            say(loaded.note)
        found = self.segmenter.find(self.known, loaded.image)
        write_picture(loaded.image, found.to(torch.uint8), self.out / name, ENDINGS, {1: OBJECT})
        height, width = found.shape
        return [str(one.path), name + MASK, width, height, f"{100 * float(found.float().mean()):.3f}"]
