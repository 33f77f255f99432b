"""The twenty silhouettes of the built-in world and the blobs that clutter it.

A silhouette is a list of primitives in the unit frame ``[-1, 1]^2`` (x to the right, y down), drawn in order:
``("poly", points)``, ``("ellipse", (x0, y0, x1, y1))`` and the same with ``"-"`` in front to cut a hole.
Classes differ by outline alone: colour and texture are drawn at random by `wilss.data.scenes.world`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import cos, pi, sin

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

Primitive = tuple[str, tuple[float, ...]]

ATLAS_SIZE = 192
N_BLOBS = 12
MAX_OBJECTS = 3
"""Objects of one scene, all of different classes."""


@dataclass(frozen=True)
class ShapeSet:
    """What a world is drawn from.

    coverage: float32 ``(n_classes + N_BLOBS, ATLAS_SIZE, ATLAS_SIZE)`` in [0, 1], the classes and then the clutter.
    """

    coverage: Tensor
    n_classes: int


def spikes(radii: list[float], phase: float = -pi / 2) -> tuple[float, ...]:
    """Closed polygon whose vertex k lies at ``radii[k]`` in direction ``phase + 2 pi k / n``, as x, y pairs."""
    n = len(radii)
    points: list[float] = []
    for k, radius in enumerate(radii):
        points += [radius * cos(phase + 2 * pi * k / n), radius * sin(phase + 2 * pi * k / n)]
    return tuple(points)


def _heart() -> tuple[float, ...]:
    points: list[float] = []
    for k in range(64):
        t = 2 * pi * k / 64
        y = 13 * cos(t) - 5 * cos(2 * t) - 2 * cos(3 * t) - cos(4 * t)
        points += [16 * sin(t) ** 3 / 17, -(y + 2.5) / 15.5]
    return tuple(points)


def _flower() -> list[Primitive]:
    petals: list[Primitive] = []
    for k in range(5):
        x, y = 0.58 * sin(2 * pi * k / 5), -0.58 * cos(2 * pi * k / 5)
        petals.append(("ellipse", (x - 0.42, y - 0.42, x + 0.42, y + 0.42)))
    return petals


SILHOUETTES: dict[str, list[Primitive]] = {
    "arrow": [("poly", (-1, -0.3, 0.1, -0.3, 0.1, -0.85, 1, 0, 0.1, 0.85, 0.1, 0.3, -1, 0.3))],
    "bolt": [("poly", (0.25, -1, -0.65, 0.2, -0.05, 0.2, -0.3, 1, 0.65, -0.3, 0.05, -0.3, 0.55, -1))],
    "bone": [
        ("poly", (-0.65, -0.2, 0.65, -0.2, 0.65, 0.2, -0.65, 0.2)),
        ("ellipse", (-1, -0.6, -0.4, 0.02)),
        ("ellipse", (-1, -0.02, -0.4, 0.6)),
        ("ellipse", (0.4, -0.6, 1, 0.02)),
        ("ellipse", (0.4, -0.02, 1, 0.6)),
    ],
    "bottle": [
        ("poly", (-0.2, -1, 0.2, -1, 0.2, -0.45, 0.5, -0.15, 0.5, 1, -0.5, 1, -0.5, -0.15, -0.2, -0.45)),
    ],
    "crescent": [("ellipse", (-1, -1, 1, 1)), ("-ellipse", (-0.35, -0.85, 1.35, 0.85))],
    "cross": [
        ("poly", (-0.33, -1, 0.33, -1, 0.33, 1, -0.33, 1)),
        ("poly", (-1, -0.33, 1, -0.33, 1, 0.33, -1, 0.33)),
    ],
    "crown": [("poly", (-1, -0.8, -0.5, -0.05, 0, -0.95, 0.5, -0.05, 1, -0.8, 0.85, 0.8, -0.85, 0.8))],
    "disc": [("ellipse", (-0.95, -0.95, 0.95, 0.95))],
    "fish": [("ellipse", (-1, -0.55, 0.55, 0.55)), ("poly", (0.25, 0, 1, -0.65, 0.8, 0, 1, 0.65))],
    "flower": [*_flower(), ("ellipse", (-0.4, -0.4, 0.4, 0.4))],
    "hammer": [("poly", (-0.95, -0.95, 0.95, -0.95, 0.95, -0.3, 0.2, -0.3, 0.2, 1, -0.2, 1, -0.2, -0.3, -0.95, -0.3))],
    "heart": [("poly", _heart())],
    "horseshoe": [
        ("ellipse", (-0.9, -1, 0.9, 0.8)),
        ("poly", (-0.9, -0.1, 0.9, -0.1, 0.9, 1, -0.9, 1)),
        ("-ellipse", (-0.4, -0.5, 0.4, 0.3)),
        ("-poly", (-0.4, -0.1, 0.4, -0.1, 0.4, 1.1, -0.4, 1.1)),
    ],
    "hourglass": [("poly", (-0.85, -1, 0.85, -1, 0.15, 0, 0.85, 1, -0.85, 1, -0.15, 0))],
    "mug": [
        ("ellipse", (0.1, -0.55, 1, 0.45)),
        ("-ellipse", (0.3, -0.3, 0.75, 0.2)),
        ("poly", (-0.85, -0.9, 0.4, -0.9, 0.4, 0.9, -0.85, 0.9)),
    ],
    "mushroom": [
        ("ellipse", (-1, -0.95, 1, 0.75)),
        ("-poly", (-1.1, -0.05, 1.1, -0.05, 1.1, 1, -1.1, 1)),
        ("poly", (-0.3, -0.1, 0.3, -0.1, 0.4, 0.95, -0.4, 0.95)),
    ],
    "ring": [("ellipse", (-1, -1, 1, 1)), ("-ellipse", (-0.5, -0.5, 0.5, 0.5))],
    "star": [("poly", spikes([1.0, 0.42] * 5))],
    "tree": [
        ("poly", (0, -1, 0.6, -0.3, -0.6, -0.3)),
        ("poly", (0, -0.65, 0.85, 0.5, -0.85, 0.5)),
        ("poly", (-0.18, 0.45, 0.18, 0.45, 0.18, 1, -0.18, 1)),
    ],
    "triangle": [("poly", (0, -0.95, 1, 0.85, -1, 0.85))],
}

CLASSES: tuple[str, ...] = tuple(SILHOUETTES)
"""The twenty foreground classes in alphabetical order; class id = position + 1, 0 is background."""


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
