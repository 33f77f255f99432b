"""What is wrong with a request, in one sentence: JSON for programs, a page for people."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from deployments.access import TooLargeError
from deployments.serving.html import page
from deployments.serving.line import FullError
from deployments.serving.work import TooManyPixelsError
from wilss.device import memory_advice
from wilss.errors import DataError, WilssError

KINDS = "send a JPEG, PNG, WEBP, BMP or TIFF"


def problem(request: Request, status: int, said: str, headers: Mapping[str, str] | None = None) -> Response:
    """An answer that says what is wrong."""
    if request.url.path == "/" and "text/html" in request.headers.get("accept", ""):
        return page("problem.html.j2", status, headers, title="wilss serve", problem=said)
    return JSONResponse({"detail": said.encode("utf-8", "replace").decode()}, status, dict(headers or {}))


def tell_problems(app: FastAPI) -> None:
    """Have an application answer its errors so."""
    app.exception_handler(HTTPException)(_http)
    app.exception_handler(RequestValidationError)(_misread)
    app.exception_handler(TooLargeError)(_too_large)
    app.exception_handler(TooManyPixelsError)(_too_large)
    app.exception_handler(FullError)(_full)
    app.exception_handler(WilssError)(_refused)
    app.exception_handler(RuntimeError)(_without_memory)
    app.exception_handler(MemoryError)(_without_memory)
    app.exception_handler(ClientDisconnect)(_gone)
    app.exception_handler(Exception)(_failed)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    said = {
        404: "there is nothing at this address; images go to /predict, and /openapi.json lists the others",
        405: f"{request.method} is not taken at this address; see /openapi.json",
    }
    plain = error.detail in ("Not Found", "Method Not Allowed")
    return problem(request, error.status_code, said[error.status_code] if plain else str(error.detail), error.headers)


async def _misread(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return problem(request, 422, f"'{str(first.get('input'))[:80]}' is no value of {where}: {first['msg']}")


async def _too_large(request: Request, error: Exception) -> Response:
    if isinstance(error, TooManyPixelsError):
        return problem(request, 413, str(error))
    most = request.app.state.work.options.max_bytes
    return problem(request, 413, f"a request has at most {most} bytes; send a smaller image, or fewer")


async def _full(request: Request, error: Exception) -> Response:
    assert isinstance(error, FullError)
    said = f"{error.waiting} images are being read or wait, there is no room for more; ask again in a second"
    return problem(request, 429, said, {"retry-after": "1"})


async def _refused(request: Request, error: Exception) -> Response:
    """What the library refuses; its advice is for folders of images."""
    if not isinstance(error, DataError):
        raise error
    return problem(request, 422, f"{str(error).partition('; ')[0]}; {KINDS}")


async def _without_memory(request: Request, error: Exception) -> Response:
    advice = memory_advice(error) if isinstance(error, RuntimeError) else "the server has no memory left"
    if advice is None:
        raise error
    said = f"{advice.partition('. ')[0]}; ask again, with a smaller image or fewer"
    return problem(request, 503, said, {"retry-after": "5"})


async def _gone(request: Request, error: Exception) -> Response:
    """Nobody reads it."""
    return problem(request, 400, "the request ended before its body did")


async def _failed(request: Request, error: Exception) -> Response:
    """The server's own log has the traceback."""
    return problem(request, 500, "the server failed at this request, its log says why; tell those who run it")
