"""IoU of every row with the truth, where it is known: made by the child process when somebody asks for it."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from deployments.inspector.desk import Desk, DeskOf
from deployments.inspector.pictures import Problem, Want
from wilss.errors import DataError

router = APIRouter(prefix="/api/labels/{digest}/truth")


@router.post("")
def begin(desk: DeskOf, digest: str) -> JSONResponse:
    """Begin it, or say how far it is."""
    want = _want(desk, digest)
    if desk.pictures.there(want) is None:
        desk.jobs[want] = desk.pictures.begin(want)  # who wants the same shares it
    return _answer(desk, want)


@router.get("")
def progress(desk: DeskOf, digest: str) -> JSONResponse:
    """How far it is, in images. Raises DataError with what stands in the way, or if nobody began it."""
    return _answer(desk, _want(desk, digest))


def _want(desk: Desk, digest: str) -> Want:
    return Want(desk.view(digest).manifest.digest, "iou")


def _answer(desk: Desk, want: Want) -> JSONResponse:
    job, far = desk.jobs.get(want), desk.pictures.progress(want)
    found = job.result() if job is not None and job.done() else desk.pictures.there(want)
    if isinstance(found, Problem):
        raise DataError(found.reason)
    if found is None and job is None:
        raise DataError("nobody compares this label set with the truth; begin it on the page of the set")
    done, total = far or (0, 0)
    return JSONResponse({"finished": found is not None, "done": done, "total": total})
