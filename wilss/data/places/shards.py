"""Shards: tars of samples in one folder, read at the places where their files lie. No torch."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path

from wilss.data.image_names import composed
from wilss.data.index import SYSTEM
from wilss.data.places.bringing import at_once
from wilss.data.places.place import MOST_BYTES, Layout, Part, Ranged
from wilss.data.places.samples import LINKS, Sample, is_dotted, is_read, key_of, layout_of
from wilss.data.places.tar import PACKED, Member, members_of
from wilss.data.stamps import Stamps
from wilss.errors import DataError

ENDING = ".tar"
PACKED_ENDINGS = (".tgz", ".tbz", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst")
UNREAD = "field that is not read"
INDEX = "tar 2"
"""Kind of the remembered index of a tar; the number rises when it is made in another way."""


class Shards:
    """The tars of one folder as a place: the files in them have the path ``SHARD.tar/NAME``.

    Args:
        stamps: of the tars themselves; keeps their indexes. below: where they lie.
    """

    tagged: bool = True

    def __init__(self, root: Path, stamps: Stamps, below: Ranged) -> None:
        self._root, self._stamps, self._below = root, stamps, below
        self._parts: dict[Path, Part] = {}
        self._listed: dict[Path, str] = {}
        self.far = below.far

    def is_file(self, path: Path) -> bool:
        """See `wilss.data.places.place.Place`."""
        return path in self._parts or self._below.is_file(path)

    def is_folder(self, path: Path) -> bool:
        """See `wilss.data.places.place.Place`: what else would be ``images`` are the shards."""
        return path == self._root / "images" or self._below.is_folder(path)

    def stamp(self, path: Path) -> tuple[str, bool]:
        """See `wilss.data.places.place.Place`: that of the shard, and the place in it."""
        part = self._parts.get(path)
        if part is None:
            return self._below.stamp(path)
        stamp, settled = self._below.stamp(part.file)
        return f"{stamp} {part.start} {part.size}", settled

    def held(self, path: Path) -> bytes | None:
        """See `wilss.data.places.place.Place`. Raises DataError where the shard has changed since it was listed."""
        part = self._parts.get(path)
        if part is None:
            return self._below.held(path)
        if part.size > MOST_BYTES:
            raise DataError(f"'{path}' is larger than {MOST_BYTES >> 20} MiB; shrink it first")
        if self._below.stamp(part.file)[0] != self._listed[part.file]:
            raise DataError(f"'{part.file}' has changed since its files were listed; start again when it is whole")
        found = self._below.part(part.file, part.start, part.size)
        if len(found) != part.size:
            raise DataError(f"'{part.file}' ends within '{path.name}'; fetch or write it again")
        return found

    def lies(self, path: Path) -> Part:
        """See `wilss.data.places.place.Place`."""
        return self._parts.get(path) or self._below.lies(path)

    def layout(self, root: Path) -> Layout:
        """See `wilss.data.places.place.Place`. Raises DataError for a shard that cannot be read."""
        samples: dict[str, Sample] = {}
        passed: dict[str, list[str]] = {}
        shards = [root / name for name in tars_of(self._below.names(root))]
        if self.far:
            at_once(self._members, shards)
        for shard in shards:
            self._listed[shard] = self._below.stamp(shard)[0]
            members, others = self._members(shard)
            if others:
                passed.setdefault(LINKS, []).extend([f"{shard.name}/..."] * others)
            for member in members:
                self._take(shard, member, samples, passed)
        self._stamps.save()
        return layout_of(root, samples, {kind: tuple(names) for kind, names in passed.items()})

    def _members(self, shard: Path) -> tuple[Iterator[Member], int]:
        """What `members_of` finds, remembered."""
        found = json.loads(self._stamps.fact(shard, INDEX, self._index))
        return (Member(*entry) for entry in found["members"]), found["others"]

    def _index(self, shard: Path) -> dict[str, str]:
        members, others = members_of(shard, self._below)
        return {INDEX: json.dumps({"members": members, "others": others})}

    def _take(self, shard: Path, member: Member, samples: dict[str, Sample], passed: dict[str, list[str]]) -> None:
        """Sort a file of a shard to its sample, or to what is passed over."""
        name = composed(member.name.rpartition("/")[2])
        key, kind = key_of(name)
        if not key:
            passed.setdefault("hidden file", []).append(name)
        elif name.lower() in SYSTEM:
            passed.setdefault("system file", []).append(name)
        elif is_dotted(kind):
            passed.setdefault(UNREAD, []).append(name)
            samples.setdefault(key, Sample()).add(kind, shard / name)
        elif not is_read(kind):
            passed.setdefault(UNREAD, []).append(name)
        else:
            path = shard / name
            self._parts[path] = Part(shard, member.start, member.size)
            samples.setdefault(key, Sample()).add(kind, path)


def tars_of(names: Collection[str]) -> list[str]:
    """Those of a folder's files that are shards."""
    return [name for name in names if name.lower().endswith(ENDING) and not name.startswith(".")]


def has_shards(root: Path, place: Ranged) -> bool:
    """Whether a folder holds shards and no images of its own.

    Raises DataError for one with both, with masks beside shards, or with compressed shards.
    """
    names = place.names(root)
    packed = [name for name in names if name.lower().endswith(PACKED_ENDINGS) and not name.startswith(".")]
    tars = tars_of(names)
    if place.is_folder(root / "images"):
        if tars:
            raise DataError(
                f"'{root}' holds both images/ and shards such as '{tars[0]}', so that it is open which are meant; "
                "keep one of them"
            )
        return False
    if packed:
        cures = ", ".join(PACKED.values())
        raise DataError(
            f"'{root / packed[0]}' is compressed, so that no image in it can be read by itself; unpack it to a plain "
            f".tar ({cures}) and remove it"
        )
    if tars and place.is_folder(root / "masks"):
        raise DataError(
            f"'{root}' holds masks/ beside shards, which would not be read; put every mask into the shard of its "
            "image, as KEY.mask.png"
        )
    return bool(tars)
