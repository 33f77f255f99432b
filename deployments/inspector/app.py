"""The inspector's web application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from deployments.access import TooLargeError
from deployments.inspector.access import MOST_BYTES, Guard
from deployments.inspector.desk import Desk
from deployments.inspector.html import page
from deployments.inspector.pages import ROUTERS
from deployments.templates import REPORT
from stores.labels.review import ConflictError
from wilss.errors import ArtefactNotFoundError, DamagedArtefactError, WilssError

STATIC = Path(__file__).parent / "static"
STYLES = ("style.css", "charts.css", "inspector.css")
"""Of static reports too; they lie beside these."""
API = "/api/"


def create_app(desk: Desk) -> Guard:
    """The application, behind its guard."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        desk.against.close()
        await desk.pictures.close()

    app = FastAPI(title="wilss inspect", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.desk = desk
    for router in ROUTERS:
        app.include_router(router)
    app.get("/style/{name}")(_style)
    app.mount("/static", StaticFiles(directory=STATIC))
    app.exception_handler(WilssError)(_refused)
    app.exception_handler(HTTPException)(_http_problem)
    app.exception_handler(RequestValidationError)(_misread)
    app.exception_handler(TooLargeError)(_too_large)
    return Guard(app, desk.access)


def _style(name: str) -> Response:
    if name not in STYLES:
        raise HTTPException(404, "no such style")
    return FileResponse(REPORT / name, headers={"cache-control": "max-age=300"})


async def _refused(request: Request, error: Exception) -> Response:
    """What the stores refuse, in the sentence that they say: what is wrong, and what to do."""
    status = 409 if isinstance(error, ConflictError) else 404 if isinstance(error, ArtefactNotFoundError) else 422
    return _problem(request, str(error), 500 if isinstance(error, DamagedArtefactError) else status)


async def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    said = "there is no such page; begin at the first one" if error.detail == "Not Found" else str(error.detail)
    return _problem(request, said, error.status_code)


async def _misread(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return _problem(request, f"the request cannot be read ({where}: {first['msg']}); load the page again", 422)


async def _too_large(request: Request, error: Exception) -> Response:
    return _problem(request, f"a request has at most {MOST_BYTES} bytes", 413)


def _problem(request: Request, said: str, status: int) -> Response:
    if request.url.path.startswith(API):
        return JSONResponse({"problem": said.encode("utf-8", "replace").decode()}, status)
    return page(request, "problem.html.j2", "Problem", status, problem=said)
