"""Damage of a label set, told in one way."""

from __future__ import annotations

from pathlib import Path

from stores.damage import DamagedArtefactError


def damaged(folder: Path, name: str, reason: object, where: str = "") -> DamagedArtefactError:
    """The error for a file of a label set that is not what was written.

    Args:
        name: of the file, in the folder of the set. where: the shard and its images.
    """
    problem = reason.strerror if isinstance(reason, OSError) else reason
    shard = f" of {where}" if where else ""
    return DamagedArtefactError(
        f"label set {folder.name[:12]} is damaged: '{folder / name}'{shard} cannot be read ({problem}); run again, which "
        f"makes only that anew, or mend it with: wilss store repair {folder.name[:12]}"
    )
