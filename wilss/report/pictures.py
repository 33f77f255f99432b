"""Pictures of images and masks: classes in colours, one object in a spotlight, galleries for pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from wilss.data.images import to_canvas
from wilss.data.palette import ClassLook, Colour, class_look, palette
from wilss.data.source import VOID
from wilss.report.gallery import Gallery, Strip, Tile, tile, tile_side

OUTLINE = (255, 221, 0)
DIM, SHADE, VOID_LIGHT = 0.6, 0.6, 225.0
"""Brightness of what is no class; share of a class's colour that light and shade of the image do not change."""
PERIOD, STROKE = 13, 3
"""Of hatching, in pixels."""


@dataclass(frozen=True)
class View:
    """One way to look at an image; without one there is nothing to show.

    image: uint8 ``(3, H, W)``. labels: uint8 ``(h, w)`` of the same shape of picture, in any size: class ids, or with
    kind "object" 1 for the one that is meant; 255 is void.
    """

    image: Tensor | None = None
    labels: Tensor | None = None
    kind: Literal["classes", "object"] = "classes"

    @property
    def ids(self) -> set[int]:
        """Classes that it shows."""
        if self.labels is None or self.kind == "object":
            return set()
        return set(self.labels.unique().tolist()) - {0, VOID}

    def drawn(self, side: int, own: Mapping[int, Colour] | None = None) -> Tensor | None:
        """The picture, uint8 ``(3, H, W)``, its longer side at most ``side``; what is drawn over is enlarged first."""
        if self.image is None:
            return None
        image = to_canvas(self.image, side)
        if self.labels is None:
            return image
        factor = max(1, side // max(image.shape[-2:]))
        image = image.repeat_interleave(factor, -2).repeat_interleave(factor, -1)
        labels = _resized(self.labels, image.shape[-2:])
        return shaded(image, labels, own) if self.kind == "classes" else spotlight(image, labels, 2)


def gallery(
    title: str,
    titles: Sequence[str],
    rows: Sequence[tuple[str, Sequence[View]]],
    names: Mapping[int, str] | None = None,
    own: Mapping[int, Colour] | None = None,
    note: str = "",
) -> Gallery:
    """A gallery of a page.

    Args:
        titles: captions of the views of every row. rows: what each of them is, and its views.
        names: of class ids, for the legend. own: colours that the user gave.
    """
    side = tile_side(len(rows), len(rows) * len(titles))
    strips = [
        Strip(caption, tuple(_tile(name, view.drawn(side, own)) for name, view in zip(titles, views, strict=True)))
        for caption, views in rows
    ]
    return Gallery(title, tuple(strips), legend_of((v for _, views in rows for v in views), names or {}, own), note)


def legend_of(
    views: Iterable[View], names: Mapping[int, str], own: Mapping[int, Colour] | None = None
) -> tuple[ClassLook, ...]:
    """Looks of the classes that occur in views, by id."""
    ids = sorted({class_id for view in views for class_id in view.ids})
    return tuple(class_look(class_id, names.get(class_id, str(class_id)), own) for class_id in ids)


def _resized(labels_HW: Tensor, shape: Sequence[int]) -> Tensor:
    """Nearest labels in another size, without a copy in floats."""
    rows, columns = (((torch.arange(n) + 0.5) * old / n).long() for n, old in zip(shape, labels_HW.shape, strict=True))
    return labels_HW[rows][:, columns].to(torch.uint8)


def _tile(caption: str, picture: Tensor | None) -> Tile:
    return Tile(caption) if picture is None else tile(caption, to_pil(picture))


def shaded(image_3HW: Tensor, labels_HW: Tensor, own: Mapping[int, Colour] | None = None) -> Tensor:
    """Classes in their colours with a light rim, everything else grey and dim, void light; uint8 ``(3, H, W)``.

    Args:
        own: colours that the user gave; see `wilss.data.palette.class_look`.
    """
    image, labels = image_3HW.float(), labels_HW.float()[None]
    grey = image.mean(0, keepdim=True)
    picture = (DIM * grey).expand_as(image)
    picture = torch.where(labels == VOID, (VOID_LIGHT + DIM * grey) / 2, picture)
    for class_id in View(image_3HW, labels_HW).ids:
        look, inside = class_look(class_id, own=own), labels == class_id
        paint, ink = (torch.tensor(colour).float().view(3, 1, 1) for colour in (look.colour, look.ink))
        picture = torch.where(inside, paint * (SHADE + (1 - SHADE) * grey / 255), picture)
        picture = torch.where(inside & hatching(look.hatch, labels_HW.shape), ink, picture)
        picture = torch.where(inside & _near(~inside, 2), paint, picture)
    objects = (labels > 0) & (labels != VOID)
    picture = torch.where(~objects & _near(objects, 1), torch.tensor(255.0), picture)
    return picture.round().clamp(0, 255).to(torch.uint8)


def hatching(name: str, shape: Sequence[int]) -> Tensor:
    """Where the strokes of a hatching of `wilss.data.palette.HATCHES` lie: bool ``(H, W)``."""
    y, x = (torch.arange(n) for n in shape)
    y, x = y[:, None], x[None]
    strokes = {
        "rising": (x + y) % PERIOD < STROKE,
        "falling": (x - y) % PERIOD < STROKE,
        "upright": (x + 0 * y) % PERIOD < STROKE,
        "level": (0 * x + y) % PERIOD < STROKE,
    }
    strokes["crossed"] = strokes["rising"] | strokes["falling"]
    strokes["grid"] = strokes["upright"] | strokes["level"]
    strokes["dotted"] = (x % PERIOD < 2 * STROKE) & (y % PERIOD < 2 * STROKE)
    return strokes.get(name, torch.zeros(tuple(shape), dtype=torch.bool))


def _near(mask_1HW: Tensor, distance: int) -> Tensor:
    """Pixels of a mask and those at most so many pixels beside it."""
    return F.max_pool2d(mask_1HW.float(), 2 * distance + 1, 1, distance) > 0


def spotlight(image_3HW: Tensor, mask_HW: Tensor, rim: int = 1) -> Tensor:
    """One object in its colours with a yellow outline, everything else dark and grey; void (255) light. ``(3, H, W)``.

    Args:
        image_3HW: uint8. mask_HW: uint8, 1 the object. rim: width of the outline in pixels.
    """
    inside = (mask_HW == 1)[None]
    dark = 0.4 * image_3HW.float().mean(0, keepdim=True)
    dark = torch.where(mask_HW == VOID, dark + 60, dark).expand_as(image_3HW)
    picture = torch.where(inside, image_3HW.float(), dark)
    picture = torch.where(_near(inside, rim) & ~inside, torch.tensor(OUTLINE).float().view(3, 1, 1), picture)
    return picture.round().clamp(0, 255).to(torch.uint8)


def colour(labels_HW: Tensor, own: Mapping[int, Colour] | None = None) -> Tensor:
    """Label map -> uint8 RGB ``(3, H, W)`` in VOC colours, or a label's own; 255 comes out white."""
    table = torch.tensor(palette(own), dtype=torch.uint8).view(256, 3)
    table[VOID] = 255
    return table[labels_HW.long()].permute(2, 0, 1)


def overlay(
    image_3HW: Tensor, labels_HW: Tensor, strength: float = 0.55, own: Mapping[int, Colour] | None = None
) -> Tensor:
    """Blend the colours of mask files over an image, as beside such a file; uint8 ``(3, H, W)``."""
    shown = (labels_HW > 0)[None]
    mixed = (1 - strength) * image_3HW.float() + strength * colour(labels_HW, own).float()
    return torch.where(shown, mixed, image_3HW.float()).round().to(torch.uint8)


def flatten_layers(layers_CHW: Tensor, class_ids: Sequence[int]) -> Tensor:
    """Binary layers -> one label map for display; where layers overlap the smaller one lies on top."""
    labels = torch.zeros(layers_CHW.shape[-2:], dtype=torch.uint8)
    order = layers_CHW.flatten(1).sum(1).argsort(descending=True).tolist()
    for index in order:
        labels[layers_CHW[index].bool()] = class_ids[index]
    return labels


def to_pil(picture_3HW: Tensor) -> Image.Image:
    """uint8 ``(3, H, W)`` -> PIL image."""
    return Image.fromarray(np.ascontiguousarray(picture_3HW.permute(1, 2, 0).cpu().numpy()))
