"""Label sets: pseudo-masks of one step under one recipe, read the same way in either format.

Only what returns tensors imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stores.labels.format1 import INDEX_BYTES, open_format1
from stores.labels.frame import INDEX, read_frame
from stores.labels.index import STAGES, LabelIndex
from stores.labels.rows import Rows, SparseRows
from wilss.damage import MEND, bring, marks_in, reading, require_file
from wilss.data.files import PIXEL_LIMIT
from wilss.errors import ArtefactNotFoundError, DataError, FormatError, did_you_mean
from wilss.layout import AGAIN
from wilss.outside import read_json, require_format

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 2


@dataclass(frozen=True)
class LabelSet:
    """A published (or staged) label set, read-only. What is damaged raises DamagedArtefactError when it is read."""

    folder: Path
    index: LabelIndex
    stored: Rows

    @classmethod
    def open(cls, folder: Path) -> LabelSet:
        """Open the label set of a folder.

        Raises ArtefactNotFoundError when it is none, FormatError for one that is newer, DamagedArtefactError for one
        that is damaged or whose files are not of it.
        """
        path, marks = folder / INDEX, marks_in(folder)
        bring(folder, marks)
        if not marks and not path.exists():
            raise ArtefactNotFoundError(f"'{folder}' holds no label set: '{path.name}' is missing")
        require_file(folder, marks, INDEX)
        with reading(folder, INDEX):
            content = read_json(path, MEND, INDEX_BYTES)
        require_format(content, path, FORMAT)
        if isinstance(content, dict) and "format" in content:
            header, index = read_frame(folder, content, marks)
            return cls(folder, index, SparseRows(folder, header, index, marks))
        dense = open_format1(folder, content)
        return cls(folder, dense.index, dense)

    def __len__(self) -> int:
        return len(self.index.ids)

    @property
    def stage(self) -> str:
        """The stage that is learnt from: the last one."""
        return self.index.stages[-1]

    @cached_property
    def rows(self) -> dict[str, int]:
        """Image id -> position."""
        return {image_id: row for row, image_id in enumerate(self.index.ids)}

    def position(self, image_id: str) -> int:
        """Position of an image. Raises DataError with the closest id."""
        if image_id not in self.rows:
            close = did_you_mean(image_id, self.rows) if len(self) < 5000 else ""
            raise DataError(f"image '{image_id}' is not in this label set of {len(self)} images.{close[:200]}")
        return self.rows[image_id]

    def require_of(
        self, tags: Mapping[str, Sequence[bool]], classes: tuple[str, ...], canvas: int, own_tags: bool = False
    ) -> None:
        """Raise DataError unless the set can teach these classes on these images; it may hold a part of them.

        Args:
            tags: image id -> one flag a class. own_tags: people changed tags of the set, so that they may be others.
        """
        if (self.index.classes, self.index.canvas) != (classes, canvas):
            raise DataError(
                f"the label set has masks of {', '.join(self.index.classes)} at {self.index.canvas} px, the step needs "
                f"{', '.join(classes)} at {canvas} px; take a set of this step"
            )
        if not self.index.ids:
            raise DataError("the label set has no row, so there is nothing to learn from; take another one")
        for row, image_id in enumerate(self.index.ids):
            own = self.index.tags[row].tolist()
            if own != list(tags.get(image_id, ())) and not (own_tags and image_id in tags):
                of_data = f"has {_shown(tags[image_id], classes)} in the data" if image_id in tags else "the step lacks"
                raise DataError(
                    f"row {row} of the label set is image '{image_id}' with {_shown(own, classes)}, which {of_data}; "
                    "take a set of this step, or make it anew with --again labels"
                )

    def packed(self, stage: str, start: int, stop: int) -> NDArray[np.uint8]:
        """Packed masks of the rows of images ``start`` to ``stop``, uint8 ``(R, S, ceil(S / 8))``.

        Raises ArtefactNotFoundError for a stage that the set does not have.
        """
        self._require(stage, self.index.stages)
        return self.stored.read(stage, *self._rows(start, stop))

    def masks(self, stage: str, start: int, stop: int) -> NDArray[np.uint8]:
        """The same unpacked, uint8 ``(R, S, S)`` of 0 and 1."""
        return np.unpackbits(self.packed(stage, start, stop), axis=-1, count=self.index.canvas)

    def image_masks(self, stage: str, image: int) -> NDArray[np.uint8]:
        """Masks of the tagged classes of one image in its size on the canvas, uint8 ``(R, h, w)`` of 0 and 1."""
        height, width = self.true_size(image)
        bits = self.packed(stage, image, image + 1)[:, :height, : -(-width // 8)]
        return np.unpackbits(bits, axis=-1, count=width)

    def read(self, name: str, start: int, stop: int) -> Tensor:
        """`values` as a tensor; sizes are int64."""
        import torch

        found = self.values(name, start, stop)
        return torch.from_numpy(found.astype(np.int64) if found.dtype == np.uint32 else found)

    def values(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """One array for images ``start`` to ``stop``, as ``(N, C, ...)`` with every class.

        Args:
            name: a stage (uint8), "soft" (float16), "agreement" or another number of quality (float32, NaN where a
                class is not tagged), or "size" and "original" (uint32 ``(N, 2)``).

        Raises ArtefactNotFoundError for what the set does not have.
        """
        if name in ("size", "original"):
            return self._images[start:stop, slice(0, 2) if name == "size" else slice(2, 4)]
        self._require(name, [*self.index.stages, *(["soft"] if "initial" in self.index.stages else []), *self.columns])
        if name in self.columns:
            first, last = self._rows(start, stop)
            return self._spread(self.quality[name][first:last], start, stop, np.nan)
        values = self.masks(name, start, stop) if name in STAGES else self.stored.read(name, *self._rows(start, stop))
        return self._spread(values, start, stop, 0)

    def soft(self, image: int) -> NDArray[np.float16]:
        """The scorer's maps of the tagged classes of one image over the canvas, float16 ``(R, h, w)`` in [0, 1].

        Raises ArtefactNotFoundError for a set that was not co-segmented.
        """
        self._require("soft", ["soft"] if "initial" in self.index.stages else [])
        return self.stored.read("soft", *self._rows(image, image + 1))

    def _rows(self, start: int, stop: int) -> tuple[int, int]:
        return int(self.index.starts[start]), int(self.index.starts[stop])

    def _spread(self, values: NDArray[Any], start: int, stop: int, fill: float) -> NDArray[Any]:
        out = np.full((stop - start, len(self.index.classes), *values.shape[1:]), fill, values.dtype)
        out[self.index.tags[start:stop]] = values
        return out

    def _require(self, name: str, known: Sequence[str]) -> None:
        if name not in known:
            raise ArtefactNotFoundError(f"this label set has no '{name}' layer; it has {sorted(known)}")

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the numbers that are kept of every row."""
        return self.stored.columns

    @cached_property
    def quality(self) -> dict[str, NDArray[np.float32]]:
        """The numbers of every row by name, float32 ``(R,)``; NaN where unknown."""
        return dict(zip(self.columns, self.stored.quality().T, strict=True))

    @cached_property
    def _images(self) -> NDArray[np.uint32]:
        return self.stored.images()

    @property
    def sizes(self) -> NDArray[np.uint32]:
        """(height, width) of each image on the canvas and of its file, uint32 ``(N, 4)``."""
        return self._images[:, :4]

    @property
    def pixels(self) -> NDArray[np.uint32]:
        """Digest of each image on the canvas, uint32 ``(N, 4)``; zeros where unknown."""
        return self._images[:, 4:]

    def agreement(self) -> Tensor:
        """Mean agreement of each image's tagged classes, float32 ``(N,)``; NaN where unknown."""
        return self.read("agreement", 0, len(self)).nanmean(1)

    def true_size(self, row: int) -> tuple[int, int]:
        """Height and width of an image on the canvas. Raises FormatError for a size that no canvas holds."""
        return self._size("size", row, self.index.canvas**2)

    def original_size(self, row: int) -> tuple[int, int]:
        """Height and width of an image's file. Raises FormatError for a size that no file has (`wilss.data.files`)."""
        return self._size("original", row, 2 * PIXEL_LIMIT)

    def _size(self, name: str, row: int, most: int) -> tuple[int, int]:
        height, width = self.sizes[row, slice(0, 2) if name == "size" else slice(2, 4)].tolist()
        if not 0 < height * width <= most or (name == "size" and max(height, width) > self.index.canvas):
            raise FormatError(
                f"the label set's '{name}' of image '{self.index.ids[row]}' is {height} x {width}; expected are 1 to "
                f"{most} pixels; {AGAIN}"
            )
        return height, width


def _shown(tags: Sequence[bool], classes: tuple[str, ...]) -> str:
    return ", ".join(name for name, tagged in zip(classes, tags, strict=True) if tagged) or "no tag"
