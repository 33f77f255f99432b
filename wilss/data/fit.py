"""Canvas, crop and batch that suit the photographs of a folder: how large they are, and how large what is on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from wilss.data.source import VOID, Source

LOOKED_AT = 24
"""Images that are measured, evenly spread over the list."""
OBJECT_SIDE = 48
"""Side in pixels that half of what is marked should have on the canvas: three cells of a student of stride 16."""
MOST = 640
"""The canvas is enlarged to this side at most: an iteration's time goes with the square."""
CROP = 0.8
"""Side of the crop, share of the canvas."""
STEP = 32
"""Sides are multiples of it."""


@dataclass(frozen=True)
class Sizes:
    """Of photographs with masks.

    longer: longer side in pixels that nine of ten do not exceed. objects: median side of what is marked, share of its
    image's longer side; None where nothing is.
    """

    longer: int
    objects: float | None

    def reason(self, usual: Fit, fit: Fit) -> str:
        """Why the sizes are not the usual ones."""
        if fit.canvas < usual.canvas:
            return f"photographs have up to {self.longer} px"
        side = round((self.objects or 0) * usual.canvas)
        return f"half of what is marked of a class on an image is smaller than {side} px at {usual.canvas}"


@dataclass(frozen=True)
class Fit:
    """Canvas and crop in pixels, and images of a batch."""

    canvas: int
    crop: int
    batch: int


def sizes_of(source: Source, ids: Sequence[str], classes: Sequence[int]) -> Sizes:
    """Measure some images of a list and the area of each class on them; the side of an area is its square root."""
    chosen = [ids[k * len(ids) // LOOKED_AT] for k in range(LOOKED_AT)] if len(ids) > LOOKED_AT else list(ids)
    longer, sides = [], []
    for image_id in chosen:
        mask = source.mask(image_id)
        longer.append(max(mask.shape))
        areas = mask[mask != VOID].long().bincount(minlength=max(classes) + 1)
        sides += [float(areas[c]) ** 0.5 / max(mask.shape) for c in classes if areas[c]]
    ranked = sorted(longer)
    return Sizes(ranked[max(0, round(0.9 * len(ranked)) - 1)], median(sides) if sides else None)


def fitted(sizes: Sizes, usual: Fit) -> Fit:
    """The usual canvas, smaller where the photographs are, larger where objects are small on it.

    A larger crop has a smaller batch, of as many pixels.
    """
    wanted = OBJECT_SIDE / sizes.objects if sizes.objects else 0
    canvas = min(max(usual.canvas, min(wanted, MOST)), sizes.longer)
    if canvas == usual.canvas:
        return usual
    return at_canvas(usual, max(STEP * 2, -(-round(canvas) // STEP) * STEP))


def at_canvas(usual: Fit, side: int) -> Fit:
    """Crop and batch for a canvas of that side."""
    if side == usual.canvas:
        return usual
    crop = -(-int(CROP * side) // STEP) * STEP
    return Fit(side, crop, min(usual.batch, max(4, round(usual.batch * (usual.crop / crop) ** 2))))


def told(why: str, usual: Fit, fit: Fit) -> str:
    """What was chosen, and why; nothing where the usual sizes stay."""
    if fit == usual:
        return ""
    return (
        f"canvas {fit.canvas}, crop {fit.crop}, batch {fit.batch} of step 0 instead of {usual.canvas}, {usual.crop}, "
        f"{usual.batch}: {why}; --set data.fit=false keeps the usual ones"
    )
