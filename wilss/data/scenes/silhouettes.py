"""Silhouettes as pixels: the classes of the built-in world and the blobs that clutter it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import pi

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from wilss.data.scenes.outlines import N_BLOBS, SILHOUETTES, Primitive, spikes

ATLAS_SIZE = 192


@dataclass(frozen=True)
class ShapeSet:
    """What a world is drawn from.

    coverage: float32 ``(n_classes + N_BLOBS, ATLAS_SIZE, ATLAS_SIZE)`` in [0, 1], the classes and then the clutter.
    """

    coverage: Tensor
    n_classes: int


def rasterise(primitives: list[Primitive], size: int) -> Tensor:
    """Coverage of one silhouette, float32 ``(size, size)`` in [0, 1], with a 10 % margin on each side."""
    scale = 4
    canvas = Image.new("L", (size * scale, size * scale), 0)
    pen = ImageDraw.Draw(canvas)
    for kind, numbers in primitives:
        points = [(0.5 + 0.4 * value) * size * scale for value in numbers]
        draw = pen.ellipse if kind.endswith("ellipse") else pen.polygon
        draw(points, fill=0 if kind.startswith("-") else 255)
    small = canvas.resize((size, size), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(small, dtype=np.float32) / 255.0)


def smooth_outline(rng: np.random.Generator, roughness: float, lowest: float, n_waves: int) -> tuple[float, ...]:
    """A closed curve about the middle as x, y pairs: a circle with ``n_waves`` waves, the k-th of size 1 / k.

    Args:
        roughness: deviation of the first wave. lowest: least distance from the middle.
    """
    angles = np.linspace(0, 2 * pi, 48, endpoint=False)
    waves = sum(
        rng.normal(0, roughness / k) * np.cos(k * angles + rng.uniform(0, 2 * pi)) for k in range(1, n_waves + 1)
    )
    return spikes([float(radius) for radius in np.clip(0.68 + waves, lowest, 1.0)])


def _blob(index: int) -> list[Primitive]:
    """A smooth random outline (even index) or a bar (odd): clutter that is no class."""
    rng = np.random.default_rng(1000 + index)
    if index % 2:
        half = float(rng.uniform(0.12, 0.3))
        return [("poly", (-1, -half, 1, -half, 1, half, -1, half))]
    return [("poly", smooth_outline(rng, roughness=0.22, lowest=0.25, n_waves=5))]


def with_clutter(silhouettes: Sequence[list[Primitive]]) -> ShapeSet:
    """Classes of these silhouettes, and the world's clutter."""
    shapes = [*silhouettes, *(_blob(index) for index in range(N_BLOBS))]
    return ShapeSet(torch.stack([rasterise(shape, ATLAS_SIZE) for shape in shapes]), len(silhouettes))


@lru_cache(maxsize=1)
def class_shapes() -> ShapeSet:
    """The twenty classes in order."""
    return with_clutter(list(SILHOUETTES.values()))
