"""What is answered at which address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import FileResponse, Response

from deployments.serving.answers import (
    Answer,
    ClassCard,
    Health,
    InputCard,
    Limits,
    ModelSeen,
    Problem,
)
from deployments.serving.body import FORM, uploads_of
from deployments.serving.formats import Format, chosen
from deployments.serving.gate import MODEL_HEADER
from deployments.serving.html import STYLES, page
from deployments.serving.models import Loaded
from deployments.serving.pictures import Shown
from deployments.serving.work import Upload, Work
from deployments.templates import REPORT
from wilss.data.palette import ClassLook, class_look

router = APIRouter()
BINARY = {"schema": {"type": "string", "format": "binary"}}
FILES = {
    "type": "object",
    "properties": {"file": {"type": "array", "items": {"type": "string", "format": "binary"}}},
    "required": ["file"],
}
BODY = {
    "requestBody": {
        "required": True,
        "content": {FORM: {"schema": FILES}, "image/*": BINARY, "application/octet-stream": BINARY},
    }
}
WRONG: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": said}
    for status, said in {
        400: "A form that cannot be read",
        401: "The token is missing or wrong",
        406: "A form of answer that there is not",
        408: "The body did not come in time",
        413: "Too many bytes, pixels or files",
        415: "A content type that is no image",
        422: "No image, or none that can be decoded",
        429: "No room; ask again after Retry-After seconds",
        503: "Not answered in time, or no memory",
    }.items()
}


def work_of(request: Request) -> Work:
    """What the server that is asked has."""
    work: Work = request.app.state.work
    return work


WorkOf = Annotated[Work, Depends(work_of)]


@router.post(
    "/predict",
    response_model=None,
    openapi_extra=BODY,
    responses={200: {"model": Answer, "content": {"image/png": BINARY}}, **WRONG},
    summary="Segment images: one as the body, or one or several as files of a form",
)
async def predict(
    request: Request, work: WorkOf, format: Annotated[Format | None, Query(description="else by Accept")] = None
) -> Response:
    """JSON has sizes, shares and polygons; png is a palette PNG of class ids, overlay shows them over the image."""
    async with _places(request, work) as uploads:
        wanted = chosen(format, request.headers.get("accept"), len(uploads))
        loaded = work.models.current
        async with _in_time(work):
            return await _answer(work, loaded, uploads, wanted)


async def _answer(work: Work, loaded: Loaded, uploads: list[Upload], wanted: Format) -> Response:
    headers = {MODEL_HEADER: loaded.digest}
    if wanted == "json":
        images = await work.json(loaded, uploads)
        found = Answer(model=loaded.digest, alias=loaded.alias, images=images)
        return Response(await work.by_hand(found.model_dump_json), 200, headers, "application/json")
    content = await (work.png if wanted == "png" else work.overlay)(loaded, uploads[0])
    return Response(content, 200, headers, "image/png")


@asynccontextmanager
async def _places(request: Request, work: Work) -> AsyncIterator[list[Upload]]:
    """The images of a request, with room for each."""
    with work.room.places(1):
        uploads = await uploads_of(request, work.options)
        with work.room.places(len(uploads) - 1):
            yield uploads


@asynccontextmanager
async def _in_time(work: Work) -> AsyncIterator[None]:
    seconds = work.options.timeout
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        said = f"there was no answer within {seconds:g} seconds; ask again, with a smaller image or fewer"
        raise HTTPException(503, said, {"retry-after": "5"}) from error


@router.head("/model", include_in_schema=False)
@router.get("/model", summary="The model that answers: classes, colours, input, digest, and limits of this server")
async def model(work: WorkOf, response: Response) -> ModelSeen:
    """Its card."""
    found = described(work)
    response.headers[MODEL_HEADER] = found.digest
    return found


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", summary="Whether it answers, with which model, and whether that is what the alias points to")
async def health(work: WorkOf) -> Health:
    """200 as long as it answers."""
    now, problem = work.models.current, work.models.problem
    return Health(status="behind" if problem else "ok", model=now.digest, alias=now.alias, problem=problem or None)


@router.get("/metrics", response_class=Response, summary="Numbers in Prometheus's text form")
async def metrics(work: WorkOf) -> Response:
    """Requests, latency, queue, images, model."""
    return Response(work.metrics.text(), headers={"content-type": work.metrics.content_type})


@router.get("/style/{name}", include_in_schema=False)
async def style(name: str) -> Response:
    """A style sheet of reports."""
    if name not in STYLES:
        raise HTTPException(404)
    return FileResponse(REPORT / name, headers={"cache-control": "max-age=300"})


@router.get("/", include_in_schema=False)
async def home(request: Request, work: WorkOf) -> Response:
    """A form to send an image with, and the classes."""
    return _home(request, work)


@router.post("/", include_in_schema=False)
async def home_result(request: Request, work: WorkOf) -> Response:
    """The same, with what was found in the image that the form sent."""
    async with _places(request, work) as uploads:
        loaded = work.models.current
        async with _in_time(work):
            return _home(request, work, await work.page(loaded, uploads[0]), loaded)


def _home(request: Request, work: Work, shown: Shown | None = None, loaded: Loaded | None = None) -> Response:
    now = loaded or work.models.current
    found = [look._replace(name=f"{look.name} {100 * share:.1f} %") for look, share in (shown.found if shown else ())]
    auth = " -H 'Authorization: Bearer TOKEN'" if request.app.state.rules.is_closed else ""
    content = {
        "title": shown.name if shown else "Segment an image",
        "model": described(work, now),
        "behind": work.models.problem,
        "looks": _looks(now),
        "shown": shown,
        "found": found,
        "auth": auth,
        "address": str(request.base_url),
    }
    return page("home.html.j2", 200, {MODEL_HEADER: now.digest}, **content)


def _looks(loaded: Loaded) -> list[ClassLook]:
    own = loaded.model.palette
    return [class_look(number, name, own) for number, name in sorted(loaded.model.classes.items()) if number]


def described(work: Work, loaded: Loaded | None = None) -> ModelSeen:
    """A model in plain data; the one that answers now unless one is given."""
    now, options = loaded or work.models.current, work.options
    card, names = now.model.card, now.model.classes
    limits = {"bytes": options.max_bytes, "pixels": options.max_pixels, "files": options.files}
    return ModelSeen(
        digest=now.digest,
        alias=now.alias,
        asked=options.model,
        since=now.since.isoformat(timespec="seconds"),
        benchmark=card.benchmark,
        step=card.step,
        licence=card.licence,
        backbone=card.architecture.backbone,
        device=str(now.model.device),
        classes=[ClassCard(id=k, name=names[k], colour=colour) for k, colour in sorted(now.model.palette.items())],
        input=InputCard(canvas=card.input.canvas, mean=card.input.mean, std=card.input.std),
        limits=Limits(**limits, queue=options.queue, batch=options.batch, seconds=options.timeout),
    )
