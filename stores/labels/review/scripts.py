"""Saying something of rows from a script or the command line."""

from __future__ import annotations

import getpass

import numpy as np

from stores.labels.review.review import Review
from stores.labels.review.rows import SetRows
from stores.labels.review.state import DROPS_MASK, SAYS, Act, Change, Key, RowState
from stores.labels.stats import row_score
from wilss.errors import SpecError, did_you_mean

VERDICTS = {**SAYS, "clear": ""}
"""What to say -> what is said of the row then."""


def user_name() -> str:
    """Who works at this machine."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "somebody"


def say_of_row(review: Review, rows: SetRows, who: str, what: str, key: Key, note: str | None = None) -> Act:
    """Say one of `VERDICTS` of a row, or note something of it; "clear" takes back all, notes too.

    A painted mask stays where it is accepted or noted.

    Raises SpecError and DataError for what cannot be said of the row.
    """
    if what not in (*VERDICTS, "note"):
        raise SpecError(f"unknown verdict '{what[:40]}'.{did_you_mean(what, VERDICTS)}")
    with review.writing():
        now = review.state(*key)
        verdict = VERDICTS.get(what, now.verdict)
        mask = "" if what in DROPS_MASK else now.mask
        after = RowState() if what == "clear" else RowState(verdict, mask, now.note if note is None else note)
        rows.require(key, after)
        return review.act(who, what, [Change(*key, after, review.version(*key))])


def accept_above(review: Review, rows: SetRows, who: str, score: float) -> Act | None:
    """Accept every row with a higher score of which nobody said anything, as one act; None where there is none."""
    index, scores = rows.labels.index, row_score(rows.labels)
    images, channels = index.pairs
    with review.writing(), np.errstate(invalid="ignore"):
        keys = [Key(index.ids[images[row]], index.classes[channels[row]]) for row in (scores > score).nonzero()[0]]
        free = [key for key in keys if not (state := review.state(*key)).verdict and not state.mask]
        changes = [
            Change(*key, RowState("accepted", "", review.state(*key).note), review.version(*key)) for key in free
        ]
        return review.act(who, "accept", changes) if changes else None
