"""The twenty silhouettes of the built-in world as outlines. No torch.

A silhouette is a list of primitives in the unit frame ``[-1, 1]^2`` (x to the right, y down), drawn in order:
``("poly", points)``, ``("ellipse", (x0, y0, x1, y1))`` and the same with ``"-"`` in front to cut a hole.
Classes differ by outline alone: colour and texture are drawn at random by `wilss.data.scenes.world`.
"""

from __future__ import annotations

from math import cos, pi, sin

Primitive = tuple[str, tuple[float, ...]]

N_BLOBS = 12
MAX_OBJECTS = 3
"""Objects of one scene, all of different classes."""
N_CLUTTER = 2
LEAST, MOST = MAX_OBJECTS, 254
"""Classes of a world: a scene's objects differ; masks are uint8, where 0 is background and 255 void."""


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
