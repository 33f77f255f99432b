"""Pictures: overlays, contact sheets and loss curves, as PNG bytes or files."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from wilss.data.palette import Colour, palette

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = (40, 44, 52)
OUTLINE = (255, 221, 0)


def colour(labels_HW: Tensor, own: Mapping[int, Colour] | None = None) -> Tensor:
    """Label map -> uint8 RGB ``(3, H, W)`` in VOC colours, or a label's own; 255 comes out white."""
    table = torch.tensor(palette(own), dtype=torch.uint8).view(256, 3)
    table[255] = 255
    return table[labels_HW.long()].permute(2, 0, 1)


def overlay(
    image_3HW: Tensor, labels_HW: Tensor, strength: float = 0.55, own: Mapping[int, Colour] | None = None
) -> Tensor:
    """Blend class colours over an image; background keeps the image. uint8 ``(3, H, W)``."""
    shown = (labels_HW > 0)[None]
    mixed = (1 - strength) * image_3HW.float() + strength * colour(labels_HW, own).float()
    return torch.where(shown, mixed, image_3HW.float()).round().to(torch.uint8)


def spotlight(image_3HW: Tensor, mask_HW: Tensor) -> Tensor:
    """One object in its colours with a yellow outline, everything else dark and grey; void (255) light. ``(3, H, W)``.

    Args:
        image_3HW: uint8. mask_HW: uint8, 1 the object.
    """
    inside = (mask_HW == 1).float()[None]
    grown = torch.nn.functional.max_pool2d(inside, 3, 1, 1)
    dark = 0.4 * image_3HW.float().mean(0, keepdim=True)
    dark = torch.where(mask_HW == 255, dark + 60, dark).expand_as(image_3HW)
    picture = torch.where(inside > 0, image_3HW.float(), dark)
    picture = torch.where(grown > inside, torch.tensor(OUTLINE).float().view(3, 1, 1), picture)
    return picture.round().clamp(0, 255).to(torch.uint8)


def flatten_layers(layers_CHW: Tensor, class_ids: Sequence[int]) -> Tensor:
    """Binary layers -> one label map for display; where layers overlap the smaller one lies on top."""
    labels = torch.zeros(layers_CHW.shape[-2:], dtype=torch.uint8)
    order = layers_CHW.flatten(1).sum(1).argsort(descending=True).tolist()
    for index in order:
        labels[layers_CHW[index].bool()] = class_ids[index]
    return labels


def contact_sheet(
    rows: Sequence[Sequence[Tensor]], titles: Sequence[str], notes: Sequence[str], tile: int = 128
) -> Image.Image:
    """A table of pictures.

    Args:
        rows: for each row one uint8 picture ``(3, H, W)`` per column.
        titles: column headings. notes: one line under each row.
    """
    head, foot, gap = 20, 16, 6
    width = gap + len(titles) * (tile + gap)
    sheet = Image.new("RGB", (width, head + len(rows) * (tile + foot + gap)), "white")
    pen = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        pen.text((gap + column * (tile + gap), 4), title, fill=INK)
    for number, (row, note) in enumerate(zip(rows, notes, strict=True)):
        top = head + number * (tile + foot + gap)
        for column, picture in enumerate(row):
            image = to_pil(picture)
            image.thumbnail((tile, tile)) if max(image.size) > tile else None
            scale = tile / max(image.size)
            size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
            sheet.paste(image.resize(size, Image.Resampling.NEAREST), (gap + column * (tile + gap), top))
        pen.text((gap, top + tile + 2), note[: width // 6], fill=INK)
    return sheet


def to_pil(picture_3HW: Tensor) -> Image.Image:
    """uint8 ``(3, H, W)`` -> PIL image."""
    return Image.fromarray(np.ascontiguousarray(picture_3HW.permute(1, 2, 0).cpu().numpy()))


def png(image: Image.Image) -> bytes:
    """PNG bytes of an image."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def loss_curves(histories: dict[str, list[dict[str, float]]]) -> str:
    """Loss terms over epochs, one panel per training run, as an SVG element."""
    figure = svg_figure((4.2 * max(1, len(histories)), 2.8))
    for number, (title, history) in enumerate(histories.items(), start=1):
        axes = figure.add_subplot(1, len(histories), number)
        for name in dict.fromkeys(key for epoch in history for key in epoch):
            points = [(i + 1, epoch[name]) for i, epoch in enumerate(history) if name in epoch]
            axes.plot([x for x, _ in points], [y for _, y in points], marker=".", label=name)
        axes.set(title=title, xlabel="epoch", yscale="log")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    return svg(figure)


def svg_figure(size: tuple[float, float]) -> Figure:
    """An empty figure of ``size`` (width, height) inches."""
    import matplotlib

    matplotlib.use("agg")
    matplotlib.rcParams["svg.hashsalt"] = "wilss"  # the same plot gives the same bytes
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained")


def svg(figure: Figure) -> str:
    """A figure as an SVG element."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return buffer.getvalue()[buffer.getvalue().index("<svg") :]
