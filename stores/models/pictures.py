"""Pictures on which exported models are compared with their origin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor

from wilss.data.files import read_mask, read_rgb
from wilss.data.image_names import IMAGE_SUFFIXES
from wilss.data.scenes.source import ScenesSource
from wilss.data.spec import World
from wilss.errors import DataError, DataNotFoundError, SpecError
from wilss.escapes import harmless
from wilss.models.parity import Picture

BUILT_IN = ((96, 96), (240, 320), (500, 375), (600, 800))
"""Height and width that scenes of the built-in world are drawn up to: four sizes, four pictures of each."""
EACH = 4


def pictures_for(paths: Sequence[Path], masks: Path | None = None) -> list[Picture]:
    """Pictures of files and of folders, or scenes of the built-in world where nothing is named.

    Args:
        masks: folder that has a true mask NAME.png for every picture, of class ids of the model.

    Raises SpecError for a folder without any and for two pictures of one mask, DataNotFoundError or DataError for a
    file that is none, or a mask that is not there or has another size.
    """
    if not paths:
        return _scenes()
    files = list(dict.fromkeys(file for path in paths for file in (_inside(path) if path.is_dir() else [path])))
    if masks:
        _require_own_masks(files, masks)
    return [_picture(file, masks / f"{file.stem}.png" if masks else None) for file in files]


def _require_own_masks(files: Sequence[Path], masks: Path) -> None:
    if not masks.is_dir():
        raise SpecError(f"'{masks}' is no folder; --masks takes one with a true mask NAME.png for every picture")
    by_stem: dict[str, Path] = {}
    for file in files:
        if (other := by_stem.setdefault(file.stem, file)) != file:
            raise SpecError(
                f"'{other}' and '{file}' would have one true mask, '{masks / file.stem}.png'; rename one, or leave it "
                "out"
            )


def _picture(file: Path, mask: Path | None) -> Picture:
    image = _read(file)
    if mask is None:
        return Picture(harmless(str(file)), image)
    if not mask.is_file():
        raise DataNotFoundError(f"'{mask}' does not exist: the true mask of '{file}'; add it, or leave out --masks")
    truth = read_mask(mask)
    if truth.shape != image.shape[1:]:
        sizes = [f"{size[1]} x {size[0]}" for size in (truth.shape, image.shape[1:])]
        raise DataError(f"mask '{mask}' is {sizes[0]}, its picture '{file}' {sizes[1]}; give masks of the same size")
    return Picture(harmless(str(file)), image, truth)


def _read(file: Path) -> Tensor:
    try:
        return read_rgb(file)
    except DataError as error:
        raise DataError(f"{str(error).partition('; ')[0]}; replace it, or name other pictures") from error


def _inside(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    if not found:
        raise SpecError(f"'{folder}' holds no image ({', '.join(IMAGE_SUFFIXES)}); name another folder, or image files")
    return found


def _scenes() -> list[Picture]:
    source = ScenesSource(World(), 0, EACH * len(BUILT_IN))
    pictures = []
    for k, image_id in enumerate(source.ids("eval")):
        image = source.image(image_id)[None].float()
        large = F.interpolate(image, BUILT_IN[k % len(BUILT_IN)], mode="bilinear", antialias=True)
        pictures.append(Picture(image_id, large[0].round().clamp(0, 255).byte()))
    return pictures
