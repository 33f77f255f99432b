"""``wilss predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flows.cli.printing import show
from flows.machine import machine_settings


def predict(
    checkpoint: str,
    images: Annotated[tuple[Path, ...], Parameter(consume_multiple=True)],
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    root: Path | None = None,
    device: str | None = None,
) -> None:
    """Segment image files with a checkpoint (its digest or folder): writes an overlay and a palette PNG for each."""
    from stores.models.predict import predict_files

    settings = machine_settings(root=root, device=device)
    for path in predict_files(checkpoint, images, out, settings.root, settings.device):
        show(path)
