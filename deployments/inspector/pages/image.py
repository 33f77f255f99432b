"""One image of a label set: all stages side by side, its rows, what was said of them, and the tools to mend them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlencode

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from deployments.inspector.asked import Asked
from deployments.inspector.desk import Desk, DeskOf
from deployments.inspector.html import page, short
from deployments.inspector.rows import RowFacts, hatches, looks, missing_classes, rows_of_image
from stores.labels.view import LabelView
from wilss.errors import ArtefactNotFoundError, FormatError

router = APIRouter()
STAGES = {
    "initial": ("Scorer's mask", "where the scorer is sure, before the grouper"),
    "refined": ("Refined", "what scorer and grouper agree on"),
    "final": ("Teacher", "what the trained teacher takes for the mask"),
}
PREFETCHED = 3


@dataclass(frozen=True)
class Layer:
    """A picture over the image. channel: of the class that it shows, -1 for several."""

    address: str
    class_name: str
    channel: int


@dataclass(frozen=True)
class Pane:
    """One stage of an image."""

    key: str
    title: str
    about: str
    layers: tuple[Layer, ...] = ()


@dataclass(frozen=True)
class Walk:
    """Where an image stands among those that are asked for: places from 0, -1 where it is not among them."""

    place: int
    images: list[int] = field(repr=False)

    @property
    def previous(self) -> int | None:
        """The image before."""
        return self.images[self.place - 1] if self.place > 0 else None

    @property
    def next(self) -> int | None:
        """The image behind; the first one for an image that is not among those that are asked for."""
        return self.images[self.place + 1] if self.place + 1 < len(self.images) else None

    @property
    def ahead(self) -> list[int]:
        """Neighbours, nearest first."""
        after = self.images[self.place + 1 : self.place + 1 + PREFETCHED]
        before = self.images[max(0, self.place - 1) : max(0, self.place)]
        return [*after, *before]


@router.get("/labels/{digest}/images/{image}")
def image_page(request: Request, desk: DeskOf, digest: str, image: int) -> HTMLResponse:
    """One image."""
    view, asked = desk.view(digest), Asked.of(request.query_params)
    if not 0 <= image < len(view.labels):
        raise HTTPException(404, f"there is no image {image}; the label set has {len(view.labels)}")
    image_id, rows = view.labels.index.ids[image], rows_of_image(view, image)
    height, width = view.labels.true_size(image)
    undo, redo = view.review.left(desk.who)
    return page(
        request,
        "image.html.j2",
        image_id,
        view=view,
        digest=view.manifest.digest,
        image=image,
        image_id=image_id,
        size=(width, height),
        original=view.labels.original_size(image)[::-1],
        rows=rows,
        numbers=_numbers(view, rows),
        missing=missing_classes(view, rows),
        panes=list(_panes(desk, view, image, rows)),
        walk=_walk(view, asked, image),
        asked=asked,
        looks=looks(view),
        hatches=hatches(view),
        note=view.review.state(image_id, ""),
        history=view.review.history(image_id)[:20],
        undo=undo,
        redo=redo,
    )


def _walk(view: LabelView, asked: Asked, image: int) -> Walk:
    """Images in the order of the rows that are asked for, each where its first row is."""
    images = view.labels.index.pairs[0][view.select(asked.query).rows]
    first = np.sort(np.unique(images, return_index=True)[1])
    ordered = images[first].tolist()
    return Walk(ordered.index(image) if image in ordered else -1, ordered)


def _numbers(view: LabelView, rows: list[RowFacts]) -> dict[str, list[float | None]]:
    """Column -> a value for each row of the set, None where unknown; columns of which nothing is known are left out."""
    own = [facts.row for facts in rows if facts.row >= 0]
    found = {}
    for name in view.columns:
        values = [float(view.columns[name][row]) for row in own]
        if any(value == value for value in values):
            found[name] = [value if value == value else None for value in values]
    return found


def _panes(desk: Desk, view: LabelView, image: int, rows: list[RowFacts]) -> Iterator[Pane]:
    base, own = f"/labels/{view.manifest.digest}", [facts for facts in rows if facts.row >= 0]
    yield Pane("image", "Image", "as it is learnt from")
    if "initial" in view.labels.index.stages:
        layers = [Layer(f"{base}/scores/{f.row}", f.class_name, f.channel) for f in own]
        yield Pane("scores", "Scorer's map", "bright where the class is likely", tuple(layers))
        layers = [Layer(f"{base}/pictures/seeds/{image}?channel={f.channel}", f.class_name, f.channel) for f in own]
        yield Pane("seeds", "Seeds", "dots, and bright what the grouper takes for alike to them", tuple(layers))
    for stage in view.labels.index.stages:
        layers = [Layer(f"{base}/masks/{f.row}?stage={stage}", f.class_name, f.channel) for f in own]
        yield Pane(stage, *STAGES[stage], tuple(layers))
    lineage = desk.lineage.refresh()
    teacher = _teacher_of(desk, view.manifest.digest)
    if teacher:
        yield Pane("teacher", *STAGES["final"], tuple(_of_other(teacher, view, own)))
    painted = [f for f in rows if f.state.mask]
    if painted:
        layers = [Layer(f"{base}/painted/{f.channel}/{f.state.mask}", f.class_name, f.channel) for f in painted]
        yield Pane("painted", "Corrected", "painted by hand", tuple(layers))
    yield Pane("truth", "Truth", "where it is known", (Layer(f"{base}/pictures/truth/{image}", "", -1),))
    before, after = lineage.students(view.manifest.digest)
    for student, title in ((before, "Student before"), (after, "Student after")):
        if student:
            layer = Layer(f"{base}/pictures/student/{image}?{urlencode({'checkpoint': student.digest})}", "", -1)
            yield Pane(title.lower().replace(" ", "-"), title, f"model {short(student.digest)}", (layer,))


def _teacher_of(desk: Desk, digest: str) -> LabelView | None:
    """Masks of the newest teacher that learnt from a set and whose own can be read; of others their own pages speak."""
    for child in desk.lineage.children(digest, "parent", "labels"):
        if "teacher" in child.parents:
            with suppress(FormatError, ArtefactNotFoundError):
                return desk.view(child.digest)
    return None


def _of_other(other: LabelView, view: LabelView, own: list[RowFacts]) -> Iterator[Layer]:
    """Masks that another set has of the same image and classes."""
    for facts in own:
        image, classes = other.labels.rows.get(facts.image_id, -1), other.labels.index.classes
        row = other.row_of(image, classes.index(facts.class_name)) if image >= 0 and facts.class_name in classes else -1
        if row >= 0:
            yield Layer(f"/labels/{other.manifest.digest}/masks/{row}", facts.class_name, facts.channel)
