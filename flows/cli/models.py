"""``wilss predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from flows.cli.options import Flag, Out, several
from flows.cli.printing import show
from flows.machine import machine_settings


def predict(
    checkpoint: str,
    images: Annotated[tuple[Path, ...], several()],
    *,
    out: Out,
    replace: Flag = False,
    root: Path | None = None,
    device: str | None = None,
) -> None:
    """Segment image files with a checkpoint: writes a palette PNG and an overlay for each.

    Args:
        checkpoint: digest or folder of a checkpoint, or folder of a run, whose last one is taken
        images: image files, and folders whose images are meant
        out: folder of the results, NAME.png and NAME-overlay.png
        replace: replace results that are there; without it nothing is replaced
        root: folder of artefacts; else WILSS_ROOT, else ./wilss-data
        device: cpu, cuda or mps; else WILSS_DEVICE, else auto: cuda, else mps, else cpu
    """
    from stores.models.predict import predict_files

    settings = machine_settings(root=root, device=device)
    for path in predict_files(checkpoint, images, out, settings.root, settings.device, replace):
        show(path)
