"""What a stored student sees in image files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from stores.progress import say
from wilss.data.files import read_rgb
from wilss.data.image_names import IMAGE_SUFFIXES
from wilss.data.voc import save_palette_png
from wilss.device import require_device
from wilss.errors import DataError, DataNotFoundError, SpecError
from wilss.models.lookup import model_folder
from wilss.models.model import Model
from wilss.outputs import file_names, require_free, whole_file, writable_folder
from wilss.report.pictures import overlay, to_pil

ENDINGS = ("", "-overlay")
BAND = 256
"""Rows of an overlay that are mixed at once: in floats a photograph takes four times its size, twice."""
TOLD = 5


def predict_files(
    checkpoint: str, images: Sequence[Path], out: Path, root: Path, device: str = "auto", replace: bool = False
) -> Iterator[Path]:
    """Segment image files: ``NAME.png`` holds class ids in the card's colours, ``NAME-overlay.png`` is for looking at.

    One image after the other is read, segmented and written. Those that cannot be decoded are said at the end, when all
    others are written.

    Args:
        checkpoint: see `wilss.models.lookup.model_folder`. images: files, and folders whose images are meant.
        replace: results that are there may be replaced; an image never is.

    Raises SpecError, DataNotFoundError or ArtefactNotFoundError before anything is written, DataError at the end.
    """
    folder = model_folder(checkpoint, root)
    files = _files(images)
    names = file_names([path.stem for path in files], ENDINGS)
    require_free((out / f"{name}{ending}.png" for name in names for ending in ENDINGS), replace, files)
    model = Model.open(folder, require_device(device))
    writable_folder(out)
    broken = []
    for path, name in zip(files, names, strict=True):
        try:
            image = read_rgb(path)
        except (DataError, DataNotFoundError) as error:
            say(f"{str(error).partition('; ')[0]}; it is left out")
            broken.append(path)
            continue
        if name != path.stem:
            say(f"the result of '{path}' is called '{name}.png'")
        yield _write(model, image, out, name)
    if broken:
        shown = ", ".join(f"'{path}'" for path in broken[:TOLD]) + (", ..." if len(broken) > TOLD else "")
        raise DataError(
            f"{len(broken)} of {len(files)} images cannot be decoded and have no result: {shown}; replace these files"
        )


def _write(model: Model, image: Tensor, out: Path, name: str) -> Path:
    labels = model.predict(image)
    target = out / f"{name}.png"
    with whole_file(target) as partial:
        save_palette_png(labels, partial, model.palette)
    with whole_file(out / f"{name}-overlay.png") as partial:
        to_pil(overlay_of(model, image, labels)).save(partial, "PNG")
    return target


def overlay_of(model: Model, image: Tensor, labels: Tensor) -> Tensor:
    """The colours of a student's classes over an image, uint8 ``(3, H, W)``; labels: class ids ``(H, W)``."""
    mixed = torch.empty_like(image)
    for top in range(0, len(labels), BAND):
        rows = slice(top, top + BAND)
        mixed[:, rows] = overlay(image[:, rows], labels[rows], own=model.palette)
    return mixed


def _files(images: Sequence[Path]) -> list[Path]:
    """Image files as they are named, each once, and the images of folders.

    Raises SpecError when there is none, DataNotFoundError for what is no file.
    """
    files: dict[Path, None] = {}
    for path in images:
        if path.is_dir():
            files |= dict.fromkeys(_inside(path))
        elif path.is_file():
            files[path] = None
        else:
            problem = "is a link to a file that does not exist" if path.is_symlink() else "does not exist"
            raise DataNotFoundError(f"'{path}' {problem}; name image files, or folders that hold some")
    if not files:
        raise SpecError("no image given; name at least one image file, or a folder of some, after the checkpoint")
    return list(files)


def _inside(folder: Path) -> list[Path]:
    """The images of a folder, those of its folders not; what is passed over is said."""
    entries = [path for path in sorted(folder.iterdir()) if not path.is_dir()]
    found = [path for path in entries if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")]
    if not found:
        raise SpecError(f"'{folder}' holds no image ({', '.join(IMAGE_SUFFIXES)}); name another folder, or image files")
    if passed := [path.name for path in entries if path not in set(found)]:
        more = ", ..." if len(passed) > TOLD else ""
        say(f"passed over {len(passed)} files of '{folder}' that are no images: {', '.join(passed[:TOLD])}{more}")
    return found
