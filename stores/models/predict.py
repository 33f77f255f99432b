"""What a stored student sees in image files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from wilss.data.files import read_rgb
from wilss.data.voc import save_palette_png
from wilss.device import require_device
from wilss.errors import DataError, SpecError
from wilss.models.lookup import model_folder
from wilss.models.model import Model
from wilss.outputs import writable_folder
from wilss.report.pictures import overlay, to_pil


def predict_files(
    checkpoint: str, images: Sequence[Path], out: Path, root: Path, device: str = "auto"
) -> Iterator[Path]:
    """Segment image files: ``NAME.png`` holds class ids in the card's colours, ``NAME-overlay.png`` is for looking at.

    Args:
        checkpoint: see `wilss.models.lookup.model_folder`.
    """
    if not images:
        raise SpecError("no image given; name at least one image file after the checkpoint")
    model = Model.open(model_folder(checkpoint, root), require_device(device))
    names = [path.stem for path in images]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated:
        raise DataError(f"two images are called '{repeated}'; their results would overwrite each other, rename one")
    decoded = [read_rgb(path) for path in images]  # all of them first: a broken file must leave nothing behind
    writable_folder(out)
    for name, image in zip(names, decoded, strict=True):
        labels = model.predict(image)
        save_palette_png(labels, out / f"{name}.png", model.palette)
        to_pil(overlay(image, labels, own=model.palette)).save(out / f"{name}-overlay.png")
        yield out / f"{name}.png"
