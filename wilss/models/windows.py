"""A large image at its full size, window by window; what it takes beside image and result grows with the width alone.

Windows lie on the cells of the network's output, so that all their maps are parts of one. A map of the cells, not of
the pixels, is what windows are blended into: 64 times less at a stride of 8. Rows that no further window meets are
enlarged and forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor

from wilss.models.maps import output_maps
from wilss.models.passes import Passes
from wilss.nets.segmenter import Segmenter

BAND = 256
"""Rows of pixels that are enlarged at once."""
WIDTH, LEAST = 8, 1e-3
"""A window's side is so many standard deviations of its weight, which is never less than this share of the highest."""


@torch.inference_mode()
def highest_by_windows(model: Segmenter, image_3HW: Tensor, passes: Passes) -> Tensor:
    """Position of the highest output at every pixel, uint8 ``(H, W)`` on the CPU; ``passes`` has a window."""
    height, width = image_3HW.shape[1:]
    stride = model.spec.output_stride
    found = torch.empty(height, width, dtype=torch.uint8)
    first, kept = 0, None
    for block, is_last in _blocks(model, image_3HW, passes):
        rows = block if kept is None else torch.cat([kept, block], 1)
        end = first + rows.shape[1]
        top = 0 if kept is None else first * stride + stride // 2
        _enlarge(found, rows, first, stride, top, height if is_last else (end - 1) * stride + stride // 2)
        kept, first = rows[:, -1:], end - 1
    return found


def starts(total: int, side: int, overlap: float) -> list[int]:
    """Where windows begin that cover ``total`` cells, the last one flush with the end."""
    if total <= side:
        return [0]
    step = max(1, round(side * (1 - overlap)))
    return [*range(0, total - side, step), total - side]


def _blocks(model: Segmenter, image: Tensor, passes: Passes) -> Iterator[tuple[Tensor, bool]]:
    """Blended rows of cells from top to bottom, float32 ``(O, rows, columns)``, and whether they are the last."""
    assert passes.window is not None
    stride = model.spec.output_stride
    rows, columns = (ceil(side / stride) for side in image.shape[1:])
    side = max(1, round(passes.window / stride))
    tall, wide = min(side, rows), min(side, columns)
    weight = _weight(tall)[:, None] * _weight(wide)
    tops, lefts = starts(rows, side, passes.overlap), starts(columns, side, passes.overlap)
    total: Tensor | None = None
    for top, following in pairwise([*tops, rows]):
        for left in lefts:
            maps = _window(model, image, (top, left), (tall, wide), passes.tta)
            if total is None:
                weight = weight.to(maps.device)
                total = torch.zeros(len(maps) + 1, tall, columns, device=maps.device)
            total[:-1, :, left : left + wide] += maps * weight
            total[-1, :, left : left + wide] += weight
        assert total is not None
        done = following - top
        yield total[:-1, :done] / total[-1, :done], following == rows
        total = torch.cat([total[:, done:], torch.zeros_like(total[:, :done])], 1)


def _window(model: Segmenter, image: Tensor, at: Sequence[int], cells: Sequence[int], tta: bool) -> Tensor:
    """Outputs ``(O, *cells)`` of one window; beyond the image's edge its last pixels go on."""
    stride = model.spec.output_stride
    (top, left), (tall, wide) = ([k * stride for k in pair] for pair in (at, cells))
    part = image[:, top : top + tall, left : left + wide]
    below, right = tall - part.shape[1], wide - part.shape[2]
    if below or right:
        part = F.pad(part[None].float(), (0, right, 0, below), mode="replicate")[0].to(torch.uint8)
    maps = output_maps(model, part[None], tta)
    if maps.shape[-2:] != tuple(cells):
        maps = F.interpolate(maps, tuple(cells), mode="bilinear", align_corners=False)
    return maps[0]


def _weight(cells: int) -> Tensor:
    """Bell of a window's weight along one side."""
    places = torch.arange(cells) - (cells - 1) / 2
    return torch.exp(-0.5 * (places * WIDTH / cells) ** 2).clamp(min=LEAST)


def _enlarge(found: Tensor, rows: Tensor, first: int, stride: int, top: int, bottom: int) -> None:
    """Write the highest output of the pixel rows ``top`` to ``bottom``. rows: of cells, from the row ``first`` on."""
    width, most = found.shape[1], rows.shape[1] - 1
    for start in range(top, bottom, BAND):
        places = torch.arange(start, min(start + BAND, bottom), device=rows.device, dtype=torch.float32)
        places = ((places + 0.5) / stride - 0.5 - first).clamp(0, most)
        upper = places.long().clamp(max=most)
        lower, share = (upper + 1).clamp(max=most), (places - upper)[:, None]
        best = torch.full((len(places), width), -torch.inf, device=rows.device)
        here = torch.zeros(best.shape, dtype=torch.uint8, device=rows.device)
        for output, cells in enumerate(rows):
            size = (len(cells), cells.shape[1] * stride)
            wide = F.interpolate(cells[None, None], size, mode="bilinear", align_corners=False)[0, 0, :, :width]
            large = torch.lerp(wide[upper], wide[lower], share)
            here.masked_fill_(large > best, output)
            torch.maximum(best, large, out=best)
        found[start : start + len(places)] = here.cpu()
