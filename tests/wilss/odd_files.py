"""Small files as people's programs and cameras write them, made for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wilss.data.folder import FolderSource
from wilss.data.gate import examine
from wilss.data.palette import palette
from wilss.data.source import Source

CLASSES = ("cat", "dog", "hamster")
Array = NDArray[Any]


def noise(height: int = 32, width: int = 40, seed: int = 0) -> Image.Image:
    """A photograph of nothing."""
    return Image.fromarray(np.random.default_rng(seed).integers(60, 200, (height, width, 3), dtype=np.uint8))


def corner(height: int = 32, width: int = 40, value: int = 1) -> NDArray[np.uint8]:
    """A mask with an object in its upper left corner, so that no turn leaves it as it is."""
    mask = np.zeros((height, width), np.uint8)
    mask[: height // 2, : width // 4] = value
    return mask


def in_palette(mask: Array, colours: list[int] | None = None) -> Image.Image:
    """A palette image, in VOC's colours if no others are given."""
    image = Image.fromarray(mask.astype(np.uint8), "P")
    image.putpalette(palette() if colours is None else colours)
    return image


def folder(
    root: Path, masks: dict[str, Image.Image], rows: str = "", images: dict[str, Image.Image] | None = None
) -> Path:
    """A folder of one's own: an image for each mask, and a table."""
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    for number, (name, mask) in enumerate(masks.items()):
        mask.save(root / "masks" / f"{name}.png")
        if not images or name not in images:
            noise(mask.height, mask.width, number).save(root / "images" / f"{name}.jpg")
    for name, image in (images or {}).items():
        image.save(root / "images" / f"{name}.png")
    (root / "labels.csv").write_text(f"image,labels\n{rows}")
    return root


def opened(root: Path, **options: Any) -> FolderSource:
    """The folder as a run opens it."""
    return FolderSource(root, CLASSES, (1, 2), **options)


def told(source: Source, severity: str = "") -> list[str]:
    """What the gate finds, a sentence each."""
    found = examine(source)
    return [f"{f.severity} {f.kind}: {f}" for f in found if not severity or f.severity == severity]
