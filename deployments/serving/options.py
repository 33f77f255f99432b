"""What ``wilss serve`` was asked for. Imports no torch."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wilss.errors import SpecError
from wilss.words import explain

TOKEN = "WILSS_SERVE_TOKEN"
"""Environment variable: no list of processes shows it."""
SERVE_PORT = 8470
"""Where it listens unless told otherwise."""
LEAST_LETTERS = 8


class Options(BaseModel):
    """Options of ``wilss serve``.

    model: alias, digest or folder. host, port: that are listened at; 0 takes a free port. names: further host names.
    max_bytes: of a request's body. max_pixels: of an image. max_files: of a request. queue: images that are read, wait
    and are computed at the same time. batch: images of one forward pass. loose: they go together also where that
    changes the last digits. timeout: seconds of a request. grace: seconds that waiting requests have at the end. poll:
    seconds between two looks at the alias.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    root: Path
    device: str = "auto"
    host: str = "127.0.0.1"
    port: int = Field(SERVE_PORT, ge=0, le=65535)
    names: tuple[str, ...] = ()
    max_bytes: int = Field(32 << 20, ge=1 << 10, le=1 << 30)
    max_pixels: int = Field(50_000_000, ge=1)
    max_files: int = Field(16, ge=1, le=1000)
    queue: int = Field(64, ge=1, le=10_000)
    batch: int = Field(8, ge=1, le=256)
    loose: bool = False
    timeout: float = Field(30.0, gt=0, le=3600)
    grace: float = Field(20.0, gt=0, le=3600)
    poll: float = Field(1.0, gt=0, le=3600)

    @property
    def text(self) -> str:
        """For the process that becomes the server; names of files may hold bytes that are no UTF-8."""
        return json.dumps({**self.model_dump(), "root": str(self.root)})

    @property
    def files(self) -> int:
        """Images of a request: those that there is never room for are not taken."""
        return min(self.max_files, self.queue)


def make_options(given: dict[str, Any]) -> Options:
    """Options of the command line. Raises SpecError with the value seen and the rule."""
    try:
        return Options.model_validate(given)
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0]).replace("_", "-")
        raise SpecError(f"{explain(error, Options)}; give another with --{name}") from error


def read_options(text: str) -> Options:
    """Options of another process's `Options.text`."""
    return Options.model_validate(json.loads(text))


def given_token() -> str | None:
    """The token of the environment. Raises SpecError for one that no header can hold, or is guessed at once."""
    token = os.environ.get(TOKEN) or None
    if token is not None and (len(token) < LEAST_LETTERS or not token.isascii() or not token.isprintable()):
        raise SpecError(
            f"the token has {len(token)} characters; give {LEAST_LETTERS} or more printable ones of ASCII with --token "
            f"or {TOKEN}, or leave it out: one is made"
        )
    return token
