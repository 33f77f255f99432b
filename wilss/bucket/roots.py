"""From what a user names as root to the folder that everything works in."""

from __future__ import annotations

from pathlib import Path

from wilss.bucket.address import parse_address, working_root
from wilss.bucket.remote import remote_of


def open_root(place: str | Path) -> Path:
    """The working root of a bucket, with what the bucket has by now.

    Raises SpecError for an address that is none, BucketError for a bucket that cannot be read.
    """
    root = working_root(parse_address(place))
    remote = remote_of(root)
    assert remote is not None  # `working_root` marked it
    remote.pull()
    return root
