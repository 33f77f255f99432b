"""What a training keeps after every epoch, so that it goes on where it was stopped."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from wilss.errors import FormatError
from wilss.outputs import whole_file

History = list[dict[str, float]]
"""Mean loss terms of every epoch, by name."""


def write_state(path: Path, content: dict[str, Any]) -> None:
    """Write what `read_state` reads, whole or not at all."""
    with whole_file(path) as partial:
        torch.save(content, partial)


def read_state(path: Path) -> dict[str, Any]:
    """Read a kept state; tensors come to the CPU. Raises FormatError for a damaged file."""
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError) as error:
        raise FormatError(
            f"'{path}', kept by a training that was stopped, is damaged; delete it to train from the start"
        ) from error
    return content


def last_good(path: Path) -> tuple[dict[str, Tensor], History] | None:
    """Student weights and history of the last finite epoch of a training that stopped; None before its first.

    Raises FormatError for a damaged file.
    """
    if not path.is_file():
        return None
    content = read_state(path)
    return content["folded"] or content["student"], list(content["history"])
