"""Two label sets side by side: the rows that differ most first, and those that only one of them has."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from numpy.typing import NDArray
from PIL import Image
from starlette.exceptions import HTTPException

from deployments.inspector.against import Joined, Progress, class_lines
from deployments.inspector.asked import Asked
from deployments.inspector.desk import DeskOf
from deployments.inspector.html import page, short
from deployments.inspector.pages.layers import SOON
from stores.labels.view import LabelView
from wilss.data.palette import Colour

router = APIRouter()
SHOWN_ROWS = 12
"""Of a page."""
PARTS = {"both": "that differ", "first": "only in the first", "second": "only in the second"}
COLOURS: tuple[Colour, ...] = ((217, 95, 2), (27, 111, 196), (154, 163, 173))
"""Of what only the first has, only the second, and both."""


@dataclass(frozen=True)
class Pair:
    """A row as the page shows it. here, there: rows of the sets, -1 for none. image: its position in set ``digest``."""

    here: int
    there: int
    digest: str
    image: int
    image_id: str
    class_name: str
    size: tuple[int, int]
    iou: float | None


@router.get("/labels/{digest}/against/{other}")
def against(request: Request, desk: DeskOf, digest: str, other: str) -> HTMLResponse:
    """Where two sets differ, or how far the comparison is."""
    first, second = desk.view(digest), desk.view(other)
    one, two = first.manifest.digest, second.manifest.digest
    title = f"{short(first.manifest.digest)} against {short(second.manifest.digest)}"
    found = desk.against.joined(first, second)
    if isinstance(found, Progress):
        return page(request, "comparing.html.j2", title, progress=found, digest=one, other=two)
    asked = request.query_params
    part = asked.get("part", "both") if asked.get("part") in PARTS else "both"
    wanted, number = asked.get("class", ""), Asked.of(asked).page
    rows = _rows(first, second, found, part, wanted)
    last = max(1, -(-len(rows) // SHOWN_ROWS))
    number = min(number, last)
    start = (number - 1) * SHOWN_ROWS
    pairs = [_pair(first, second, found, part, int(row)) for row in rows[start : start + SHOWN_ROWS]]
    return page(
        request,
        "against.html.j2",
        title,
        lines=class_lines(first, second, found),
        part=part,
        parts={"both": len(found.differing), "first": len(found.only_here), "second": len(found.only_there)},
        words=PARTS,
        wanted=wanted,
        pairs=pairs,
        count=len(rows),
        page_number=number,
        last_page=last,
        equal=int((found.iou == 1).sum()),
        digest=one,
        other=two,
    )


@router.get("/api/labels/{digest}/against/{other}")
def progress(desk: DeskOf, digest: str, other: str) -> JSONResponse:
    """How far a comparison is, in shards."""
    found = desk.against.joined(desk.view(digest), desk.view(other))
    far = {"done": found.done, "total": found.total} if isinstance(found, Progress) else {}
    return JSONResponse({"finished": isinstance(found, Joined), **far})


@router.get("/labels/{digest}/against/{other}/difference/{row}")
def difference(desk: DeskOf, digest: str, other: str, row: int) -> Response:
    """What only the first set has of a row of both, what only the second has, and what both have."""
    first, second = desk.view(digest), desk.view(other)
    if not 0 <= row < len(first):
        raise HTTPException(404, f"there is no row {row}; the label set has {len(first)}")
    there = _there(first, second, row)
    one = first.mask(row)
    two = second.mask(there) if there >= 0 else np.zeros_like(one)
    if one.shape != two.shape:
        raise HTTPException(404, "the image has another size in the other set, so that nothing can be laid over it")
    return _png(np.select([one & two, two, one], [3, 2, 1]).astype(np.uint8))


def _png(codes_HW: NDArray[np.uint8]) -> Response:
    """A picture of `COLOURS`, transparent where a code is 0."""
    shown, buffer = Image.fromarray(codes_HW, "P"), io.BytesIO()
    shown.putpalette([0, 0, 0, *(part for colour in COLOURS for part in colour)])
    shown.save(buffer, "PNG", transparency=0)
    return Response(buffer.getvalue(), headers=SOON, media_type="image/png")


def _there(first: LabelView, second: LabelView, row: int) -> int:
    image, channel = first.at(row)
    name, classes = first.labels.index.classes[channel], second.labels.index.classes
    position = second.labels.rows.get(first.labels.index.ids[image], -1)
    return second.row_of(position, classes.index(name)) if position >= 0 and name in classes else -1


def _rows(first: LabelView, second: LabelView, found: Joined, part: str, wanted: str) -> Any:
    """Rows of a part and a class, of the set that has them."""
    rows = {"both": found.differing, "first": found.only_here, "second": found.only_there}[part]
    view = second if part == "second" else first
    if not wanted:
        return rows
    classes = view.labels.index.classes
    channel = classes.index(wanted) if wanted in classes else -1
    return rows[view.labels.index.pairs[1][rows] == channel]


def _pair(first: LabelView, second: LabelView, found: Joined, part: str, row: int) -> Pair:
    view = second if part == "second" else first
    image, channel = view.at(row)
    height, width = view.labels.true_size(image)
    here, there = (-1, row) if part == "second" else (row, int(found.there[row]))
    iou = float(found.iou[row]) if part == "both" else None
    names = view.labels.index.ids[image], view.labels.index.classes[channel]
    return Pair(here, there, view.manifest.digest, image, *names, (width, height), iou)
