"""From the name of a data folder to what is known of its files, wherever they lie. No torch."""

from __future__ import annotations

from pathlib import Path

from wilss.bucket.address import is_address
from wilss.data.places.place import DISK, Ranged
from wilss.data.places.shards import Shards, has_shards
from wilss.data.stamps import Stamps


def known_of(root: Path, file: Path | None) -> Stamps:
    """What is known of the files of a data folder, whether they lie on a disk or in a bucket, in shards or as they are.

    Args:
        root: a bucket's as `wilss.bucket.address.as_named` gives it. file: see `Stamps`.

    Raises DataError for a folder with both images and shards, or with compressed shards; and as `BucketFolder` does.
    """
    below = _place_of(root)
    stamps = Stamps(file, below)
    return Stamps(file, Shards(root, stamps, below)) if has_shards(root, below) else stamps


def state_of(root: Path) -> str:
    """What changes with any file of a folder that lies far away; "" for one of this disk. Raises as `known_of` does."""
    if not is_address(root):
        return ""
    from wilss.data.places.bucket import BucketFolder

    return BucketFolder(root).state


def _place_of(root: Path) -> Ranged:
    if not is_address(root):
        return DISK
    from wilss.data.places.bucket import BucketFolder  # which needs a library that not everybody has

    return BucketFolder(root)
