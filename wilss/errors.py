"""Errors a user can act on. Each also is a builtin, so that generic handlers work."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable


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


class FormatError(WilssError, RuntimeError):
    """A store or checkpoint whose format this version cannot read."""


class TrainingError(WilssError, RuntimeError):
    """Training that cannot go on, for example a loss that is not finite."""


def gpu_memory_advice(error: RuntimeError) -> str | None:
    """What to do about PyTorch's error of a GPU whose memory is used up; None for any other error."""
    torch = sys.modules.get("torch")  # it takes seconds to import, and what has not been imported has not failed
    if torch is None or not isinstance(error, torch.OutOfMemoryError):
        return None
    return (
        f"the memory of the GPU is used up ({str(error).splitlines()[0]}). Take smaller batches, such as --set "
        "step.batch_size=4 (of few-shot: train.batch_size=4), smaller images, or --device cpu; finished stages are kept"
    )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the closest of ``known``, else the list of all; ends an error message."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else f" Known: {', '.join(names)}."
