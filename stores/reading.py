"""Reading what lies on disk: whatever does not fit becomes one error that names the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from wilss.errors import FormatError


@contextmanager
def whole(path: Path) -> Iterator[None]:
    """Raise FormatError for a file of an artefact that is missing, no JSON, or not of the form that the block expects.

    JSON errors and pydantic's are ValueErrors.
    """
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FormatError(f"'{path}' is damaged ({reason}); delete its folder and run again") from error
