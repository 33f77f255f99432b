"""What the forms of label sets in other tools' files share: whose masks, under which names, at which size."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from stores.labels.sets import LabelSet
from wilss.data.image_names import composed, known_id
from wilss.data.index import index_images
from wilss.errors import DataError, SpecError
from wilss.outputs import whole_file

JSON_BYTES = 1 << 30
"""Of a file of masks; a million rows have less."""
ADVICE = "write it with 'wilss labels export' and change the masks alone"
Masks = NDArray[np.uint8]


class Foreign(BaseModel):
    """A part of another tool's file; what it says beside is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


@dataclass(frozen=True)
class Outgoing:
    """A label set on its way out. names: of its images' files, one an image."""

    labels: LabelSet
    stage: str
    class_ids: tuple[int, ...]
    names: Sequence[str]

    def rows(self) -> Iterator[tuple[int, Masks, list[int]]]:
        """Position of each image, its masks at its own size, uint8 ``(R, H, W)``, and the channel of each."""
        for image in range(len(self.labels)):
            original = self.labels.original_size(image)
            masks = torch.from_numpy(self.labels.image_masks(self.stage, image))
            if len(masks):
                masks = F.interpolate(masks[:, None], original, mode="nearest-exact")[:, 0]
            channels = [int(k) for k in self.labels.index.tags[image].nonzero()[0]]
            yield image, masks.numpy() if len(masks) else np.zeros((0, *original), np.uint8), channels


@dataclass(frozen=True)
class Found:
    """Masks of a folder: ids of the images that have some, and what gives an image's, at its own size ``(C, H, W)``."""

    ids: Sequence[str]
    masks: Callable[[str], Masks]


def file_names_in(images: Path, labels: LabelSet) -> list[str]:
    """The file of each image in a folder, sub-folders included, as a path within it.

    Raises DataError for an image that has no file there.
    """
    if not images.is_dir():
        raise DataError(f"'{images}' is not a folder; name the folder of the label set's images")
    files = index_images(images, deep=True).files
    lacking = [image_id for image_id in labels.index.ids if image_id not in files]
    if lacking:
        raise DataError(
            f"'{images}' has no file of image '{lacking[0]:.100}', nor of {len(lacking) - 1} others of "
            f"{len(labels)}; name the folder that the images' ids are paths within"
        )
    return [files[image_id].relative_to(images).as_posix() for image_id in labels.index.ids]


def suffixed(labels: LabelSet) -> list[str]:
    """Ids as names of files, for tools that cut off whatever is behind the last dot.

    Raises SpecError where such a name is the id of another image.
    """
    names = [f"{image_id}.jpg" for image_id in labels.index.ids]
    taken = sorted(set(names) & set(labels.index.ids))
    if taken:
        raise SpecError(f"image '{taken[0][:-4]:.100}' and image '{taken[0]:.100}' would have one name; use coco")
    return names


def known_images(path: Path, written: Sequence[str], labels: LabelSet) -> list[str]:
    """Ids of the images that a file names by id, or by file name with suffix or folder.

    Raises DataError for one that is not in the set, or is there twice.
    """
    own, plain = set(labels.index.ids), {composed(image_id): image_id for image_id in labels.index.ids}
    ids = [name if name in own else known_id(name, plain) or name for name in written]
    for image_id in ids:
        labels.position(image_id)
    require_once(path, ids)
    return ids


def require_once(path: Path, ids: Sequence[Any]) -> None:
    """Raise DataError for an image that a file lists twice."""
    if len(set(ids)) != len(ids):
        twice = Counter(ids).most_common(1)[0][0]
        raise DataError(f"'{path}' lists image '{twice!s:.100}' twice; take one out")


def channel_of(path: Path, name: str, labels: LabelSet) -> int:
    """Channel of a class. Raises DataError for a name that the label set does not have."""
    if name not in labels.index.classes:
        raise DataError(
            f"'{path}' has a mask of class '{name:.100}'; the label set has {', '.join(labels.index.classes):.200}. "
            "Name the class as it does, or name another parent"
        )
    return labels.index.classes.index(name)


def require_size(size: tuple[int, ...], labels: LabelSet, image_id: str) -> None:
    """Raise DataError unless ``(H, W)`` is an image's own size; ask before memory is taken for a file's word."""
    original = labels.original_size(labels.position(image_id))
    if size != original:
        seen, wanted = (f"{h} x {w}" for h, w in (size, original))
        raise DataError(
            f"the mask of image '{image_id}' is {seen}, the image is {wanted}; write it in the image's size"
        )


def write_json(path: Path, content: Any) -> None:
    """Write JSON, one value a line."""
    with whole_file(path) as partial:
        partial.write_text(json.dumps(content, indent=0, ensure_ascii=True) + "\n")
