"""Facts of this machine: environment variables and default folders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wilss.spec import Settings

# what Apple's GPU cannot do is done on the CPU; PyTorch reads it when it is imported, which comes later
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")


def default_root() -> Path:
    """``WILSS_ROOT``, else ``./wilss-data``."""
    return Path(os.environ.get("WILSS_ROOT", "wilss-data"))


def machine_settings(
    root: Path | None = None,
    data: Path | None = None,
    weights: Path | None = None,
    labels_csv: Path | None = None,
    skip_unreadable: bool = False,
    device: str | None = None,
    voc: Path | None = None,
    again: tuple[str, ...] = (),
) -> Settings:
    """Settings from arguments, else from ``WILSS_ROOT``, ``_DATA``, ``_VOC``, ``_WEIGHTS`` and ``_DEVICE``.

    Without any weights folder, one called ``weights`` inside or beside the data folder is used.
    """
    from wilss.spec import Settings

    data = data or _folder("WILSS_DATA")
    weights = weights or _folder("WILSS_WEIGHTS")
    if weights is None and data is not None:
        beside = (data / "weights", data.resolve().parent / "weights")
        weights = next((folder for folder in beside if folder.is_dir()), None)
    return Settings(
        root=root or default_root(),
        data=data,
        voc=voc or _folder("WILSS_VOC"),
        weights=weights,
        labels_csv=labels_csv,
        skip_unreadable=skip_unreadable,
        device=device or os.environ.get("WILSS_DEVICE", "auto"),
        again=again,
    )


def _folder(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value) if value else None
