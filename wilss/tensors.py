"""Reading safetensors files that were stored here: checked against the manifest beside them, and finite."""

from __future__ import annotations

from pathlib import Path

from safetensors import safe_open
from torch import Tensor

from wilss.damage import reading, require_stored
from wilss.errors import FormatError


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a file on the CPU, and its notes.

    Raises DamagedArtefactError for one that is gone, is no safetensors file, is not what its manifest says, or holds a
    number that is not finite.
    """
    require_stored(path)
    with reading(path.parent, path.name):
        with safe_open(path, "pt") as handle:
            notes = handle.metadata() or {}
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 (no mapping)
        for name, value in tensors.items():
            if value.is_floating_point() and not bool(value.isfinite().all()):
                raise FormatError(f"'{name:.80}' holds numbers that are not finite")
    return tensors, notes
