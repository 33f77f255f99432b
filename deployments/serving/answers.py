"""What is answered: class ids as a picture, or sizes, shares and outlines as JSON."""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel
from torch import Tensor

from deployments.serving.models import Loaded
from deployments.serving.outlines import polygons
from stores.models.predict_write import drawn_over
from wilss.data.palette import Colour
from wilss.data.voc import save_palette_png


class ClassSeen(BaseModel):
    """A class of an image.

    colour: red, green, blue of the palette PNG. share: of the image's pixels, 0 to 1. box: x, y, width, height.
    segmentation: polygons [x0, y0, x1, y1, ...] along the edges of pixels, COCO's form. They do not overlap, have no
    holes, and their union is the mask exactly: a region with a hole is cut along the upper edge of the hole.
    """

    id: int
    name: str
    colour: Colour
    pixels: int
    share: float
    box: tuple[int, int, int, int]
    segmentation: list[list[int]]


class ImageSeen(BaseModel):
    """One image. name: of the file as it was sent. background: share of pixels of no class. classes: by id."""

    name: str
    width: int
    height: int
    background: float
    classes: list[ClassSeen]


class Answer(BaseModel):
    """What a model sees. model: its digest. alias: that it was found by."""

    model: str
    alias: str | None
    images: list[ImageSeen]


class ClassCard(BaseModel):
    """A class that the model knows."""

    id: int
    name: str
    colour: Colour


class InputCard(BaseModel):
    """What goes in: larger images are shrunk to the canvas, then normalised. mean, std: of channels in [0, 1]."""

    canvas: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class Limits(BaseModel):
    """Of a request, and of the server."""

    bytes: int
    pixels: int
    files: int
    queue: int
    batch: int
    seconds: float


class ModelSeen(BaseModel):
    """The model that answers. asked: as the server was told. since: when it began to answer, UTC."""

    digest: str
    alias: str | None
    asked: str
    since: str
    benchmark: str
    step: int
    licence: str | None
    backbone: str
    device: str
    classes: list[ClassCard]
    input: InputCard
    limits: Limits


class Health(BaseModel):
    """status: "behind" while the alias points to what cannot be loaded, and the model before it answers."""

    status: Literal["ok", "behind"]
    model: str
    alias: str | None
    problem: str | None


class Problem(BaseModel):
    """Why there is no other answer, in one sentence."""

    detail: str


def seen(loaded: Loaded, name: str, labels_HW: Tensor) -> ImageSeen:
    """What an image shows, of class ids uint8 ``(H, W)``."""
    ids = labels_HW.numpy()
    counts, area = np.bincount(ids.ravel(), minlength=256), ids.size
    names, colours = loaded.model.classes, loaded.model.palette
    classes = []
    for class_id in (int(number) for number in counts.nonzero()[0] if number):
        mask = ids == class_id
        facts = {"id": class_id, "name": names[class_id], "colour": colours[class_id], "pixels": int(counts[class_id])}
        share = float(counts[class_id] / area)
        classes.append(ClassSeen(**facts, share=share, box=_box(mask), segmentation=polygons(mask)))
    height, width = ids.shape
    return ImageSeen(name=name, width=width, height=height, background=float(counts[0] / area), classes=classes)


def _box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    left, top = int(columns[0]), int(rows[0])
    return left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1


def palette_png(loaded: Loaded, labels_HW: Tensor) -> bytes:
    """Class ids as a palette PNG in the card's colours, as ``wilss predict`` writes it."""
    buffer = io.BytesIO()
    save_palette_png(labels_HW, buffer, loaded.model.palette)
    return buffer.getvalue()


def overlay_png(loaded: Loaded, image_3HW: Tensor, labels_HW: Tensor) -> bytes:
    """The same colours over the image, as ``wilss predict`` writes it."""
    return png(drawn_over(image_3HW, labels_HW, loaded.model.palette))


def png(image: Image.Image) -> bytes:
    """A picture as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
