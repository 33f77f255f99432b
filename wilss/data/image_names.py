"""Names of images as lists and tables write them: with suffix, folder, quotes, or as a pair of paths. No torch."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff")
MASK_ENDINGS = ("_mask", "-mask", ".mask", "_masks", "_label", "_labels", "_seg", "_segmentation", "_gt")
"""What tools put between the name of an image and the suffix of its mask."""
FOLDERS = ("images", "JPEGImages")
"""Folders of images, which lists may name before an image."""
_SUFFIX = "|".join(suffix[1:] for suffix in IMAGE_SUFFIXES)
PAIR = re.compile(rf"(?P<image>.+?\.(?:{_SUFFIX}))[\s,;]+(?P<mask>\S.*\.(?:png|tiff?|bmp))", re.IGNORECASE)
"""A line of WILSON's, MiB's, PFENet's and BAM's lists: "/JPEGImages/x.jpg /SegmentationClassAug/x.png"."""


def composed(name: str) -> str:
    """A name with its accents composed (NFC): systems write "é" in two ways, and people see one."""
    return unicodedata.normalize("NFC", name)


def image_id_of(written: str) -> str:
    """The id that a list or table means: no quotes, no folder of images before it, no suffix of an image."""
    name = composed(written.strip().strip("\"'").replace("\\", "/"))
    while name.startswith("./"):
        name = name[2:]
    parts = name.split("/")
    at = max((k for k, part in enumerate(parts[:-1]) if part in FOLDERS), default=-1)
    return without_suffix("/".join(parts[at + 1 :]))


def without_suffix(name: str) -> str:
    """A name without the suffix of an image, in any case."""
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and stem and f".{suffix.lower()}" in IMAGE_SUFFIXES else name


def known_id(written: str, names: Mapping[str, str]) -> str | None:
    """The id of an image that is there; None where none is meant.

    Args:
        names: file names and ids, composed -> id.
    """
    as_it_is = composed(written.strip())
    if as_it_is in names:
        return names[as_it_is]
    plain = image_id_of(written)
    return names.get(plain) or names.get(plain.lstrip("/"))


def first_of_pair(line: str) -> tuple[str, str | None]:
    """A line of a list as (image, mask), the mask None where the line names an image alone."""
    found = PAIR.fullmatch(line.strip())
    return (found["image"], found["mask"]) if found else (line.strip(), None)
