"""Masks painted by hand: what a row's mask is now, a new one in its place, and strokes taken back."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse, Response
from numpy.typing import NDArray
from PIL import Image
from starlette.exceptions import HTTPException

from deployments.inspector.desk import Desk, DeskOf
from deployments.inspector.pages.acts import Who, known, said
from deployments.inspector.pictures import Problem, Want
from deployments.inspector.rows import RowFacts
from stores.labels.review import Change, RowState
from stores.labels.review.state import SAYS
from stores.labels.view import LabelView
from wilss.data.files import BROKEN
from wilss.errors import SpecError, WilssError

router = APIRouter()
API = "/api/labels/{digest}"
MODES = ("1", "L")
"""Of a painted mask's PNG: black and white, or grey."""
SAID = {verdict: what for what, verdict in SAYS.items()}
Seen = Annotated[int, Query(ge=0, le=2**31)]


@router.get(API + "/paint/{image}/{channel}")
def current(desk: DeskOf, digest: str, image: int, channel: int) -> JSONResponse:
    """The mask that counts for a class of an image, exactly, and the row with its version.

    bits: base64 of the packed lines, each begun at a new byte.
    """
    view = desk.view(digest)
    facts = known(view, image, channel)
    mask = _mask_of(view, facts)
    bits = base64.b64encode(np.packbits(mask, axis=1).tobytes()).decode()
    return JSONResponse({"row": facts.plain(), "bits": bits}, headers={"cache-control": "no-store"})


@router.post(API + "/paint/{image}/{channel}")
async def paint(
    request: Request, desk: DeskOf, digest: str, image: int, channel: int, seen: Seen, who: Who
) -> Response:
    """A painted mask in the place of a row's: the body is a PNG of the image's size on the canvas, white is in."""
    content = await request.body()
    return await run_in_threadpool(_paint, desk, digest, (image, channel), seen, who, content)


def _paint(desk: Desk, digest: str, at: tuple[int, int], seen: int, who: str, content: bytes) -> Response:
    view = desk.view(digest)
    facts = known(view, *at)
    mask = view.review.put_mask(decoded(content, facts.size))
    after = replace(facts.state, mask=mask, verdict="missing" if facts.row < 0 else "")
    return said(view, who, "paint", [Change(facts.image_id, facts.class_name, after, seen)])


@router.post(API + "/paint/{image}/{channel}/to/{act}")
def restore(desk: DeskOf, digest: str, image: int, channel: int, act: int, seen: Seen, who: Who) -> JSONResponse:
    """A row as act number ``act`` left it, 0 for as it was before all of them; its note stays.

    Strokes are undone by this and not by the review's own undo: that takes back a person's last act wherever it was,
    and two people at one server have one name. This touches one row, only while it is at the version that was seen.
    """
    view = desk.view(digest)
    facts = known(view, image, channel)
    after = replace(_left_by(view, facts, act), note=facts.state.note)
    what = "paint" if after.mask else SAID.get(after.verdict, "clear")
    return said(view, who, what, [Change(facts.image_id, facts.class_name, after, seen)])


@router.get("/labels/{digest}/affinity/{image}")
async def affinity(desk: DeskOf, digest: str, image: int, x: int, y: int) -> Response:
    """How alike each pixel is to one: an 8-bit grey PNG of the image's size on the canvas."""
    view = await run_in_threadpool(desk.view, digest)
    if not 0 <= image < len(view.labels):
        raise HTTPException(404, f"there is no image {image}; the label set has {len(view.labels)}")
    height, width = view.labels.true_size(image)
    if not (0 <= x < width and 0 <= y < height):
        raise HTTPException(422, f"there is no pixel ({x}, {y}); the image has {width} x {height}")
    place = (("x", str(x)), ("y", str(y)))
    found = await desk.pictures.path(Want(view.manifest.digest, "affinity", image, place))
    if isinstance(found, Problem):
        return Response(f"{found.reason}\n", 404, media_type="text/plain; charset=utf-8")
    return FileResponse(found, media_type="image/png", headers={"cache-control": "private, max-age=3600"})


def _mask_of(view: LabelView, facts: RowFacts) -> NDArray[np.bool_]:
    if facts.state.mask:
        return view.review.mask(facts.state.mask)
    if facts.row >= 0:
        return view.mask(facts.row)
    return np.zeros(facts.size[::-1], bool)


def _left_by(view: LabelView, facts: RowFacts, act: int) -> RowState:
    """What an act left of a row. Raises SpecError for an act that did not touch it."""
    if act == 0:
        return RowState()
    if 0 < act <= view.review.last:
        for change in view.review.acts[act - 1].changes:
            if change.key == (facts.image_id, facts.class_name):
                return change.after
    raise SpecError(f"act {act} of this review did not touch this mask; load the page again")


def decoded(content: bytes, size: tuple[int, int]) -> NDArray[np.bool_]:
    """A painted mask, bool ``(H, W)``, from a PNG.

    Args:
        size: (width, height) that it must have; pixels of no other are looked at.

    Raises SpecError for what is no such PNG.
    """
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            _require_mask(image, size)
            return np.array(image.convert("L")) > 127
    except WilssError:  # some of which are ValueErrors too
        raise
    except (*BROKEN, Image.DecompressionBombError) as error:
        raise SpecError(f"the mask is no PNG that can be read ({str(error)[:80]}); paint it again") from error


def _require_mask(image: Any, size: tuple[int, int]) -> None:
    if image.size != size:
        seen, wanted = (f"{width} x {height}" for width, height in (image.size, size))
        raise SpecError(f"the mask has {seen} pixels, the image {wanted}; load the page again")
    if image.mode not in MODES:
        raise SpecError(f"the mask is a PNG of mode {image.mode}; send black and white, or 8-bit grey")
