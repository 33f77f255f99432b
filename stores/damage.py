"""What is stored and is not what was written."""

from __future__ import annotations

from wilss.errors import FormatError


class DamagedArtefactError(FormatError):
    """An artefact with a file that is missing or not what was written."""
