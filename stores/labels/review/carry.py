"""What was said of one label set carried on to another one: tags that are wrong, painted masks and notes.

That a mask was accepted or rejected says nothing of the mask that another set has for the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stores.artefacts import Store
from stores.labels.review.review import Review, reviews_folder
from stores.labels.review.rows import SetRows
from stores.labels.review.state import NOTHING, Act, Change, Key, RowState
from stores.labels.sets import LabelSet
from wilss.errors import ArtefactNotFoundError, FormatError


@dataclass(frozen=True)
class Carried:
    """What can be carried, by row, and for every row that cannot why not."""

    rows: Mapping[Key, RowState]
    left: Mapping[Key, str]


@dataclass(frozen=True)
class Carryable:
    """Another review of which something could be carried: its label set, how many rows, and when its last act was."""

    digest: str
    rows: int
    last: str


def carry(store: Store, digest: str, other: str, who: str) -> tuple[Carried, Act | None]:
    """Carry a review on to the label set ``digest`` as one act; None where there is nothing to carry.

    Raises ArtefactNotFoundError for a set that is not there, or of which nothing was said.
    """
    review, source = Review.open(store.root, digest), Review.open(store.root, other)
    if not source.last:
        raise ArtefactNotFoundError(f"nobody said anything of label set {other[:12]}; 'wilss labels list' shows others")
    with review.writing():
        found = _carried(store, _rows(store, digest), review, other, source)
        for mask in {state.mask for state in found.rows.values()} - {""}:
            review.put_mask(source.mask(mask))
        changes = [Change(*key, state, review.version(*key)) for key, state in found.rows.items()]
        return found, review.act(who, "carry", changes) if changes else None


def carryable(root: Path, digest: str) -> list[Carryable]:
    """Other reviews of which something could be carried on to a label set, the newest first.

    Those that cannot be read are passed over; 'wilss store verify' names them.
    """
    store, found = Store(root), []
    review, rows = Review.open(root, digest), _rows(store, digest)
    for folder in sorted(reviews_folder(root).glob("*/acts.jsonl")):
        other = folder.parent.name
        if other == digest or not other.isalnum():
            continue
        try:
            source = Review.open(root, other)
            count = len(_carried(store, rows, review, other, source).rows)
        except FormatError:
            continue
        if count:
            found.append(Carryable(other, count, source.acts[-1].when))
    return sorted(found, key=lambda each: each.last, reverse=True)


def reviewed_digest(root: Path, named: str) -> str:
    """The digest of a set that was reviewed, by its first digits; the set itself may be gone.

    Raises ArtefactNotFoundError where none or several match.
    """
    there = sorted(folder.parent.name for folder in reviews_folder(root).glob("*/acts.jsonl"))
    found = [digest for digest in there if named and digest.startswith(named)]
    if len(found) != 1:
        known = ", ".join(digest[:12] for digest in found or there) or "none"
        raise ArtefactNotFoundError(
            f"'{named}' {'is ambiguous' if found else 'does not exist'} among the reviews in '{root}'; there: {known}"
        )
    return found[0]


def carry_hint(root: Path, digest: str) -> str:
    """One sentence on reviews that could be carried on to a set that was just made; "" for none."""
    if not reviews_folder(root).is_dir() or not (found := carryable(root, digest)):
        return ""
    best = max(found, key=lambda each: each.rows)
    return (
        f"{best.rows} corrections of label set {best.digest[:12]} hold for this one too; carry them on with "
        f"'wilss labels review {digest[:12]} --from {best.digest[:12]}'"
    )


def _rows(store: Store, digest: str) -> SetRows:
    return SetRows(LabelSet.open(store.path("labels", store.get("labels", digest).digest)))


def _carried(store: Store, rows: SetRows, review: Review, other: str, source: Review) -> Carried:
    before = _opened(store, other)
    taken, left = dict[Key, RowState](), dict[Key, str]()
    for key, state in source.states.items():
        kept = RowState(state.verdict if state.verdict in ("absent", "missing") else "", state.mask, state.note)
        if not kept:
            continue
        after, why = _after(rows, before, key, kept, source)
        now = review.state(*key)
        if after and now and now != after:
            why = "something else is said of it here"
        if why:
            left[key] = why
        elif after and now != after:
            taken[key] = after
    return Carried(taken, left)


def _after(rows: SetRows, before: LabelSet | None, key: Key, state: RowState, source: Review) -> tuple[RowState, str]:
    """What is said of a row in the other set, and why it cannot be said."""
    if key.image not in rows.labels.rows:
        return NOTHING, "the image is not in this set"
    if not rows.has_class(key):
        return NOTHING, "this set has no such class"
    if before and _is_another_photograph(rows.labels, before, key.image):
        return NOTHING, "the photograph is another one"
    if state.mask and source.mask(state.mask).shape != rows.size(key):
        return NOTHING, "the image has another size on the canvas"
    if rows.has_row(key):  # tagged by now, where it was missing
        return RowState("" if state.verdict == "missing" else state.verdict, state.mask, state.note), ""
    missing = state.verdict == "missing"
    return RowState("missing" if missing else "", state.mask if missing else "", state.note), ""


def _is_another_photograph(labels: LabelSet, before: LabelSet, image: str) -> bool:
    if image not in before.rows:
        return False
    now, then = labels.pixels[labels.rows[image]], before.pixels[before.rows[image]]
    return (
        bool(now.any() and then.any()) and labels.index.canvas == before.index.canvas and not np.array_equal(now, then)
    )


def _opened(store: Store, digest: str) -> LabelSet | None:
    """The set that was reviewed; its review can be carried where the set is gone."""
    try:
        return LabelSet.open(store.path("labels", store.get("labels", digest).digest))
    except (ArtefactNotFoundError, FormatError):
        return None
