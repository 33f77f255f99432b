"""The server's web application."""

from __future__ import annotations

import asyncio
import signal
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from deployments.serving.gate import Gate, Rules
from deployments.serving.pages import router
from deployments.serving.problems import tell_problems
from deployments.serving.work import Work

ABOUT = "Segments images with a student of wilss. Off loopback every request has 'Authorization: Bearer TOKEN'."


def create_app(work: Work, rules: Rules) -> Gate:
    """The application, behind its gate; while it lives, images pass and the alias is followed."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(work.line.serve()), asyncio.create_task(work.models.follow(work.options.poll))]
        for task in tasks:
            task.add_done_callback(_require_alive)
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        work.close()

    app = FastAPI(
        title="wilss serve",
        description=ABOUT,
        version=version("wilss"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.work, app.state.rules = work, rules
    app.include_router(router)
    tell_problems(app)
    return Gate(app, rules, work)


def _require_alive(task: asyncio.Task[None]) -> None:
    """End the server in good order where one of its tasks has ended: it would answer nothing, or an old model."""
    if not task.cancelled() and (error := task.exception()) is not None:
        traceback.print_exception(error)
        signal.raise_signal(signal.SIGTERM)
