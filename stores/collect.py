"""What nobody needs: artefacts that no report, child set or other artefact names, and what killed processes left."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stores.artefacts import GONE, Manifest, Store, read_manifest
from stores.bucket_rest import remove, rest_of
from stores.in_use import alone_in
from stores.inventory import Inventory, artefacts_of, mentioned, plain, size_of, take_stock
from stores.labels.review.check import review_folders, reviews_without_set
from stores.labels.review.review import reviews_folder
from stores.locks import held_now
from stores.registry import held_by_aliases
from wilss.aliases import moves_of
from wilss.bucket.address import OWN
from wilss.bucket.remote import remote_of
from wilss.errors import FormatError
from wilss.layout import KINDS, QUARANTINE, cache_folder
from wilss.outside import read_json

What = Literal["artefact", "unfinished", "lock", "partial file", "replaced", "quarantined", "cache", "in the bucket"]
YOUNG = 3600.0
"""Seconds."""
PARAMETERS = {"schedules": "wilss schedule", "deployments": "wilss deploy"}
"""Folders below the service's own that hold parameters of runs, a JSON file each, and the command that writes them."""


@dataclass(frozen=True)
class Item:
    """Something that may go.

    name: kind and first digits of what it is or was to become, where it has them.
    """

    what: What
    path: Path
    bytes: int
    name: str = ""


@dataclass(frozen=True)
class Found:
    """What may go, and why some of it stays for now."""

    items: tuple[Item, ...]
    kept: tuple[str, ...]


def find_garbage(root: Path, alone: bool) -> Found:
    """What nobody needs.

    Args:
        alone: no run uses the store; otherwise only what no process has locked may go, and no artefact.
    """
    stock, items, kept = take_stock(root), [*_unlocked(root), *_cached(root)], []
    if not alone:
        kept.append("a run uses this store: artefacts, partial files and what it replaces stay; ask again when it ends")
        return Found(tuple(items), tuple(kept))
    items += _partial(root)
    needed, unknown = needs(root, stock)
    if unknown:
        kept.append(f"artefacts stay, as it is unknown what is needed: {unknown}")
    else:
        for kind, digest in sorted(stock.manifests.keys() - needed):
            folder = root / kind / digest[:2] / digest
            items.append(Item("artefact", folder, size_of(folder), f"{kind} {digest[:12]}"))
    items += _quarantined(root, stock, bool(unknown))
    items += _in_bucket(root)
    return Found(tuple(items), (*kept, *reviews_without_set(root)))


def needs(root: Path, stock: Inventory) -> tuple[set[tuple[str, str]], str]:
    """What reports, aliases, parameters of runs to come, reviews and own label sets need, and its parents.

    Returns:
        Kind and digest of each; and why this cannot be told, "" where it can.
    """
    aside, unsure = _moved_sets(root, stock)
    known = {**aside, **stock.manifests}
    digests = {digest for _, digest in [*known, *stock.damaged]}
    wanted = {key[1] for key, manifest in known.items() if is_own(manifest)}
    wanted |= {folder.name for folder in review_folders(root)}  # people looked at these sets
    wanted |= {d for kind, d in stock.damaged if kind == "labels" and may_be_own(Store(root).path("labels", d))}
    for report in stock.reports.values():
        wanted |= mentioned([artefacts_of(report), report.spec, report.command], digests)
    names, unnamed = _named(root)
    named = mentioned(names, digests)
    scores = {d for (kind, d), m in known.items() if kind == "evaluations" and m.parents.get("checkpoint") in named}
    wanted |= named | scores  # how good a model in use is, too
    needed: set[tuple[str, str]] = set()
    while wanted:
        new = {key for key in [*known, *stock.damaged] if key[1] in wanted} - needed
        needed |= new
        wanted = set()
        for key in new & known.keys():
            wanted |= mentioned(plain(known[key]), digests)
    unread = [*stock.unread, *unsure, *unnamed, *(stock.damaged[key] for key in sorted(needed & stock.damaged.keys()))]
    return needed, str(unread[0]) if unread else ""


def _named(root: Path) -> tuple[list[Any], list[FormatError]]:
    """What aliases point to and would go back to, and what parameters of runs to come name; and those that tell not.

    Moves that are past keep nothing, nor does what a gate measured.
    """
    named: list[Any] = []
    faults: list[FormatError] = []
    try:
        named += held_by_aliases(moves_of(root)).values()
    except FormatError as error:
        faults.append(error)
    for folder, command in PARAMETERS.items():
        for path in sorted((root / "service" / folder).glob("*.json")):
            try:
                named.append(read_json(path, f"delete it, and write it again with '{command}'"))
            except FormatError as error:
                faults.append(error)
    return named, faults


def is_own(manifest: Manifest) -> bool:
    """Whether somebody made a label set by hand: no run could make it again."""
    return manifest.kind == "labels" and "scorer" not in manifest.recipe and manifest.recipe.get("stage") != "final"


def may_be_own(folder: Path) -> bool:
    """Whether a damaged label set is such a one, or nobody can tell as its manifest cannot be read."""
    try:
        return is_own(read_manifest(folder))
    except FormatError:
        return True


def _moved_sets(root: Path, stock: Inventory) -> tuple[dict[tuple[str, str], Manifest], list[FormatError]]:
    """Label sets that were moved out of the way and not made anew; and what is wrong with those that tell nothing."""
    found: dict[tuple[str, str], Manifest] = {}
    faults = []
    for folder in sorted((root / QUARANTINE / "labels").glob("*")):
        digest = folder.name.rpartition("-")[0]
        if ("labels", digest) not in stock.manifests:
            try:
                found["labels", digest] = read_manifest(folder)
            except FormatError as error:
                faults.append(error)
    return found, faults


def collect(root: Path) -> Iterator[Item]:
    """Delete what `find_garbage` names, one by one."""
    with alone_in(root) as alone:
        for item in find_garbage(root, alone).items:
            if _remove(root, item):
                yield item


def _remove(root: Path, item: Item) -> bool:
    """Delete it unless a process holds its lock."""
    if item.what == "lock":
        with held_now(item.path) as free:
            if free:
                item.path.unlink(missing_ok=True)
            return free
    if item.what == "unfinished":
        with held_now(Path(f"{item.path}.lock")) as free, held_now(Path(f"{item.path}.parts.lock")) as whole:
            if free and whole:
                shutil.rmtree(item.path, ignore_errors=True)
                for left in item.path.parent.glob(f"{item.path.name}.*"):
                    left.unlink(missing_ok=True)
            return free and whole
    if item.what == "cache":
        leaving = _leaving(root)
        shutil.rmtree(leaving, ignore_errors=True)
        if item.path.exists():  # it was the rest of another deletion
            item.path.replace(leaving)
            shutil.rmtree(leaving)
    elif item.what == "in the bucket":
        _remove_in_bucket(root, item)
    elif item.what == "artefact":
        if remote := remote_of(root):
            remove(remote, item.path.parent.parent.name, item.path.name)
        gone = item.path.parent.parent / f".replaced-{item.path.name}{GONE}"
        item.path.replace(gone)  # at once, so that nobody meets half of it
        shutil.rmtree(gone)
    elif item.path.is_dir() and not item.path.is_symlink():
        shutil.rmtree(item.path)
    else:
        item.path.unlink(missing_ok=True)
    return True


def _in_bucket(root: Path) -> Iterator[Item]:
    """What lies in the bucket, where the root is one, and belongs to nothing."""
    if remote := remote_of(root):
        for rest in rest_of(remote):
            yield Item("in the bucket", root / OWN / Path(rest.keys[0]).parent, rest.bytes, rest.name)


def _remove_in_bucket(root: Path, item: Item) -> None:
    if remote := remote_of(root):
        remote.client.delete(*(key for rest in rest_of(remote) if rest.name == item.name for key in rest.keys))


def _unlocked(root: Path) -> Iterator[Item]:
    """Unfinished work and locks that no process holds."""
    for kind in KINDS:
        for path in sorted((root / kind).glob(".staging-*")):
            digest = path.name.removeprefix(".staging-").partition(".")[0]
            staging = Store(root).staging(kind, digest)
            if path.is_dir() and _free(path):
                yield Item("unfinished", path, size_of(path), f"{kind} {digest[:12]}")
            elif path.is_file() and not staging.is_dir() and _free(staging):
                yield Item("lock", path, size_of(path), f"{kind} {digest[:12]}")
        for path in sorted((root / kind).glob("??/*.lock")):  # of an artefact that was being mended
            if _free(path.with_suffix("")):
                yield Item("lock", path, size_of(path), f"{kind} {path.name[:12]}")


def _free(staging: Path) -> bool:
    locks = [Path(f"{staging}.lock"), *staging.parent.glob(f"{staging.name}.*.lock")]
    for path in locks:
        if path.exists():
            with held_now(path) as free:
                if not free:
                    return False
    return True


def _cached(root: Path) -> Iterator[Item]:
    """What the inspector made to look at: it makes it again when somebody looks."""
    for path in (cache_folder(root), _leaving(root)):
        if path.is_dir():
            yield Item("cache", path, size_of(path), path.name.strip("."))


def _leaving(root: Path) -> Path:
    """Where the cache lies while it is deleted: the inspector may go on to make pictures."""
    return cache_folder(root).with_name(f".{cache_folder(root).name}{GONE}")


def _partial(root: Path) -> Iterator[Item]:
    for path in sorted(root.rglob("*.partial")):
        inside = cache_folder(root) in path.parents or _leaving(root) in path.parents
        staged = any(part.startswith(".staging-") for part in path.parts)
        if not (inside or staged or _is_being_written(root, path)):
            yield Item("partial file", path, size_of(path))
    for kind in KINDS:
        for path in sorted((root / kind).glob(".replaced-*")):
            digest = path.name.removeprefix(".replaced-").removesuffix(GONE)
            if path.name.endswith(GONE) or Store(root).path(kind, digest).exists():
                yield Item("replaced", path, size_of(path), f"{kind} {digest[:12]}")


def _is_being_written(root: Path, path: Path) -> bool:
    """Whether somebody may be painting this very mask: who reviews uses no lock of the store."""
    young = time.time() - path.stat().st_mtime < YOUNG
    return young and path.is_relative_to(reviews_folder(root))


def _quarantined(root: Path, stock: Inventory, unknown: bool) -> Iterator[Item]:
    """What was moved out of the way and has been made anew, or is needed by nobody."""
    digests = {digest for _, digest in stock.manifests}
    for kind in (*KINDS, "reports"):
        for path in sorted((root / QUARANTINE / kind).glob("*")):
            digest = path.name.rpartition("-")[0]
            if digest in digests or kind == "reports" or not (unknown or _is_wanted(root, stock, kind, digest)):
                yield Item("quarantined", path, size_of(path), f"{kind} {digest[:12]}")


def _is_wanted(root: Path, stock: Inventory, kind: str, digest: str) -> bool:
    reports = [[artefacts_of(report), report.spec] for report in stock.reports.values()]
    manifests = [plain(manifest) for manifest in stock.manifests.values()]
    return kind == "labels" or bool(mentioned([*reports, *manifests, *_named(root)[0]], [digest]))
