"""Pictures of one result for the page: the image, and its classes in the colours of reports."""

from __future__ import annotations

import base64
import io
from typing import NamedTuple

import numpy as np
from torch import Tensor

from deployments.serving.answers import palette_png, png
from deployments.serving.models import Loaded
from wilss.data.images import to_canvas
from wilss.data.palette import ClassLook, class_look
from wilss.report.pictures import View, to_pil

SIDE = 1024
"""Pixels of a picture of the page at most, longer side."""


class Shown(NamedTuple):
    """What a page shows of an image. image, classes, mask: addresses (data:) of pictures. size: of both, as drawn.

    found: look and share of each class, the largest first.
    """

    name: str
    width: int
    height: int
    image: str
    classes: str
    mask: str
    size: tuple[int, int]
    found: tuple[tuple[ClassLook, float], ...]


def shown(loaded: Loaded, name: str, image_3HW: Tensor, labels_HW: Tensor) -> Shown:
    """Draw an image and its class ids uint8 ``(H, W)``."""
    own, names = loaded.model.palette, loaded.model.classes
    small, drawn = to_canvas(image_3HW, SIDE), View(image_3HW, labels_HW).drawn(SIDE, own)
    assert drawn is not None
    counts = np.bincount(labels_HW.numpy().ravel(), minlength=256)
    order = [int(number) for number in counts.argsort(kind="stable")[::-1] if number and counts[number]]
    found = tuple((class_look(k, names[k], own), float(counts[k] / counts.sum())) for k in order)
    height, width = labels_HW.shape
    mask = _address("image/png", palette_png(loaded, labels_HW))
    size = (drawn.shape[2], drawn.shape[1])
    return Shown(name, width, height, _jpeg(small), _address("image/png", png(to_pil(drawn))), mask, size, found)


def _jpeg(image_3HW: Tensor) -> str:
    buffer = io.BytesIO()
    to_pil(image_3HW).save(buffer, "JPEG", quality=88)
    return _address("image/jpeg", buffer.getvalue())


def _address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
