"""What pages do: verdicts, notes, undo and redo; each an act of the review, kept when answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from fastapi import APIRouter, Depends, Header
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import QueryParams

from deployments.inspector.asked import Asked
from deployments.inspector.desk import DeskOf
from deployments.inspector.rows import RowFacts, facts_at
from stores.labels.review import Act, Change, ConflictError, RowState
from stores.labels.review.state import DROPS_MASK, SAYS
from stores.labels.view import LabelView
from wilss.errors import SpecError

router = APIRouter(prefix="/api/labels/{digest}")
Verdict = Literal["accept", "reject", "absent", "missing", "clear", "note"]
MOST_ROWS = 1000
Number = Annotated[int, Field(ge=0, le=2**31)]


def _who(desk: DeskOf, given: Annotated[str, Header(alias="x-wilss-who", max_length=1200)] = "") -> str:
    """Name of the person who asks: percent-encoded, as a header holds no letter beyond Latin-1."""
    return unquote(given) or desk.who


Who = Annotated[str, Depends(_who)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ActBody(_Body):
    """One act: image, channel, and the version that was seen, of each row."""

    what: Verdict
    rows: Annotated[list[tuple[Number, Number, Number]], Field(min_length=1, max_length=MOST_ROWS)]
    note: Annotated[str, Field(max_length=4000)] = ""


class BulkBody(_Body):
    """One act on all rows of a gallery's address of which nothing is said yet."""

    what: Literal["accept", "reject"]
    asked: Annotated[str, Field(max_length=8000)] = ""
    count: Number


@router.post("/acts")
def act(desk: DeskOf, digest: str, body: ActBody, who: Who) -> JSONResponse:
    """Say something of rows."""
    view = desk.view(digest)
    rows = [(known(view, image, channel), seen) for image, channel, seen in body.rows]
    for facts, _ in rows:
        _require_fit(facts, body.what)
    changes = [Change(f.image_id, f.class_name, _after(f.state, body), seen) for f, seen in rows]
    return said(view, who, body.what, changes)


@router.post("/bulk")
def bulk(desk: DeskOf, digest: str, body: BulkBody, who: Who) -> JSONResponse:
    """Say something of all rows that an address asks for and nobody has looked at; their number was seen."""
    view = desk.view(digest)
    query = replace(Asked.of(QueryParams(body.asked.removeprefix("?"))).query, states=("unreviewed",))
    rows = view.select(query).rows
    if len(rows) != body.count:
        raise SpecError(f"there are {len(rows)} such rows by now, the page said {body.count}; load it again")
    index, (images, channels) = view.labels.index, view.labels.index.pairs
    after = RowState(SAYS[body.what])
    named = zip(images[rows].tolist(), channels[rows].tolist(), strict=True)
    keys = [(index.ids[image], index.classes[channel]) for image, channel in named]
    changes = [
        Change(*key, replace(after, note=view.review.state(*key).note), view.review.version(*key)) for key in keys
    ]
    return said(view, who, body.what, changes)


@router.post("/undo")
def undo(desk: DeskOf, digest: str, who: Who) -> JSONResponse:
    """Take back this person's last act."""
    view = desk.view(digest)
    return _answer(view, view.review.undo(who))


@router.post("/redo")
def redo(desk: DeskOf, digest: str, who: Who) -> JSONResponse:
    """Do again what this person took back last."""
    view = desk.view(digest)
    return _answer(view, view.review.redo(who))


def said(view: LabelView, who: str, what: str, changes: Sequence[Change]) -> JSONResponse:
    """Say it; the answer is what it left, or 409 with the rows that somebody touched meanwhile."""
    try:
        return _answer(view, view.review.act(who, what, changes))
    except ConflictError as conflict:
        rows = [_plain(view, key.image, key.class_name) for key in conflict.rows[:MOST_ROWS]]
        return JSONResponse({"problem": str(conflict), "rows": rows}, 409)


def _answer(view: LabelView, done: Act) -> JSONResponse:
    """What an act left: the rows that it touched, as they are now, and what can be undone."""
    view.refresh()
    undo, redo = view.review.left(done.who)
    touched = [_plain(view, c.image, c.class_name) for c in done.changes[:MOST_ROWS]]
    facts = {"n": done.n, "what": done.what, "of": done.of, "touched": len(done.changes), "undo": undo, "redo": redo}
    return JSONResponse({**facts, "rows": touched})


def _plain(view: LabelView, image_id: str, class_name: str) -> dict[str, Any]:
    classes = view.labels.index.classes
    if image_id not in view.labels.rows or class_name not in classes:  # the note of an image, or of another set
        return {"image": view.labels.rows.get(image_id, -1), "class": class_name, "channel": -1}
    return facts_at(view, view.labels.rows[image_id], classes.index(class_name)).plain()


def known(view: LabelView, image: int, channel: int) -> RowFacts:
    """A class of an image. Raises SpecError for one that the set does not have."""
    index = view.labels.index
    if not 0 <= image < len(view.labels) or not 0 <= channel < len(index.classes):
        raise SpecError(f"there is no class {channel} of image {image} in this label set; load the page again")
    return facts_at(view, image, channel)


def _require_fit(facts: RowFacts, what: Verdict) -> None:
    """Raise SpecError for a verdict that cannot be said of a class: what an image lacks is missing, nothing else is."""
    if what in SAYS and (what == "missing") != (facts.row < 0):
        there = "has no row" if facts.row < 0 else "has a row already"
        raise SpecError(f"{facts.class_name} {there} in image '{facts.image_id}', so that '{what}' says nothing of it")


def _after(before: RowState, body: ActBody) -> RowState:
    """What is said of a row then; who rejects a painted mask, or says that the class is not here, means that mask."""
    if body.what == "note":
        return replace(before, note=body.note)
    if body.what == "clear":
        return RowState(note=before.note)
    return replace(before, verdict=SAYS[body.what], mask="" if body.what in DROPS_MASK else before.mask)
