"""What a training keeps after every epoch, so that it goes on where it was stopped."""

from __future__ import annotations

import zlib
from pathlib import Path
from pickle import UnpicklingError
from typing import IO, Any, cast
from zipfile import BadZipFile, ZipFile

import torch
from torch import Tensor

from wilss.errors import TornStateError
from wilss.outputs import whole_file

History = list[dict[str, float]]
"""Mean loss terms of every epoch, by name; and `HELD_OUT`, where images are held out."""
HELD_OUT = "held-out mIoU"
"""Of the epoch's student on images that are not learnt from, in [0, 1]."""


def best_epoch(history: History) -> int:
    """Number of the epoch with the best score on held-out images, from 1, the first of equals; 0 where none was."""
    scores = [epoch.get(HELD_OUT, -1.0) for epoch in history]
    return scores.index(max(scores)) + 1 if scores and max(scores) >= 0 else 0


def write_state(path: Path, content: dict[str, Any]) -> None:
    """Write what `read_state` reads, whole or not at all. Raises StorageError where the disk takes no more."""
    with whole_file(path) as partial:
        save_whole(content, partial)


def save_whole(content: Any, path: Path) -> None:
    """``torch.save``; what the disk says is raised as it said it, where PyTorch tells only of a wrong position."""
    with path.open("wb") as handle:
        watched = _Watched(handle)
        try:
            torch.save(content, cast(IO[bytes], watched))
        except RuntimeError:
            if watched.problem:
                raise watched.problem from None
            raise


class _Watched:
    """A file that remembers why it could not be written."""

    def __init__(self, handle: IO[bytes]) -> None:
        self.handle = handle
        self.problem: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            return self.handle.write(data)
        except OSError as error:
            self.problem = error
            raise

    def flush(self) -> None:
        self.handle.flush()


def read_state(path: Path) -> dict[str, Any]:
    """Read a kept state; tensors come to the CPU. Raises TornStateError for a damaged file.

    PyTorch writes checksums and does not look at them.
    """
    try:
        with ZipFile(path) as parts:
            torn = parts.testzip()
        if torn is not None:
            raise _torn(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError, BadZipFile, zlib.error, ValueError, KeyError, OSError) as error:
        raise _torn(path) from error
    if not isinstance(content, dict):
        raise _torn(path)
    return content


def _torn(path: Path) -> TornStateError:
    return TornStateError(
        f"'{path}', kept by a training that was stopped, is damaged; delete it to train from the start"
    )


def last_good(path: Path) -> tuple[dict[str, Tensor], History] | None:
    """Student weights and history of the last finite epoch of a training that stopped; None before its first.

    Raises TornStateError for a damaged file.
    """
    if not path.is_file():
        return None
    content = read_state(path)
    return content["folded"] or content["student"], list(content["history"])
