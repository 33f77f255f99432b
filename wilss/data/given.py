"""Images and tags as scripts hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from wilss.data.files import as_rgb, read_rgb
from wilss.errors import DataError, SpecError, did_you_mean

Picture: TypeAlias = str | Path | Image.Image | NDArray[Any] | Tensor
"""A file, a Pillow image, an array ``(H, W, 3)`` or a tensor ``(3, H, W)``: uint8, or float in [0, 1]; RGB."""
Form = Literal["one", "list", "batch"]
KINDS = "a path, a Pillow image, an array (H, W, 3), a tensor (3, H, W), or a list or batch of them"


@dataclass(frozen=True)
class Pictures:
    """Images by name, converted or read when they are asked for.

    form: how they were given: one, a list, or one array or tensor of a further axis.
    """

    items: Mapping[str, Picture]
    form: Form

    @classmethod
    def of(cls, given: Picture | Sequence[Picture], ids: Sequence[str] | None = None) -> Pictures:
        """Take images as they come.

        Args:
            ids: a name for each; the file's without its suffix, or the position, when left out.

        Raises DataError for what is no image, and for names that are not one each.
        """
        items, form = _parted(given)
        names = tuple(ids) if ids is not None else _names(items)
        if len(names) != len(items) or len(set(names)) != len(names):
            raise DataError(f"{len(set(names))} different names for {len(items)} images; give each its own with ids=")
        return cls(dict(zip(names, items, strict=True)), form)

    @property
    def ids(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(self.items)

    def image(self, image_id: str) -> Tensor:
        """One image, uint8 ``(3, H, W)``. Raises DataError or DataNotFoundError for one that cannot be used."""
        return picture(self.items[image_id])


def picture(given: Picture) -> Tensor:
    """One image as uint8 ``(3, H, W)`` on the CPU; floats are rounded to 1/255.

    Raises DataNotFoundError for a missing file, DataError for what cannot be decoded or is no image.
    """
    if isinstance(given, str | Path):
        return read_named(Path(given))
    if isinstance(given, Image.Image):
        try:
            return as_rgb(given)
        except (OSError, SyntaxError, ValueError) as error:
            raise DataError(f"a Pillow image cannot be decoded ({error}); open its file anew") from error
    if isinstance(given, np.ndarray):
        _require(given.ndim == 3 and given.shape[-1] == 3, given, "(H, W, 3)")
        if given.dtype.kind not in "fiu":
            raise DataError(f"an image array holds {given.dtype}; give uint8, or floats in [0, 1]")
        return _bytes(torch.from_numpy(np.array(given)).permute(2, 0, 1))
    if isinstance(given, Tensor):
        _require(given.ndim == 3 and len(given) == 3, given, "(3, H, W)")
        return _bytes(given.detach().cpu())
    raise DataError(f"{type(given).__name__} is no image; give {KINDS}")


def read_named(path: Path) -> Tensor:
    """An image that somebody named by itself, as `read_rgb` gives it; the advice to leave it out is for data sets."""
    try:
        return read_rgb(path)
    except DataError as error:
        seen, _, advice = str(error).rpartition("; ")
        raise DataError(f"{seen}; replace it, or name another image" if "--" in advice else str(error)) from error


def tag_table(tags: Sequence[Sequence[str]], classes: Sequence[str], n_images: int) -> Tensor:
    """Class names of every image as bool ``(N, C)``. Raises DataError for another number of rows, or a name unknown."""
    if isinstance(tags, str) or len(tags) != n_images:
        raise DataError(f"{len(tags)} rows of tags for {n_images} images; give a list of class names for each image")
    table = torch.zeros(n_images, len(classes), dtype=torch.bool)
    for row, names in enumerate(tags):
        if isinstance(names, str):
            raise DataError(f"the tags of image {row} are '{names}'; give a list of names, ['{names}']")
        for name in names:
            if name not in classes:
                raise DataError(f"image {row} has the tag '{name}', which is no class.{did_you_mean(name, classes)}")
            table[row, list(classes).index(name)] = True
    return table


def words_of(classes: Any) -> dict[str, tuple[str, ...]]:
    """Class name -> words for the scorer, from names or a mapping of names to words. Raises SpecError for neither."""
    if isinstance(classes, str):
        raise SpecError(f"classes is '{classes}'; give a list of names, ['{classes}']")
    if not hasattr(classes, "items"):
        return {name: (name,) for name in classes}
    return {name: (words,) if isinstance(words, str) else tuple(words) for name, words in classes.items()}


def _parted(given: Any) -> tuple[Sequence[Picture], Form]:
    if isinstance(given, np.ndarray | Tensor) and given.ndim == 4:
        return given, "batch"  # type: ignore[return-value]
    if isinstance(given, str | Path | Image.Image | np.ndarray | Tensor):
        return [given], "one"
    if isinstance(given, Sequence):
        return given, "list"
    raise DataError(f"{type(given).__name__} is no image; give {KINDS}")


def _names(items: Sequence[Picture]) -> tuple[str, ...]:
    stems = [Path(item).stem if isinstance(item, str | Path) else str(k) for k, item in enumerate(items)]
    return tuple(stems if len(set(stems)) == len(stems) else map(str, range(len(items))))


def _require(sound: bool, given: NDArray[Any] | Tensor, shape: str) -> None:
    if not sound or 0 in given.shape:
        what = "tensor" if isinstance(given, Tensor) else "array"
        raise DataError(f"an image {what} has the shape {tuple(given.shape)}; give RGB as {shape}")


def _bytes(image: Tensor) -> Tensor:
    if image.dtype == torch.uint8:
        return image
    if not image.is_floating_point() or not bool(((image >= 0) & (image <= 1)).all()):
        low, high = (value.item() for value in image.double().aminmax())
        raise DataError(f"an image holds {image.dtype} from {low:.4g} to {high:.4g}; give uint8, or floats in [0, 1]")
    return (image * 255).round().to(torch.uint8)
