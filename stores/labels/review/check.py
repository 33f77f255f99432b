"""Reviews in a store: whether they are as they were written, whether their sets are there, and what can be saved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from stores.journal import put_aside, readable, write_anew
from stores.labels.review.log import ACTS, ActLog
from stores.labels.review.masks import MASKS, read_mask_file
from stores.labels.review.review import REVIEWS, Review, reviews_folder
from stores.labels.review.state import MASK, Act
from wilss.damage import damaged
from wilss.errors import DamagedArtefactError, FormatError
from wilss.layout import artefact_folder


def review_folders(root: Path) -> list[Path]:
    """Folders of the reviews of a store; each is named by its label set."""
    return sorted(folder for folder in reviews_folder(root).glob("*") if folder.is_dir() and folder.name.isalnum())


def reviews_without_set(root: Path) -> list[str]:
    """In words, the reviews whose label set is gone; nobody but a person may delete one."""
    return [
        f"the review of label set {folder.name[:12]} is kept, and the set is gone; carry it on to another one with "
        f"'wilss labels review SET --from {folder.name[:12]}', or delete '{folder}' if nobody needs it"
        for folder in review_folders(root)
        if not artefact_folder(root, "labels", folder.name).is_dir()
    ]


def review_faults(folder: Path) -> Iterator[FormatError]:
    """What is wrong with a review: its acts, the masks that they name, and masks that nobody names."""
    named: set[str] = set()
    try:
        review = Review(folder)
        named = {state.mask for act in review.acts for c in act.changes for state in (c.before, c.after)} - {""}
    except FormatError as error:
        yield error
    names = {path.stem for path in (folder / MASKS).glob("*.png")}
    for odd in sorted(name for name in names if not MASK.fullmatch(name)):
        yield damaged(folder, f"{MASKS}/{odd}.png", "no act can name it", "delete it")
    for name in sorted(named | {name for name in names if MASK.fullmatch(name)}):
        try:
            read_mask_file(folder, name)
        except DamagedArtefactError as error:
            yield error


def save_review(root: Path, folder: Path) -> Iterator[str]:
    """Make a damaged file of acts anew from the lines that can be read; the damaged one goes to quarantine.

    Says so, line by line; masks that are damaged stay as they are, for nobody else can paint them.
    """
    log = ActLog(folder)
    with log.alone():
        try:
            log.news()
        except DamagedArtefactError as error:
            acts, lost = readable(log.path, ACTS)
            place = put_aside(root, REVIEWS, folder.name, log.path)
            write_anew(log.path, ACTS, list(_renumbered(acts)))
            yield f"{error.fault}; {len(acts)} acts were kept, {lost} lines could not be read, which lie in '{place}'"
    for fault in review_faults(folder):
        yield str(fault)


def _renumbered(acts: list[Act]) -> Iterator[Act]:
    """Acts under new numbers; what took back an act that is lost becomes an act of its own."""
    numbers: dict[int, int] = {}
    for n, act in enumerate(acts, start=1):
        of = numbers.get(act.of) if act.of is not None else None
        what = "import" if act.of is not None and of is None else act.what
        numbers[act.n] = n
        yield replace(act, n=n, of=of, what=what)
