"""Painted masks of a review: PNG files of one bit a pixel, named by what they show."""

from __future__ import annotations

import hashlib
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stores.labels.review.state import MASK
from wilss.architecture import MOST_PIXELS
from wilss.damage import damaged
from wilss.errors import DataError, FormatError, SpecError
from wilss.outputs import whole_file

MASKS = "masks"
FILE_BYTES = 16 << 20
Mask = NDArray[np.bool_]


def mask_digest(mask: Mask) -> str:
    """Name of a mask ``(H, W)``: the same pixels have the same one, however they are coded."""
    height, width = mask.shape
    return hashlib.sha256(f"{height} x {width}\n".encode() + np.packbits(mask, axis=1).tobytes()).hexdigest()[:32]


def put_mask(folder: Path, mask: Mask) -> str:
    """Keep a mask, bool ``(H, W)``, below a review's folder; it is on the disk when this returns its digest.

    Raises DataError for an array that is no mask.
    """
    if mask.ndim != 2 or mask.dtype != np.bool_ or not mask.size or max(mask.shape) > MOST_PIXELS:
        raise DataError(
            f"a painted mask is {mask.dtype} of shape {mask.shape}; expected is bool (H, W), 1 to {MOST_PIXELS} a side"
        )
    digest = mask_digest(mask)
    path = mask_path(folder, digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file():
        with whole_file(path, shared=True) as partial:
            Image.fromarray(mask).save(partial, format="PNG", optimize=True)
    return digest


def read_mask_file(folder: Path, digest: str) -> Mask:
    """A mask by its digest, bool ``(H, W)``. Raises DamagedArtefactError for one that is gone or shows another."""
    path = mask_path(folder, digest)
    try:
        with path.open("rb") as handle:
            return decode_mask(handle.read(FILE_BYTES + 1), digest)
    except (OSError, FormatError) as error:
        reason = getattr(error, "strerror", None) or error
        cure = "put a copy of it back, or paint the mask again"
        raise damaged(folder, path.relative_to(folder).as_posix(), reason, cure) from error


def mask_path(folder: Path, digest: str) -> Path:
    """File of a mask. Raises SpecError for what is no digest: it may come from others."""
    if not MASK.fullmatch(digest):
        raise SpecError(f"'{digest[:40]}' is no digest of a painted mask; it has 32 hexadecimal digits")
    return folder / MASKS / f"{digest}.png"


def decode_mask(content: bytes, digest: str, side: int = MOST_PIXELS) -> Mask:
    """The mask of a PNG file, bool ``(H, W)`` of at most ``side`` pixels a side; it may come from others.

    Raises FormatError for what is none, is larger than a mask may be, or shows another one than ``digest`` names.
    """
    if len(content) > FILE_BYTES:
        raise FormatError(f"it is larger than {FILE_BYTES} bytes")
    try:
        with Image.open(BytesIO(content), formats=["PNG"]) as image:  # the header alone: nothing is decoded yet
            if image.mode != "1" or max(image.size) > side:
                raise FormatError(f"it is {image.size} of mode {image.mode}; expected is 1 bit a pixel, {side} a side")
            mask = np.array(image, dtype=np.bool_)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise FormatError(f"it is no PNG file ({error!s:.100})") from error
    if mask_digest(mask) != digest:
        raise FormatError("it shows another mask than was painted")
    return mask
