"""Reading images and masks from files, with errors that name the file. Only what returns tensors imports torch."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError

from wilss.data.claims import most_pixels
from wilss.data.depth import eight_bit
from wilss.data.mask_pixels import decode_mask
from wilss.errors import DataError, DataNotFoundError, WilssError

if TYPE_CHECKING:
    from torch import Tensor

PIXEL_LIMIT = Image.MAX_IMAGE_PIXELS or 0
"""Pillow refuses files of more than twice as many pixels: a small file may claim to be huge."""
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
"""Nothing else is decoded, whatever a file is called: some formats of Pillow's start other programs."""
BROKEN = (
    *(OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, EOFError),
    *(ZeroDivisionError, RuntimeError, struct.error, zlib.error),
)
"""What Pillow raises for files that are damaged, or made to do damage."""
REPLACE = "replace it, or leave such images out with --skip-unreadable"
LARGE, STRIP = 1 << 24, 256
"""Pixels of an image that is converted some rows at a time, and how many."""
UPRIGHT = 4
"""EXIF orientations above it are turned by a right angle."""


@dataclass(frozen=True)
class Header:
    """Of an image file: height and width as stored, and its EXIF orientation, 1 to 8."""

    stored: tuple[int, int]
    orientation: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width upright, as `read_rgb` gives them."""
        return self.stored[::-1] if self.orientation > UPRIGHT else self.stored


def read_rgb(path: Path, content: bytes | None = None) -> Tensor:
    """Decode an image file to RGB, upright by its EXIF tag; uint8 ``(3, H, W)``.

    Grey, palette, CMYK and deeper images are converted (`wilss.data.depth.eight_bit`); transparency is dropped.

    Args:
        content: its bytes, where they are at hand.

    Raises DataNotFoundError when there is no file, DataError when it cannot be decoded.
    """
    with opened(path, content) as image, decoding(path):
        return as_rgb(image)


def as_rgb(image: Image.Image) -> Tensor:
    """An opened image as `read_rgb` gives it. Raises what `BROKEN` lists when it cannot be decoded."""
    import torch

    upright = ImageOps.exif_transpose(image) if header_of(image).orientation != 1 else image
    decoded = eight_bit(upright)
    if decoded.mode != "RGB":  # where nothing is to be done Pillow would copy
        decoded = decoded.convert("RGB")
    return torch.from_numpy(_pixels(decoded)).permute(2, 0, 1)


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    """uint8 ``(H, W, 3)``; of a large image strip by strip, as Pillow hands its pixels over in two further copies."""
    width, height = image.size
    if width * height <= LARGE:
        return np.array(image, dtype=np.uint8)
    found = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, STRIP):
        found[top : top + STRIP] = np.asarray(image.crop((0, top, width, min(top + STRIP, height))))
    return found


def read_size(path: Path) -> tuple[int, int]:
    """Height and width that `read_rgb` gives, from the file's header alone. Raises as it does."""
    return read_header(path).size


def annotated_size(path: Path, stored: bool) -> tuple[int, int]:
    """Height and width that annotations mean which do not tell them; (0, 0) for an image that cannot be read.

    Args:
        stored: whether they were made for the pixels as stored, and not for the image as shown.
    """
    try:
        header = read_header(path)
    except (DataError, DataNotFoundError):
        return 0, 0
    return header.stored if stored else header.size


def read_header(path: Path, content: bytes | None = None) -> Header:
    """Size and orientation of an image, without decoding it. Raises as `read_rgb` does."""
    with opened(path, content) as image, decoding(path):
        return header_of(image)


def header_of(image: Image.Image) -> Header:
    """The same of an opened image. Raises what `BROKEN` lists for a damaged EXIF tag."""
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    turned = isinstance(orientation, int) and 1 <= orientation <= 8
    return Header((image.height, image.width), orientation if turned else 1)


def read_mask(path: Path) -> Tensor:
    """Decode a mask whose values are class ids: palette or grey of up to 16 bits; uint8 ``(H, W)``.

    Raises DataNotFoundError when there is no file, DataError for a colour image, ids above 255 or a broken file.
    """
    import torch

    with opened(path) as image, decoding(path):
        mask = decode_mask(image)
    if mask.problem or mask.is_colour:
        problem = mask.problem or f"has mode {mask.mode}; expected a palette or grey PNG of class ids"
        raise DataError(f"mask '{path}' {problem}")
    return torch.from_numpy(mask.values.astype(np.uint8))


def opened(path: Path, content: bytes | None = None, formats: tuple[str, ...] = FORMATS) -> Image.Image:
    """Open an image file, whose pixels are not read yet.

    Args:
        content: its bytes, where they are at hand. formats: of Pillow's that are decoded.

    Raises DataNotFoundError when there is no file, DataError for one that is no image, or too large.
    """
    if content is None and not path.is_file():
        raise DataNotFoundError(missing(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # large photographs are welcome
            image = Image.open(io.BytesIO(content) if content is not None else path, formats=formats)
        _require_held(path, image)
        return image
    except Image.DecompressionBombError as error:
        raise DataError(f"'{path}' is larger than {2 * PIXEL_LIMIT} pixels; shrink it first") from error
    except UnidentifiedImageError as error:
        raise DataError(_broken(path)) from error
    except WilssError:  # a ValueError that says what is wrong itself
        raise
    except BROKEN as error:
        raise DataError(_broken(path, error)) from error


def _require_held(path: Path, image: ImageFile.ImageFile) -> None:
    """Raise DataError for an opened image whose file is too small for its pixels."""
    if image.fp is not None and image.width * image.height > most_pixels(image, image.fp):
        image.close()
        claim = f"it claims {image.width} x {image.height} pixels, more than its bytes can hold"
        raise DataError(f"'{path}' cannot be decoded as an image ({claim}); {REPLACE}")


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """Errors inside become a DataError that names the file."""
    try:
        yield
    except Image.DecompressionBombError as error:
        raise DataError(f"'{path}' is larger than {2 * PIXEL_LIMIT} pixels; shrink it first") from error
    except WilssError:  # a ValueError that says what is wrong itself
        raise
    except BROKEN as error:
        raise DataError(_broken(path, error)) from error


def missing(path: Path) -> str:
    """What to say of a file that is not there."""
    if path.is_symlink():
        return f"'{path}' is a link to a file that is not there; fetch it (dvc pull, git annex get)"
    return f"'{path}' does not exist; give it, or mend the name or the list that names it"


def _broken(path: Path, error: BaseException | None = None) -> str:
    reason = f" ({str(error).splitlines()[0][:120]})" if error is not None and str(error).strip() else ""
    return f"'{path}' cannot be decoded as an image{reason}; {REPLACE}"
