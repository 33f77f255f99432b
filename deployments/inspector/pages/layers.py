"""Pictures of the pages: masks and scores from the label set, everything else from the child process."""

from __future__ import annotations

import io

import numpy as np
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, Response
from PIL import Image
from starlette.exceptions import HTTPException

from deployments.inspector.desk import Desk, DeskOf
from deployments.inspector.pictures import KINDS, Problem, Want
from deployments.inspector.rows import looks
from deployments.inspector.tints import heat, two_colours
from stores.labels.view import LabelView

router = APIRouter()
FOREVER = {"cache-control": "private, max-age=31536000, immutable"}
"""The address of such a picture names its content."""
SOON = {"cache-control": "private, max-age=60"}
"""Of what is named by the digest of a recipe: a set that is made anew has the same one, and may have other masks."""


@router.get("/labels/{digest}/masks/{row}")
def mask(desk: DeskOf, digest: str, row: int, stage: str = "") -> Response:
    """The mask of a row in its class's colour, transparent elsewhere: a PNG of two colours."""
    view = _with_row(desk, digest, row)
    colour = looks(view)[view.at(row)[1]].colour
    return _png(two_colours(view.mask(row, stage), colour), SOON)


@router.get("/labels/{digest}/painted/{channel}/{name}")
def painted(desk: DeskOf, digest: str, channel: int, name: str) -> Response:
    """A mask that a person painted."""
    view = desk.view(digest)
    if not 0 <= channel < len(view.labels.index.classes):
        raise HTTPException(404, "there is no such class")
    return _png(two_colours(view.review.mask(name), looks(view)[channel].colour), FOREVER)


@router.get("/labels/{digest}/scores/{row}")
def scores(desk: DeskOf, digest: str, row: int) -> Response:
    """The scorer's map of a row, from transparent to bright."""
    view = _with_row(desk, digest, row)
    image = view.at(row)[0]
    (height, width), side = view.labels.true_size(image), view.labels.index.canvas
    soft = np.nan_to_num(view.soft(row).astype(np.float32)).clip(0, 1)
    rows, columns = (max(1, round(len(soft) * size / side)) for size in (height, width))
    return _png(heat(soft[:rows, :columns]), SOON)


@router.get("/labels/{digest}/pictures/{kind}/{image}")
async def picture(request: Request, desk: DeskOf, digest: str, kind: str, image: int) -> Response:
    """An image, its small version, its truth, or what a model says of it; made once."""
    view = await run_in_threadpool(desk.view, digest)  # opening a set takes a while, and others are served meanwhile
    if kind not in KINDS or not 0 <= image < len(view.labels):
        raise HTTPException(404, "there is no such picture")
    found = await desk.pictures.path(Want(view.manifest.digest, kind, image, tuple(request.query_params.multi_items())))
    if isinstance(found, Problem):
        return Response(f"{found.reason}\n", 404, SOON, "text/plain; charset=utf-8")
    return FileResponse(found, headers=SOON)


def _with_row(desk: Desk, digest: str, row: int) -> LabelView:
    view = desk.view(digest)
    if not 0 <= row < len(view):
        raise HTTPException(404, f"there is no row {row}; the label set has {len(view)}")
    return view


def _png(image: Image.Image, headers: dict[str, str]) -> Response:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=image.info["transparency"])
    return Response(buffer.getvalue(), headers=headers, media_type="image/png")
