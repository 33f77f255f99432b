"""Looking at everything that a store holds, and mending what is damaged."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from stores.artefacts import GONE, Store, quarantine
from stores.bucket_rest import faults_in
from stores.collect import may_be_own
from stores.in_use import alone_in
from stores.inventory import Inventory, artefacts_of, lost_reports, read_report, report_files, take_stock
from stores.labels.review.check import review_faults, review_folders, reviews_without_set, save_review
from stores.locks import held_now
from stores.manifests import FORMAT, Manifest, read_manifest
from stores.registry import alias_faults, aliases_without_model, save_moves
from wilss.bucket.remote import remote_of
from wilss.damage import MEND, place_of, reading, require_file, require_seal
from wilss.errors import DamagedArtefactError, FormatError
from wilss.layout import KINDS, MANIFEST, QUARANTINE, Kind, published
from wilss.outside import checked, read_json, require_format

Mend = Callable[[Manifest], int]
"""Mends the damaged parts of an artefact where it lies, and returns how many; raises FormatError where it cannot."""


@dataclass(frozen=True)
class Checked:
    """What was looked at.

    unlisted: artefacts of format 1, which list no files, so that only their manifests could be looked at. missing: what
    reports, other artefacts, aliases and people's reviews name and the store lacks, in words.
    """

    artefacts: int
    reports: int
    unlisted: int
    faults: tuple[FormatError, ...]
    missing: tuple[str, ...]
    reviews: int = 0


def verify(root: Path) -> Checked:
    """Checksums of every file, seals of reports, reviews, moves of aliases; and whether what they name is there."""
    faults: list[FormatError] = []
    artefacts = unlisted = 0
    for _, folder in _artefacts(root):
        artefacts += 1
        found = list(faults_of(folder))
        faults += found
        unlisted += not found and not read_manifest(folder).files
    reports = report_files(root)
    faults += [fault for path in reports if (fault := _fault_of(path))]
    faults += lost_reports(root)
    reviews = review_folders(root)
    faults += [fault for folder in reviews for fault in review_faults(folder)]
    faults += alias_faults(root)
    missing = [*_missing(take_stock(root)), *aliases_without_model(root), *reviews_without_set(root)]
    if remote := remote_of(root):
        missing += faults_in(remote)
    return Checked(artefacts, len(reports), unlisted, tuple(faults), tuple(missing), len(reviews))


def _missing(stock: Inventory) -> Iterator[str]:
    there = {digest for _, digest in [*stock.manifests, *stock.damaged]}
    names = [(f"'{path}'", artefacts_of(report)) for path, report in stock.reports.items()]
    names += [(f"{kind} {digest[:12]}", manifest.parents) for (kind, digest), manifest in stock.manifests.items()]
    lacking: dict[str, list[str]] = {}
    for who, named in names:
        for role, digest in named.items():
            if digest not in there:
                lacking.setdefault(digest, []).append(f"{who} names as its '{role}'")
    for digest, users in sorted(lacking.items()):
        more = f", and {len(users) - 1} more name it" if users[1:] else ""
        yield f"{digest[:12]} is not there, which {users[0]}{more}; make it anew: run again what made it"


def faults_of(folder: Path) -> Iterator[FormatError]:
    """What is wrong with an artefact, file by file; of one that lies in another's place also by its own manifest."""
    manifest: Manifest | None
    try:
        manifest = read_manifest(folder)
    except FormatError as error:
        yield error
        manifest = _told(folder)
    if manifest:
        yield from _file_faults(folder, manifest)


def _file_faults(folder: Path, manifest: Manifest) -> Iterator[FormatError]:
    for name in manifest.files:
        try:
            require_file(folder, manifest.files, name)
        except FormatError as error:
            yield error


def repair(root: Path, mend: Mend | None = None) -> Iterator[str]:
    """Mend what can be mended, move the rest of what is damaged out of the way, and say so, line by line.

    What is newer than this version stays. The next run that wants what is moved makes it again, but for label sets
    that were made by hand, whose masks somebody has to import again.

    Args:
        mend: for label sets.
    """
    yield from map(str, lost_reports(root))
    yield from settle(root)
    yield from _moved_back(root)
    for kind, folder in list(_artefacts(root)):
        fault = next(_damage_of(folder), None)
        if fault is not None:
            yield _locked(root, kind, folder, fault, mend)
    for folder in review_folders(root):
        yield from save_review(root, folder)
    yield from save_moves(root)
    for path in report_files(root):
        if isinstance(broken := _fault_of(path), DamagedArtefactError):
            place = root / QUARANTINE / "reports" / f"{path.parent.name}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
            place.mkdir(parents=True)
            path.replace(place / path.name)
            if remote := remote_of(root):
                with remote.alone():
                    remote.documents.drop(path)
            yield f"{broken.fault}; moved to '{place}', run again to write it anew"


def _locked(root: Path, kind: Kind, folder: Path, fault: DamagedArtefactError, mend: Mend | None) -> str:
    staging = Store(root).staging(kind, folder.name)
    lock = Path(f"{staging}.lock")
    with held_now(lock) as free:
        if not free:
            return f"{fault.fault}; a run is making it anew"
        if Store(root).folders.heal(folder):
            return f"{fault.fault}; brought anew from its bucket"
        said = _mended(root, kind, folder, fault, mend)
        if not staging.is_dir():
            lock.unlink(missing_ok=True)
        return said


def settle(root: Path) -> Iterator[str]:
    """Put back what a killed process had moved aside to replace it and replaced by nothing; the rest of it goes."""
    with alone_in(root) as alone:
        for kind in KINDS if alone else ():
            for aside in sorted((root / kind).glob(".replaced-*")):
                digest = aside.name.removeprefix(".replaced-")
                if digest.endswith(GONE):  # it was being deleted
                    shutil.rmtree(aside)
                    yield f"settled {kind} {digest[:12]}, which a killed process was deleting"
                else:
                    Store(root).settle(kind, digest)
                    yield f"settled {kind} {digest[:12]}, which a killed process was replacing"


def _moved_back(root: Path) -> Iterator[str]:
    """Put artefacts that lie in other ones' places, as after a swap, where their manifests say they belong.

    A whole one takes its place from what is not right there; a damaged one, which is mended at home, from none that
    stays. All go aside first, from where `settle` takes them home should this process be killed.
    """
    store = Store(root)
    with alone_in(root) as alone:
        going = _going_home(root) if alone else {}
        for home in (home for home in going.values() if home.exists() and home not in going):
            fault = next(_damage_of(home)).fault
            yield f"{fault}; moved to '{quarantine(root, _kind_of(home), home.name)}', what belongs there comes back"
        for folder, home in going.items():
            folder.replace(store.aside(_kind_of(home), home.name))
        for folder, home in going.items():
            store.settle(_kind_of(home), home.name)
            yield f"moved {_kind_of(home)} {home.name[:12]} back, which lay in '{folder}'"


def _going_home(root: Path) -> dict[Path, Path]:
    """Folder -> place of artefacts that lie elsewhere and may go home."""
    whole, torn = dict[Path, Path](), dict[Path, Path]()
    for _, folder in _artefacts(root):
        told = _told(folder)
        if told and (home := Store(root).path(told.kind, told.digest)) != folder:
            (torn if any(_file_faults(folder, told)) else whole).setdefault(home, folder)
    going = {folder: home for home, folder in {**torn, **whole}.items()}

    def is_stuck(home: Path) -> bool:
        return home.exists() and home not in going and not (home in whole and any(_damage_of(home)))

    while stuck := [folder for folder, home in going.items() if is_stuck(home)]:
        for folder in stuck:
            del going[folder]
    return going


def _kind_of(home: Path) -> Kind:
    return next(kind for kind in KINDS if kind == home.parent.parent.name)


def _damage_of(folder: Path) -> Iterator[DamagedArtefactError]:
    return (fault for fault in faults_of(folder) if isinstance(fault, DamagedArtefactError))


def _told(folder: Path) -> Manifest | None:
    """The manifest in a folder wherever it lies; None for one that is not as it was written, or lists no files."""
    try:
        with reading(folder, MANIFEST):
            content = read_json(folder / MANIFEST, MEND)
            require_seal(content)
            require_format(content, folder / MANIFEST, FORMAT)
            manifest = checked(Manifest, content, folder / MANIFEST, MEND)
    except FormatError:
        return None
    return manifest if manifest.seal and manifest.files else None


def _mended(root: Path, kind: Kind, folder: Path, fault: DamagedArtefactError, mend: Mend | None) -> str:
    if kind == "labels" and mend is not None:
        try:
            return f"{fault.fault}; {mend(read_manifest(folder))} shards were made anew"
        except FormatError:
            pass  # as a whole, then
    again = _what_makes_it_again(kind, folder)
    return f"{fault.fault}; moved to '{quarantine(root, kind, folder.name)}', {again}"


def _what_makes_it_again(kind: Kind, folder: Path) -> str:
    """In words; no run makes again what somebody made by hand, nor tells a manifest that is gone which that was."""
    run, hand = "the next run that wants it makes it anew", "take its masks again with 'wilss labels import FOLDER"
    if kind != "labels" or not may_be_own(folder):
        return run
    try:
        parent = read_manifest(folder).parents.get("parent", "SET")[:12]
    except FormatError:
        return f"{run}, unless it was made by hand: {hand} --parent SET'"
    return f"no run makes it, as it was made by hand: {hand} --parent {parent}'"


def _artefacts(root: Path) -> Iterator[tuple[Kind, Path]]:
    for kind in KINDS:
        for folder in published(root, kind):
            if place_of(folder):
                yield kind, folder


def _fault_of(path: Path) -> FormatError | None:
    try:
        read_report(path)
    except FormatError as error:
        return error
    return None
