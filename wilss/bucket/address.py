"""What names a bucket as root, and the local folder that stands for it; or a bucket that holds data."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes, urlsplit

from pydantic import BaseModel, ConfigDict

from wilss.errors import SpecError
from wilss.outputs import whole_file, writable_folder
from wilss.outside import checked, read_json
from wilss.words import bytes_of

OF_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")
"""Begins an address; a `Path` of it has one slash less."""
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
PREFIX = re.compile(r"[A-Za-z0-9!_.*'()-]+(?:/[A-Za-z0-9!_.*'()-]+)*")
"""Letters that need no escape anywhere."""
OWN = ".bucket"
"""Folder of a working root for what is known of its bucket; with `MARKER` it says which that is."""
MARKER = "bucket.json"
ADVICE = "delete that working root: the bucket has what counts"
DEFAULT_SIZE = "20GB"


class Use(NamedTuple):
    """What a bucket is named for: the option, what it is called, and what one has to be allowed there."""

    option: str
    noun: str
    rights: str


ROOT = Use("root", "root", "list, read, write and delete")
DATA = Use("data", "data folder", "list and read")


class Address(NamedTuple):
    """A bucket and the prefix below which the root lies, "" for all of it."""

    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}" + (f"/{self.prefix}" if self.prefix else "")


class Marker(BaseModel):
    """What a working root says of its bucket; endpoint: "" for the provider's own. Never a credential."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    bucket: str
    prefix: str
    endpoint: str = ""

    @property
    def address(self) -> Address:
        """The bucket."""
        return Address(self.bucket, self.prefix)


def is_address(place: str | Path) -> bool:
    """Whether it names a bucket, not a folder."""
    return OF_SCHEME.match(str(place)) is not None


class BucketPath(type(Path())):  # type: ignore[misc]  # which is that of this system
    """What an object below an address is called; unlike other paths it is written with two slashes."""

    def __str__(self) -> str:
        scheme, colon, rest = super().__str__().partition(":/")
        return f"{scheme}{colon}/{rest}" if colon else scheme


def as_named(place: Path) -> Path:
    """A folder; one in a bucket as `BucketPath`."""
    return BucketPath(place) if is_address(place) and not isinstance(place, BucketPath) else place


def data_folder(place: Path) -> Path:
    """A folder of data as a user names it. Raises SpecError for an address that is none of a bucket."""
    if is_address(place):
        parse_address(place, DATA)
    return as_named(place)


def parse_address(place: str | Path, use: Use = ROOT) -> Address:
    """The bucket that is named. Raises SpecError, without the text where it may hold a password."""
    scheme = OF_SCHEME.match(text := str(place))
    rest = text[scheme.end() :].rstrip("/") if scheme else ""
    text = f"{scheme[1]}://{rest}" if scheme else text
    bucket, _, prefix = rest.partition("/")
    if "@" in text or "?" in text or "#" in text:
        raise SpecError(
            f"the address of a {use.noun} holds a user, a password or options; give s3://BUCKET/PREFIX alone: "
            "credentials come from the environment or the profile, as the provider's own tools read them"
        )
    if not scheme or scheme[1].lower() != "s3":
        raise SpecError(f"'{text[:80]}' is no {use.noun}; a {use.noun} is a folder or s3://BUCKET/PREFIX")
    if not BUCKET.fullmatch(bucket) or (prefix and not PREFIX.fullmatch(prefix)) or ".." in prefix.split("/"):
        raise SpecError(
            f"'{text[:80]}' names no bucket and prefix; a {use.noun} is s3://BUCKET/PREFIX, its prefix of letters, "
            "digits, '-', '_', '.' and '/'"
        )
    return Address(bucket, prefix)


def endpoint_here() -> str:
    """Where the environment says that the provider answers, "" for its own place. Raises SpecError for a password."""
    said = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    parts = urlsplit(said)
    if parts.username or parts.password:
        raise SpecError("AWS_ENDPOINT_URL holds a user or a password; give the address of the server alone")
    return said.rstrip("/")


def working_root(address: Address) -> Path:
    """The local folder of a bucket, which is made and says what it is.

    It lies in ``WILSS_CACHE``, else in ``XDG_CACHE_HOME/wilss``, else in ``~/.cache/wilss``.
    """
    marker = Marker(bucket=address.bucket, prefix=address.prefix, endpoint=endpoint_here())
    name = hashlib.sha256(f"{address} {marker.endpoint}".encode()).hexdigest()[:12]
    folder = cache_home() / "buckets" / f"{address.bucket}-{name}"
    path = folder / OWN / MARKER
    if not path.is_file():
        writable_folder(path.parent)
        with whole_file(path, shared=True) as partial:
            partial.write_text(marker.model_dump_json(), encoding="utf-8")
    return folder


def escaped(name: str) -> str:
    """A path of a file as objects are named: whatever a disk has for a name, a bucket takes so."""
    return quote(os.fsencode(name), safe="/")


def unescaped(name: str) -> str:
    """The path of a file from what `escaped` made."""
    return os.fsdecode(unquote_to_bytes(name))


def cache_home() -> Path:
    """Where working roots lie."""
    home = os.environ.get("XDG_CACHE_HOME")
    return Path(os.environ.get("WILSS_CACHE") or (Path(home) if home else Path.home() / ".cache") / "wilss").absolute()


def cache_bytes() -> int:
    """How much the files of artefacts in a working root may take, by ``WILSS_CACHE_SIZE``. Raises SpecError."""
    try:
        return bytes_of("WILSS_CACHE_SIZE", os.environ.get("WILSS_CACHE_SIZE") or DEFAULT_SIZE)
    except ValueError as error:
        raise SpecError(str(error)) from error


def marker_of(root: Path) -> Marker | None:
    """What a folder says of its bucket; None for one that is no working root."""
    path = root / OWN / MARKER
    if not path.is_file():
        return None
    return checked(Marker, read_json(path, ADVICE), path, ADVICE)
