"""From the name of a data folder to what is known of its files, wherever they lie. No torch."""

from __future__ import annotations

from pathlib import Path

from wilss.data.places.place import DISK
from wilss.data.places.shards import Shards, has_shards
from wilss.data.stamps import Stamps


def known_of(root: Path, file: Path | None) -> Stamps:
    """What is known of the files of a data folder, whether they lie in shards or as they are.

    Args:
        file: see `Stamps`.

    Raises DataError for a folder with both images and shards, or with compressed shards.
    """
    stamps = Stamps(file, DISK)
    return Stamps(file, Shards(root, stamps, DISK)) if has_shards(root, DISK) else stamps
