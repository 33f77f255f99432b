"""Images and labels of episodes on a square canvas, and predictions back at their original size.

Every image is resized until its longer side is S, small ones too, and lies at the top left of an S x S canvas; the rest
is black before normalisation, and void in labels. PFENet's validation transform (code), whose switches are "legacy":
both sides floored to multiples of 8, nothing smoothed when shrinking, and predictions enlarged as a whole square.
Geometry follows from an image's size alone, never from its label.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from wilss.data.images import to_canvas
from wilss.data.source import VOID
from wilss.errors import SpecError

FLOOR = 8
"""Legacy sides are multiples of it."""


def fitted_size(height: int, width: int, side: int, legacy: bool = False) -> tuple[int, int]:
    """Height and width of an image on a canvas of ``side`` x ``side``.

    Args:
        legacy: floor both sides to multiples of 8 (PFENet, BAM, SVF, IPMT): 375 x 500 is 352 x 472 of 473. Otherwise
            the longer side is ``side`` and the other rounded, at least 1.

    Raises SpecError for an empty image, or a canvas too small.
    """
    smallest = FLOOR if legacy else 1
    if min(height, width) < 1 or side < smallest:
        raise SpecError(f"an image of {height} x {width} does not fit a canvas of {side}; sides are {smallest} or more")
    longest = max(height, width)
    if not legacy:
        return max(1, round(height * side / longest)), max(1, round(width * side / longest))
    ratio = side / longest  # in this order for the code's truncation
    new = (side if length == longest else int(length * ratio) for length in (height, width))
    new_height, new_width = (max(FLOOR, length // FLOOR * FLOOR) for length in new)
    return new_height, new_width


def fit(image: Tensor, side: int, legacy: bool = False, nearest: bool = False) -> Tensor:
    """Resize uint8 ``(C, H, W)`` to its `fitted_size`.

    Args:
        nearest: keep values, for labels; otherwise bilinear.
        legacy: as the code: sides floored, no smoothing when shrinking, nearest pixels from their upper left corner.
    """
    size = fitted_size(image.shape[-2], image.shape[-1], side, legacy)
    if not legacy:
        image = to_canvas(image, side, nearest)  # shrinks only
    if image.shape[-2:] == size:
        return image
    if nearest:
        mode = "nearest" if legacy else "nearest-exact"
        return F.interpolate(image[None].float(), size, mode=mode)[0].to(torch.uint8)
    resized = F.interpolate(image[None].float(), size, mode="bilinear", align_corners=False)
    return resized[0].round().clamp(0, 255).to(torch.uint8)


def canvas_images(images: Sequence[Tensor], side: int, legacy: bool = False) -> tuple[Tensor, Tensor]:
    """N images uint8 ``(3, H, W)`` of any sizes on black canvases.

    Returns:
        uint8 ``(N, 3, side, side)``, and the true sizes int64 ``(N, 2)`` as (height, width).
    """
    stacked = torch.zeros(len(images), 3, side, side, dtype=torch.uint8)
    sizes = torch.zeros(len(images), 2, dtype=torch.int64)
    for row, image in enumerate(images):
        fitted = fit(image, side, legacy)
        height, width = fitted.shape[-2:]
        stacked[row, :, :height, :width] = fitted
        sizes[row] = torch.tensor([height, width])
    return stacked, sizes


def canvas_labels(labels: Sequence[Tensor], side: int, legacy: bool = False) -> Tensor:
    """N labels uint8 ``(H, W)`` of any sizes as uint8 ``(N, side, side)``; 255 outside the images."""
    stacked = torch.full((len(labels), side, side), VOID, dtype=torch.uint8)
    for row, label in enumerate(labels):
        fitted = fit(label[None], side, legacy, nearest=True)[0]
        stacked[row, : fitted.shape[0], : fitted.shape[1]] = fitted
    return stacked


def pad_masks(sizes: Tensor, side: int) -> Tensor:
    """True outside the image: sizes int64 ``(..., 2)`` as (height, width) -> bool ``(..., side, side)``."""
    positions = torch.arange(side, device=sizes.device)
    below = positions >= sizes[..., 0, None]
    right = positions >= sizes[..., 1, None]
    return below[..., :, None] | right[..., None, :]


def at_original_size(logits: Tensor, height: int, width: int, legacy: bool = False, square: bool = False) -> Tensor:
    """Predictions on the canvas ``(N, C, S, S)`` as ``(N, C, height, width)``, the original size of all N images.

    Args:
        legacy: as the images were fitted (`fitted_size`).
        square: enlarge the whole canvas to a square of the longer side and cut that, as ``ori_resize`` of PFENet's code
            does. The canvas holds a little less than S of the longer side there, so results lie up to 3 pixels off.

    Raises SpecError for logits that are not square.
    """
    side = logits.shape[-1]
    if logits.dim() != 4 or logits.shape[-2] != side:
        raise SpecError(f"logits have the shape {tuple(logits.shape)}; those of a square canvas are (N, C, S, S)")
    if square:
        longest = max(height, width)
        whole = F.interpolate(logits, (longest, longest), mode="bilinear", align_corners=True)
        return whole[..., :height, :width]
    fitted_height, fitted_width = fitted_size(height, width, side, legacy)
    true_area = logits[..., :fitted_height, :fitted_width]
    return F.interpolate(true_area, (height, width), mode="bilinear", align_corners=False)
