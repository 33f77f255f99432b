"""Errors a user can act on. Each also is a builtin, so that generic handlers work."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class WilssError(Exception):
    """Base of every error that the command line shows as one message, without a traceback."""


class SpecError(WilssError, ValueError):
    """A specification that cannot be run: unknown name, unknown key, value out of range."""


class DataError(WilssError, ValueError):
    """A data set that breaks its layout or holds a value that the rules forbid."""


class DataNotFoundError(WilssError, FileNotFoundError):
    """A data set, image or mask that is not where it should be."""


class WeightsNotFoundError(WilssError, FileNotFoundError):
    """Pretrained weights that are needed and not at hand. Never replaced by random ones."""


class ArtefactNotFoundError(WilssError, FileNotFoundError):
    """An artefact that has to exist before this stage can run."""


class ServerNotFoundError(WilssError, ConnectionError):
    """A Prefect server that is named and does not answer."""


class ServerRefusedError(WilssError, ValueError):
    """What a Prefect server refuses. status: of its answer, as HTTP numbers them."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message, status)
        self.status = status

    def __str__(self) -> str:
        return str(self.args[0])


class RunnerError(WilssError, ConnectionError):
    """Workers on Dask that cannot be reached, were lost, or are not such as this process needs."""


class FormatError(WilssError, RuntimeError):
    """A store or checkpoint whose format this version cannot read."""


class DamagedArtefactError(FormatError):
    """A stored file that is not what was stored: it is gone, cut off, or holds something else.

    fault: what is wrong, in words. cure: what to do about it. folder: of the artefact. file: its name in there.
    """

    def __init__(self, fault: str, cure: str = "", folder: Path = Path(), file: str = "") -> None:
        super().__init__(fault, cure, folder, file)  # all of them, so that it can be pickled
        self.fault, self.cure, self.folder, self.file = fault, cure, folder, file

    def __str__(self) -> str:
        return f"{self.fault}; {self.cure}" if self.cure else self.fault


class TornStateError(FormatError):
    """What a stopped training kept cannot be gone on from."""


class StorageError(WilssError, OSError):
    """A disk that takes no more: it is full, read-only, or another user's."""


class BucketError(WilssError, ConnectionError):
    """A bucket that cannot be reached, read or written, or lacks what a root needs of it."""


class TrainingError(WilssError, RuntimeError):
    """Training that cannot go on, for example a loss that is not finite."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the closest of ``known``, else the list of all; ends an error message."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else f" Known: {', '.join(names)}."
