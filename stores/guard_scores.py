"""How a stored student does on given images: an evaluation of its own, so that nobody is scored twice."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from stores.artefacts import ArtefactRef, Manifest, Recipe
from stores.evaluations import read_confusions, save_confusions
from stores.plans.plan import Node
from stores.plans.session import Session
from stores.progress import stage_progress
from wilss.data.images import ImageTable, MaskedImages
from wilss.data.source import VOID, Source
from wilss.digest import ALGORITHM_VERSION, digest_of
from wilss.errors import SpecError
from wilss.measure.confusion import iou
from wilss.measure.gate import BACKGROUND
from wilss.measure.score import score_images
from wilss.models.card import StudentCard, load_card
from wilss.models.files import load_student
from wilss.protocol import output_channels
from wilss.report.records import share


@dataclass(frozen=True)
class Scored:
    """A student and the images that it is scored on.

    title: of the images, for people. data: digest of their content. images: ids.
    """

    session: Session
    source: Source
    student: ArtefactRef
    title: str
    data: str
    images: Sequence[str]

    @property
    def node(self) -> Node:
        """Its evaluation, as a part that is found or made."""
        facts = {"version": ALGORITHM_VERSION, "stage": "guard", "data": self.data, "images": digest_of([*self.images])}
        title = f"scores of {self.student.digest[:12]} on {self.title}"
        return Node(title, Recipe("evaluations", facts, {"checkpoint": self.student}), "evaluation", title)

    def masked(self, card: StudentCard) -> MaskedImages:
        """The images with masks of the student's channels. Raises SpecError for a class that the data lack."""
        channels = output_channels(_ids(self.source, card), len(self.source.classes), VOID)
        table = ImageTable(self.source, tuple(self.images), card.input.canvas, self.session.room)
        return MaskedImages(table, tuple(channels), self.source)

    def make(self, folder: Path, counts: Tensor | None = None, seconds: float = 0.0) -> Manifest:
        """Score it on full-size images, fitted to its own canvas, and publish the counts.

        Args:
            counts: the confusion matrix where workers have counted it. seconds: that this took.
        """
        start = time.monotonic() - seconds
        card = load_card(self.session.store.folder(self.student), StudentCard)
        if counts is None:
            model, card = load_student(self.session.store.folder(self.student))
            with stage_progress(f"score on {self.title}") as progress:
                counts = score_images(model.to(self.session.device), self.masked(card), progress=progress)
        save_confusions(card.classes, {"full": counts}, folder)
        notes = {"seconds": time.monotonic() - start}
        amounts = {"images": len(self.images), "pixels": int(counts.sum())}
        return self.session.store.publish(self.node.recipe, folder, amounts, notes)

    def per_class(self, evaluation: ArtefactRef) -> dict[str, float | None]:
        """IoU of background and of every class that the student knows; None for what no image shows."""
        folder = self.session.store.folder(evaluation)
        card = load_card(self.session.store.folder(self.student), StudentCard)
        values = iou(read_confusions(folder)["full"]).tolist()
        return {name: share(value) for name, value in zip((BACKGROUND, *card.classes), values, strict=True)}


def _ids(source: Source, card: StudentCard) -> list[int]:
    """The data's ids of the classes that a student knows; classes are the same where their names are."""
    if odd := [name for name in card.classes if name not in source.classes]:
        raise SpecError(
            f"the model knows '{odd[0]}', which is no class of these data, so it cannot be scored on them; name data "
            "with all its classes"
        )
    return [source.classes.index(name) + 1 for name in card.classes]
