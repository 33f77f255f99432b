"""What lies in a bucket and belongs to nothing: of builders who came second or were killed, leases of the dead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from stores.folders import PARTS
from stores.leases import GATE_KEY, LEASES, Lease
from wilss.bucket.client import Held
from wilss.bucket.remote import COMMITS, FILES, Remote, commit_key, file_key
from wilss.damage import marks_in
from wilss.errors import DamagedArtefactError
from wilss.layout import KINDS, artefact_folder


class Rest(NamedTuple):
    """Objects that go together. name: kind and first digits of what they were to become, or what they are."""

    name: str
    keys: tuple[str, ...]
    bytes: int


def rest_of(remote: Remote) -> Iterator[Rest]:
    """Objects that nobody needs. Who asks has to be alone in the bucket, with all its manifests at hand."""
    leases, making = _leases(remote)
    groups: dict[str, list[Held]] = {}
    for held in [*remote.client.list(FILES), *remote.client.list(PARTS)]:
        _, kind, digest, *_ = [*held.key.split("/"), "", ""]
        groups.setdefault(f"{kind}/{digest}", []).append(held)
    for name, there in sorted(groups.items()):
        kind, digest = name.split("/")
        if name in making:
            continue
        wanted = _wanted(remote, kind, digest)
        if unwanted := [held for held in there if held.key not in wanted]:
            yield _rest(f"{kind} {digest[:12]}", unwanted)
    if leases:
        yield _rest("leases", leases)


def _leases(remote: Remote) -> tuple[list[Held], set[str]]:
    """Leases that ended, and what the others are of: a label set that somebody imports, say, who uses no store."""
    ended, making = list[Held](), set[str]()
    for held in remote.client.list(LEASES):
        if held.key == GATE_KEY:
            continue
        if Lease(remote.client, held.key).is_held():
            making.add(held.key.removeprefix(f"{LEASES}/").partition(".")[0])
        else:
            ended.append(held)
    return ended, making


def _wanted(remote: Remote, kind: str, digest: str) -> set[str]:
    """Objects of the files that a manifest lists; of one that cannot be read, all of them."""
    if kind not in KINDS or not remote.knows(kind, digest):
        return set()
    try:
        marks = marks_in(artefact_folder(remote.root, kind, digest))
    except DamagedArtefactError:
        return {held.key for held in remote.client.list(f"{FILES}/{kind}/{digest}")}
    return {file_key(kind, digest, name, mark) for name, mark in marks.items()}


def faults_in(remote: Remote) -> Iterator[str]:
    """In words, files that manifests list and the bucket lacks, or has in another size; none is read."""
    for held in remote.client.list(COMMITS):
        kind, _, file = held.key.removeprefix(f"{COMMITS}/").partition("/")
        digest = file.removesuffix(".json")
        try:
            marks = marks_in(artefact_folder(remote.root, kind, digest))  # type: ignore[arg-type]
        except DamagedArtefactError:
            continue  # told by itself
        sizes = {one.key: one.bytes for one in remote.client.list(f"{FILES}/{kind}/{digest}")}
        for name, mark in marks.items():
            key = file_key(kind, digest, name, mark)
            if sizes.get(key) != mark.bytes:
                seen = f"has {sizes[key]} bytes of {mark.bytes}" if key in sizes else "is gone"
                yield f"'{key}' of '{remote.client.address}' {seen}; run again what made {kind} {digest[:12]}"


def remove(remote: Remote, kind: str, digest: str) -> None:
    """Take an artefact from its bucket: its commit first, so that nobody finds half of it."""
    remote.client.delete(commit_key(kind, digest))
    remote.disown(kind, digest)
    for prefix in (FILES, PARTS):
        remote.client.delete(*(held.key for held in remote.client.list(f"{prefix}/{kind}/{digest}")))


def _rest(name: str, there: list[Held]) -> Rest:
    return Rest(name, tuple(held.key for held in there), sum(held.bytes for held in there))
