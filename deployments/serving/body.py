"""Images of a request: a body that is one, or files of a form. Read in portions, and no more than is allowed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import HTTPException, Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from deployments.serving.options import Options
from deployments.serving.work import Upload
from wilss.escapes import harmless

logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # a malformed form is answered, not logged
FORM = "multipart/form-data"
PLAIN = ("", "application/octet-stream", "application/x-www-form-urlencoded")
"""Types of a body that is one image, beside image/...; the last is what curl says of --data-binary."""
FIELDS = 16
"""Of a form beside its files; nothing is taken from them."""
NAMELESS = "image"
LETTERS = 200


async def uploads_of(request: Request, options: Options) -> list[Upload]:
    """The images of a request, at least one.

    Raises HTTPException: 400 for a form that cannot be read, 408 where the body does not come, 413 for too many files,
    415 for another content type, 422 for no image. Raises TooLargeError for too many bytes.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM and kind not in PLAIN and not kind.startswith("image/"):
        raise HTTPException(
            415, f"'{harmless(kind)[:80]}' is no image; send the bytes of one as image/..., or files of a {FORM}"
        )
    async with _in_time(options.timeout):
        found = await _files(request, options) if kind == FORM else [Upload(NAMELESS, await request.body())]
    if not found or not any(upload.content for upload in found):
        raise HTTPException(422, "there is no image in the request; send one as the body, or as a file of a form")
    return found


@asynccontextmanager
async def _in_time(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise HTTPException(408, f"the request did not come within {seconds:g} seconds; send it again") from error


class _Parser(MultiPartParser):
    """Keeps files in memory: the body has a limit, and a disk that is full is nobody's problem here."""

    spool_max_size = 0  # never rolled over


async def _files(request: Request, options: Options) -> list[Upload]:
    most = options.files
    parser = _Parser(request.headers, request.stream(), max_files=most + 1, max_fields=FIELDS)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise HTTPException(400, f"the form cannot be read: {harmless(error.message)}") from error
    files = [file for _, file in form.multi_items() if isinstance(file, UploadFile) and (file.filename or file.size)]
    try:
        if len(files) > most:
            raise HTTPException(413, f"a request has at most {most} files; send the others in another one")
        return [Upload(harmless(f.filename or NAMELESS)[:LETTERS], await f.read()) for f in files]
    finally:
        await form.close()
