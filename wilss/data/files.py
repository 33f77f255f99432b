"""Reading images and masks from files, with errors that name the file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from wilss.errors import DataError, DataNotFoundError

PIXEL_LIMIT = Image.MAX_IMAGE_PIXELS or 0
"""Pillow refuses files of more than twice as many pixels: a small file may claim to be huge."""
UPRIGHT = 4
"""EXIF orientations above it are turned by a right angle."""


def read_rgb(path: Path) -> Tensor:
    """Decode an image file to RGB, upright by its EXIF tag; uint8 ``(3, H, W)``.

    Grey, palette, CMYK and 16-bit grey images are converted; transparency is dropped.

    Raises DataNotFoundError when there is no file, DataError when it cannot be decoded.
    """
    with _open(path) as image, _decoding(path):
        return as_rgb(image)


def as_rgb(image: Image.Image) -> Tensor:
    """An opened image as `read_rgb` gives it. Raises OSError, SyntaxError or ValueError when it cannot be decoded."""
    decoded = _eight_bit(ImageOps.exif_transpose(image)).convert("RGB")
    return torch.from_numpy(np.array(decoded, dtype=np.uint8)).permute(2, 0, 1)


def file_size(path: Path) -> int:
    """Bytes of a file. Raises DataNotFoundError when there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError as error:
        raise DataNotFoundError(_missing(path)) from error


def read_size(path: Path) -> tuple[int, int]:
    """Height and width that `read_rgb` gives, from the file's header alone. Raises as it does."""
    with _open(path) as image:
        width, height = image.size
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) > UPRIGHT
    return (width, height) if turned else (height, width)


def read_mask(path: Path) -> Tensor:
    """Decode a palette or grey PNG to its label values; uint8 ``(H, W)``.

    Raises DataNotFoundError when there is no file, DataError for a colour image or a broken file.
    """
    with _open(path) as image:
        if image.mode not in ("P", "L", "1"):
            raise DataError(f"mask '{path}' has mode {image.mode}; expected a palette or 8-bit grey PNG of class ids")
        with _decoding(path):
            return torch.from_numpy(np.array(image, dtype=np.uint8))


def _open(path: Path) -> Image.Image:
    if not path.is_file():
        raise DataNotFoundError(_missing(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # large photographs are welcome
            return Image.open(path)
    except Image.DecompressionBombError as error:
        raise DataError(f"'{path}' is larger than {2 * PIXEL_LIMIT} pixels; shrink it first") from error
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(_broken(path)) from error


def _missing(path: Path) -> str:
    return f"'{path}' does not exist; is the split list of another data set, or a file missing?"


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(_broken(path)) from error


def _eight_bit(image: Image.Image) -> Image.Image:
    """16-bit grey comes as "I;16" or "I", which Pillow would cut off at 255 instead of scaling."""
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image).astype(np.float64)
    return Image.fromarray((values / 257).round().clip(0, 255).astype(np.uint8))


def _broken(path: Path) -> str:
    return f"'{path}' cannot be decoded as an image; replace it, or leave such images out with --skip-unreadable"
