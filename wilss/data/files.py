"""Reading images and masks from files, with errors that name the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from wilss.errors import DataError, DataNotFoundError


def read_rgb(path: Path) -> Tensor:
    """Decode an image file to RGB, upright by its EXIF tag; uint8 ``(3, H, W)``.

    Raises DataNotFoundError when there is no file, DataError when it cannot be decoded.
    """
    with _open(path) as image:
        return _tensor(path, ImageOps.exif_transpose(image), "RGB").permute(2, 0, 1)


def read_mask(path: Path) -> Tensor:
    """Decode a palette or grey PNG to its label values; uint8 ``(H, W)``.

    Raises DataNotFoundError when there is no file, DataError for a colour image or a broken file.
    """
    with _open(path) as image:
        if image.mode not in ("P", "L", "1"):
            raise DataError(f"mask '{path}' has mode {image.mode}; expected a palette or 8-bit grey PNG of class ids")
        return _tensor(path, image, None)


def _open(path: Path) -> Image.Image:
    if not path.is_file():
        raise DataNotFoundError(f"'{path}' does not exist; is the split list of another data set, or a file missing?")
    try:
        return Image.open(path)
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(_broken(path)) from error


def _tensor(path: Path, image: Image.Image, mode: str | None) -> Tensor:
    try:
        decoded = image.convert(mode) if mode else image
        return torch.from_numpy(np.array(decoded, dtype=np.uint8))
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(_broken(path)) from error


def _broken(path: Path) -> str:
    return f"'{path}' cannot be decoded as an image; replace it, or leave such images out with --skip-unreadable"
