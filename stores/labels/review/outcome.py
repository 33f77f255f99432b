"""What a label set becomes when its review is applied, and which child that gave. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from stores.artefacts import Manifest, Store
from stores.labels.card import ReviewNotes
from stores.labels.index import LabelIndex
from stores.labels.review.review import Review, reviews_folder
from stores.manifests import Digest
from wilss.bucket.remote import share
from wilss.errors import ArtefactNotFoundError, DataError
from wilss.outputs import whole_file
from wilss.outside import checked, read_json, require_format

APPLIED = "applied.json"


@dataclass(frozen=True)
class Outcome:
    """The child of a reviewed set.

    positions: of the parent's images that stay. tags: theirs, bool ``(N, C)``. painted: position and channel of every
    row whose mask was painted -> its digest. notes: what was done. unknown: rows of the review that the set lacks.
    """

    positions: NDArray[np.int64]
    tags: NDArray[np.bool_]
    painted: Mapping[tuple[int, int], str]
    notes: ReviewNotes
    unknown: int


def outcome_of(index: LabelIndex, review: Review) -> Outcome:
    """What the review makes of the set.

    An image with a rejected row is left out, as its pixels of that class would be taught as background; so is one that
    misses a class of which no mask was painted, and one whose last row was removed. An absent class loses tag and row.
    """
    rows = {image_id: position for position, image_id in enumerate(index.ids)}
    channels = {name: channel for channel, name in enumerate(index.classes)}
    tags, out = index.tags.copy(), np.zeros(len(rows), bool)
    painted: dict[tuple[int, int], str] = {}
    counts = dict.fromkeys(("accepted", "rejected", "removed", "corrected", "added", "missed"), 0)
    unknown = 0
    for (image, name), state in review.states.items():
        if not name or not (state.verdict or state.mask):
            continue
        if image not in rows or name not in channels:
            unknown += 1
            continue
        at = rows[image], channels[name]
        done = _fate(bool(index.tags[at]), state.verdict, bool(state.mask))
        if done in ("corrected", "added"):
            painted[at] = state.mask
        tags[at] = (tags[at] or done == "added") and done != "removed"
        out[at[0]] |= done in ("rejected", "missed")
        if done:
            counts[done] += 1
    kept = ~out & (tags.any(1) | ~index.tags.any(1))
    counts |= {"images_left_out": int((~kept).sum()), "n": review.last}
    notes = ReviewNotes(**counts, seal=review.seal)
    return Outcome(kept.nonzero()[0], tags[kept], painted, notes, unknown)


def _fate(has_row: bool, verdict: str, has_mask: bool) -> str:
    """What becomes of a row, or of a class that an image is not tagged with; "" for nothing."""
    if not has_row:
        lacks = "missed" if verdict == "missing" else ""
        return "added" if has_mask and verdict not in ("absent", "rejected") else lacks
    if verdict == "absent":
        return "removed"
    if has_mask:
        return "corrected"
    return verdict if verdict in ("accepted", "rejected") else ""


class Applied(BaseModel):
    """Which child the review of a set gave when it was last applied; ``n`` and ``seal`` are of its last act then."""

    model_config = ConfigDict(frozen=True)

    format: int = 1
    child: Digest
    n: int
    seal: str
    when: str


def note_applied(review: Review, child: Manifest, notes: ReviewNotes) -> None:
    """Remember the child that a review gave."""
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    content = Applied(child=child.digest, n=notes.n, seal=notes.seal, when=now)
    with whole_file(review.folder / APPLIED, shared=True) as partial:
        partial.write_text(content.model_dump_json(indent=1))
    share(review.folder)


def read_applied(root: Path, digest: str) -> Applied | None:
    """What was remembered of a set; None where its review was not applied. Raises FormatError for a damaged note."""
    path = reviews_folder(root) / digest / APPLIED
    if not path.is_file():
        return None
    advice = f"apply the review again: wilss labels apply {digest[:12]}"
    content = read_json(path, advice, 1 << 16)
    require_format(content, path, 1)
    return checked(Applied, content, path, advice)


def reviewed_child(store: Store, digest: str) -> Manifest | None:
    """What the review of a set gave when it was last applied, and the review of that, and so on; None for nothing."""
    found, seen = None, {digest}
    while applied := read_applied(store.root, digest):
        digest = applied.child
        try:
            found = store.get("labels", digest)
        except ArtefactNotFoundError as error:
            cure = f"apply the review again: wilss labels apply {found.digest[:12] if found else 'SET'}"
            raise ArtefactNotFoundError(f"{error}; {cure}") from error
        if digest in seen:
            raise DataError(f"the reviews of label set {digest[:12]} go round in a circle; name a set by its digest")
        seen.add(digest)
    return found
