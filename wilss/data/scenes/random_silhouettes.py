"""Silhouettes drawn at random: a world of many shapes other than the twenty classes.

A silhouette joins parts (polygons, stars and gears, ellipses, bars, smooth outlines); about half are symmetric, as many
things are, and some have holes. It fills its frame. At least two parts are joined unless the first is a polygon, since
clutter looks like a lone bar or smooth outline. What overlaps with a class by `LIKE` or more, turned and mirrored as
training images are, is drawn again; weaker likenesses stay.
"""

from __future__ import annotations

from functools import lru_cache
from math import cos, pi, sin

import numpy as np
from PIL import Image

from wilss.data.scenes.outlines import LEAST, MOST, SILHOUETTES, Primitive, spikes
from wilss.data.scenes.silhouettes import ShapeSet, rasterise, smooth_outline, with_clutter
from wilss.errors import SpecError

SILHOUETTES_VERSION = 1
"""Raised whenever the same number and seed draw other silhouettes."""
COVER = (0.12, 0.5)
"""Least and largest share of the atlas's frame that a silhouette covers; a filled square covers 0.64."""
PROBE, FRAME = 64, 48
"""Sides at which silhouettes are measured and compared."""
LIKE = 0.8
"""Overlap (IoU) with a class, turned, mirrored or not, from which on a silhouette is too close to it."""
TURNS = range(-40, 41, 10)
"""Degrees: the world turns objects by up to 30, training images by 10 more."""
P_SYMMETRIC, P_HOLE, P_REGULAR = 0.5, 0.4, 0.5


@lru_cache(maxsize=2)
def random_shapes(count: int, seed: int) -> ShapeSet:
    """``count`` silhouettes; number k depends on ``(seed, k)`` alone.

    Raises SpecError for too few to fill a scene, or more than masks can hold.
    """
    if not LEAST <= count <= MOST:
        raise SpecError(f"{count} silhouettes were asked for; a world has {LEAST} to {MOST}")
    return with_clutter([_silhouette(np.random.default_rng([seed, k])) for k in range(count)])


def _silhouette(rng: np.random.Generator) -> list[Primitive]:
    while True:
        parts = _join(rng)
        mask = rasterise(parts, PROBE).numpy() > 0.5
        if not mask.any():
            continue
        parts = _fill_frame(parts, mask)
        picture = Image.fromarray(np.uint8(255 * rasterise(parts, PROBE).numpy()))
        if COVER[0] < np.asarray(picture).mean() / 255 < COVER[1] and overlap_with_classes(picture) < LIKE:
            return parts


def overlap_with_classes(picture: Image.Image) -> float:
    """Highest IoU of a silhouette, white on black, with a class, both enlarged to the same frame."""
    mask, classes = _framed(picture), _class_masks()
    both, either = (classes & mask).sum((1, 2)), (classes | mask).sum((1, 2))
    return float((both / either).max())


@lru_cache(maxsize=1)
def _class_masks() -> np.ndarray:
    """The classes in every turn, and mirrored: bool ``(20 * turns * 2, FRAME, FRAME)``."""
    pictures = [Image.fromarray(np.uint8(255 * rasterise(parts, PROBE).numpy())) for parts in SILHOUETTES.values()]
    turned = [picture.rotate(turn, Image.Resampling.BILINEAR, expand=True) for picture in pictures for turn in TURNS]
    masks = np.stack([_framed(picture) for picture in turned])
    return np.concatenate([masks, masks[:, :, ::-1]])


def _framed(picture: Image.Image) -> np.ndarray:
    """What is white, stretched to a square: bool ``(FRAME, FRAME)``; proportions are not compared."""
    box = picture.point(lambda value: 255 * (value > 127)).getbbox()
    return np.asarray(picture.resize((FRAME, FRAME), Image.Resampling.BILINEAR, box=box)) > 127


def _join(rng: np.random.Generator) -> list[Primitive]:
    parts = [_star(rng)] if rng.random() < 0.4 else [_part(rng), _part(rng)]
    parts += [_part(rng) for _ in range(int(rng.integers(0, 3)))]
    if rng.random() < P_HOLE:
        kind, numbers = _ellipse(rng) if rng.random() < 0.5 else _bar(rng)
        parts.append((f"-{kind}", numbers))
    if rng.random() < P_SYMMETRIC:
        parts = [twin for part in parts for twin in (part, _mirrored(part))]
        parts.sort(key=lambda part: part[0].startswith("-"))  # holes are cut from both halves
    return parts


def _mirrored(part: Primitive) -> Primitive:
    """The same on the other side of the vertical axis."""
    kind, numbers = part
    if kind.endswith("ellipse"):
        x0, y0, x1, y1 = numbers
        return kind, (-x1, y0, -x0, y1)
    return kind, tuple(-value if k % 2 == 0 else value for k, value in enumerate(numbers))


def _fill_frame(parts: list[Primitive], mask: np.ndarray) -> list[Primitive]:
    """Moved to the middle and enlarged until the longer side touches the frame; proportions stay.

    Args:
        mask: bool ``(PROBE, PROBE)``, the parts as `rasterise` draws them.
    """
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    # the frame [-1, 1] takes 80 % of what is rasterised
    low = [2.5 * float(line[0]) / PROBE - 1.25 for line in (columns, rows)]
    high = [2.5 * (float(line[-1]) + 1) / PROBE - 1.25 for line in (columns, rows)]
    scale = 2 / max(high[0] - low[0], high[1] - low[1])
    middle = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
    return [(kind, tuple((value - middle[k % 2]) * scale for k, value in enumerate(n))) for kind, n in parts]


def _part(rng: np.random.Generator) -> Primitive:
    choose = (_star, _ellipse, _bar, _outline)[int(rng.integers(4))]
    return choose(rng)


def _star(rng: np.random.Generator) -> Primitive:
    """A polygon about the middle: regular, as a star or a gear is, or with every corner at its own distance."""
    corners = int(rng.integers(3, 11))
    regular = rng.random() < P_REGULAR
    radii = np.tile(rng.uniform(0.25, 1.0, 2), corners) if regular else rng.uniform(0.25, 1.0, corners)
    return "poly", spikes([float(radius) for radius in radii], float(rng.uniform(0, 2 * pi)))


def _ellipse(rng: np.random.Generator) -> Primitive:
    x, y = (float(value) for value in rng.uniform(-0.5, 0.5, 2))
    a, b = (float(value) for value in rng.uniform(0.15, 0.7, 2))
    return "ellipse", (max(-1.0, x - a), max(-1.0, y - b), min(1.0, x + a), min(1.0, y + b))


def _bar(rng: np.random.Generator) -> Primitive:
    x, y = (float(value) for value in rng.uniform(-0.6, 0.6, 2))
    a, b = (float(value) for value in rng.uniform(0.08, 0.8, 2))
    turn = float(rng.uniform(0, pi))
    points: list[float] = []
    for u, v in ((-a, -b), (a, -b), (a, b), (-a, b)):
        points += [x + cos(turn) * u - sin(turn) * v, y + sin(turn) * u + cos(turn) * v]
    return "poly", tuple(min(1.0, max(-1.0, value)) for value in points)


def _outline(rng: np.random.Generator) -> Primitive:
    return "poly", smooth_outline(rng, roughness=0.3, lowest=0.2, n_waves=6)
