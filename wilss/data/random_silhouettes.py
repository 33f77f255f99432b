"""Silhouettes drawn at random: a world of many shapes, none of which is one of the twenty classes on purpose.

A silhouette joins one to three parts (stars and gears, ellipses, bars, smooth outlines), and some have a hole. Those
that fill too little or too much of their frame are drawn again.
"""

from __future__ import annotations

from functools import lru_cache
from math import cos, pi, sin

import numpy as np

from wilss.data.silhouettes import Primitive, ShapeSet, rasterise, smooth_outline, spikes, with_clutter
from wilss.errors import SpecError

MOST = 254
"""Masks are uint8: 0 is background, 255 is void."""
COVER = (0.12, 0.5)
"""Least and largest share of the frame that a silhouette covers."""
P_HOLE, P_REGULAR = 0.4, 0.5


@lru_cache(maxsize=2)
def random_shapes(count: int, seed: int) -> ShapeSet:
    """``count`` silhouettes; number k depends on ``(seed, k)`` alone.

    Raises SpecError for a count that masks cannot hold.
    """
    if not 1 <= count <= MOST:
        raise SpecError(f"{count} silhouettes were asked for; masks hold 1 to {MOST}")
    return with_clutter([_silhouette(np.random.default_rng([seed, k])) for k in range(count)])


def _silhouette(rng: np.random.Generator) -> list[Primitive]:
    while True:
        parts = [_part(rng) for _ in range(int(rng.integers(1, 4)))]
        if rng.random() < P_HOLE:
            kind, numbers = _ellipse(rng) if rng.random() < 0.5 else _bar(rng)
            parts.append((f"-{kind}", numbers))
        if COVER[0] < float(rasterise(parts, 64).mean()) < COVER[1]:
            return parts


def _part(rng: np.random.Generator) -> Primitive:
    choose = (_star, _ellipse, _bar, _outline)[int(rng.integers(4))]
    return choose(rng)


def _star(rng: np.random.Generator) -> Primitive:
    """A polygon about the middle: regular, as a star or a gear is, or with every corner at its own distance."""
    corners = int(rng.integers(3, 11))
    regular = rng.random() < P_REGULAR
    radii = np.tile(rng.uniform(0.35, 1.0, 2), corners) if regular else rng.uniform(0.35, 1.0, corners)
    return "poly", spikes([float(radius) for radius in radii], float(rng.uniform(0, 2 * pi)))


def _ellipse(rng: np.random.Generator) -> Primitive:
    x, y = (float(value) for value in rng.uniform(-0.5, 0.5, 2))
    a, b = (float(value) for value in rng.uniform(0.2, 0.75, 2))
    return "ellipse", (max(-1.0, x - a), max(-1.0, y - b), min(1.0, x + a), min(1.0, y + b))


def _bar(rng: np.random.Generator) -> Primitive:
    x, y = (float(value) for value in rng.uniform(-0.6, 0.6, 2))
    a, b = (float(value) for value in rng.uniform(0.12, 0.8, 2))
    turn = float(rng.uniform(0, pi))
    points: list[float] = []
    for u, v in ((-a, -b), (a, -b), (a, b), (-a, b)):
        points += [x + cos(turn) * u - sin(turn) * v, y + sin(turn) * u + cos(turn) * v]
    return "poly", tuple(min(1.0, max(-1.0, value)) for value in points)


def _outline(rng: np.random.Generator) -> Primitive:
    return "poly", smooth_outline(rng, roughness=0.3, lowest=0.2, n_waves=6)
