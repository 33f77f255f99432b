"""Label sets: pseudo-masks of one step under one recipe, in zarr v3.

``labels.zarr`` holds, for N images and C classes on a square canvas:

    initial, refined, final  u1 (N, C, S, S)  0 or 1; a pixel may belong to two classes
    soft                     f2 (N, C, h, w)  normalised coarse score in [0, 1]
    agreement                f4 (N, C)        IoU of scorer and grouper, NaN where the class is not tagged
    size, original           u2 (N, 2)        (height, width) on the canvas and of the file
    done                     u1 (N,)          1 once the row is written: the only evidence that it is

Ids, class names and tags lie in ``index.json``. A writer owns whole shards: two writers in one shard lose data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import zarr
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor
from zarr.codecs import ZstdCodec

from stores.labels.files import require_layers
from wilss.architecture import MOST_CLASSES, MOST_PIXELS
from wilss.data.files import PIXEL_LIMIT
from wilss.errors import ArtefactNotFoundError, DataError, FormatError, did_you_mean
from wilss.foundation.cosegment import PseudoLabels
from wilss.layout import AGAIN
from wilss.outputs import whole_file
from wilss.outside import checked, read_json

SHARD_BYTES = 32 << 20
STAGES = ("initial", "refined", "final")
LAYER_BYTES = 1 << 30
"""Of one stage of one image, one byte a pixel and class."""
INDEX_BYTES = 256 << 20
"""118,000 images of COCO with a tag for each of 254 classes have 180 MB."""
Side = Annotated[int, Field(ge=1, le=MOST_PIXELS)]


class LabelIndex(BaseModel):
    """What the rows and channels of a label set stand for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ids: tuple[str, ...]
    classes: tuple[str, ...] = Field(min_length=1, max_length=MOST_CLASSES)
    tags: tuple[tuple[bool, ...], ...]
    canvas: Side
    grid: tuple[Side, Side]
    stages: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _sound(self) -> LabelIndex:
        if not set(self.stages) <= set(STAGES):
            raise ValueError(f"stages are {', '.join(self.stages)[:100]}; known are {', '.join(STAGES)}")
        if len(self.tags) != len(self.ids) or any(len(row) != len(self.classes) for row in self.tags):
            raise ValueError(f"tags are not those of {len(self.ids)} images and {len(self.classes)} classes")
        if len(self.classes) * self.canvas**2 > LAYER_BYTES:
            raise ValueError(f"{len(self.classes)} masks of {self.canvas} pixels have more than {LAYER_BYTES} bytes")
        return self

    @property
    def layers(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Arrays of the set: name -> data type, shape."""
        n, c = len(self.ids), len(self.classes)
        arrays: dict[str, tuple[str, tuple[int, ...]]] = dict.fromkeys(
            self.stages, ("uint8", (n, c, self.canvas, self.canvas))
        )
        if "initial" in self.stages:
            arrays |= {"soft": ("float16", (n, c, *self.grid)), "agreement": ("float32", (n, c))}
        return arrays | {"size": ("uint16", (n, 2)), "original": ("uint16", (n, 2)), "done": ("uint8", (n,))}

    @property
    def shard_rows(self) -> int:
        """Images per shard: at most 128 and at most `SHARD_BYTES` of one layer."""
        return max(1, min(128, SHARD_BYTES // (len(self.classes) * self.canvas**2)))

    @property
    def n_shards(self) -> int:
        """Number of shards; the last one may be partly filled."""
        return -(-len(self.ids) // self.shard_rows)

    def rows(self, shard: int) -> range:
        """Positions of the images of a shard."""
        return range(shard * self.shard_rows, min((shard + 1) * self.shard_rows, len(self.ids)))


class LabelWriter:
    """Fills the label set that was begun in a staging folder; opening it again goes on where it stopped.

    Writers of different shards may work side by side; a shard has one writer at a time (see `Store.build`).
    """

    def __init__(self, folder: Path) -> None:
        self.index = _read_index(folder)
        self.group = zarr.open_group(folder / "labels.zarr", mode="r+")

    @classmethod
    def begin(cls, folder: Path, index: LabelIndex) -> LabelWriter:
        """Lay out a label set, unless that was done; the index is written last."""
        written = folder / "index.json"
        if not written.is_file():
            _create_arrays(folder / "labels.zarr", index)
            with whole_file(written) as partial:
                partial.write_text(index.model_dump_json())
        return cls(folder)

    def is_done(self, shard: int) -> bool:
        """Whether every row of the shard is written."""
        rows = self.index.rows(shard)
        return bool(np.asarray(_array(self.group, "done")[rows.start : rows.stop]).all())

    def write(self, shard: int, layers: dict[str, Tensor], sizes: Tensor, originals: Tensor) -> None:
        """Write one whole shard; ``done`` is set last.

        Args:
            layers: one tensor per array: the stages and, for co-segmented sets, "soft" and "agreement".
        """
        rows = self.index.rows(shard)
        place = slice(rows.start, rows.stop)
        for name, values in {**layers, "size": sizes, "original": originals}.items():
            array = _array(self.group, name)
            array[place] = values.cpu().numpy().astype(array.dtype)
        _array(self.group, "done")[place] = np.ones(len(rows), np.uint8)


def layers_of(labels: PseudoLabels) -> dict[str, Tensor]:
    """The arrays of a co-segmented batch by name."""
    return {
        "initial": labels.initial,
        "refined": labels.refined,
        "soft": labels.soft,
        "agreement": labels.agreement,
    }


@dataclass(frozen=True)
class LabelSet:
    """A published (or staged) label set, read-only."""

    index: LabelIndex
    group: Any

    @classmethod
    def open(cls, folder: Path) -> LabelSet:
        """Open the label set of a folder.

        Raises ArtefactNotFoundError when it is none, FormatError for one that is damaged or whose files are not of it.
        """
        index = _read_index(folder)
        require_layers(folder / "labels.zarr", index.layers, AGAIN)
        # of this format and from the files that were looked at: a group may tell of its arrays otherwise
        group = zarr.open_group(folder / "labels.zarr", mode="r", zarr_format=3, use_consolidated=False)
        return cls(index, group)

    def __len__(self) -> int:
        return len(self.index.ids)

    @cached_property
    def rows(self) -> dict[str, int]:
        """Image id -> row."""
        return {image_id: row for row, image_id in enumerate(self.index.ids)}

    def position(self, image_id: str) -> int:
        """Row of an image. Raises DataError with the closest id."""
        if image_id not in self.rows:
            close = did_you_mean(image_id, self.rows) if len(self) < 5000 else ""
            raise DataError(f"image '{image_id}' is not in this label set of {len(self)} images.{close[:200]}")
        return self.rows[image_id]

    def require_of(self, tags: Mapping[str, Sequence[bool]], classes: tuple[str, ...], canvas: int) -> None:
        """Raise DataError unless the set can teach these classes on these images; it may hold a part of them.

        Args:
            tags: image id -> one flag a class.
        """
        if (self.index.classes, self.index.canvas) != (classes, canvas):
            raise DataError(
                f"the label set has masks of {', '.join(self.index.classes)} at {self.index.canvas} px, the step needs "
                f"{', '.join(classes)} at {canvas} px; take a set of this step"
            )
        if not self.index.ids:
            raise DataError("the label set has no row, so there is nothing to learn from; take another one")
        for row, (image_id, own) in enumerate(zip(self.index.ids, self.index.tags, strict=True)):
            if list(own) != list(tags.get(image_id, ())):
                of_data = f"has {_shown(tags[image_id], classes)} in the data" if image_id in tags else "the step lacks"
                raise DataError(
                    f"row {row} of the label set is image '{image_id}' with {_shown(own, classes)}, which {of_data}; "
                    "take a set of this step, or make it anew with --again labels"
                )

    def read(self, name: str, start: int, stop: int) -> Tensor:
        """Rows ``start`` to ``stop`` of one array."""
        return torch.from_numpy(np.asarray(_array(self.group, name)[start:stop]))

    def agreement(self) -> Tensor:
        """Mean agreement of each image's tagged classes, float32 ``(N,)``; NaN where unknown."""
        if "agreement" not in self.group:
            return torch.full((len(self),), torch.nan)
        return self.read("agreement", 0, len(self)).nanmean(1)

    def true_size(self, row: int) -> tuple[int, int]:
        """Height and width of an image on the canvas. Raises FormatError for a size that no canvas holds."""
        return self._size("size", row, self.index.canvas**2)

    def original_size(self, row: int) -> tuple[int, int]:
        """Height and width of an image's file. Raises FormatError for a size that no file has (`wilss.data.files`)."""
        return self._size("original", row, 2 * PIXEL_LIMIT)

    def _size(self, name: str, row: int, most: int) -> tuple[int, int]:
        height, width = self.read(name, row, row + 1).int()[0].tolist()
        if not 0 < height * width <= most:
            raise FormatError(
                f"the label set's '{name}' of image '{self.index.ids[row]}' is {height} x {width}; expected are 1 to "
                f"{most} pixels; {AGAIN}"
            )
        return height, width


class LayerCache:
    """One stage of a label set in memory, one bit per pixel and class, for random access in training.

    Args:
        image_ids: whose masks ``layers`` gives by position; every one has a row.
    """

    def __init__(self, labels: LabelSet, image_ids: Sequence[str], stage: str = "refined") -> None:
        self.canvas = labels.index.canvas
        shards = []
        for shard in range(labels.index.n_shards):  # whole shards: random reads of zarr are slow
            rows = labels.index.rows(shard)
            values = labels.read(stage, rows.start, rows.stop).numpy()
            shards.append(np.packbits(values.astype(bool), axis=-1))
        self.bits = np.concatenate(shards)
        self.rows = np.array([labels.position(image_id) for image_id in image_ids])

    def layers(self, positions: Sequence[int]) -> Tensor:
        """See `wilss.learn.incremental.MaskLayers.layers`."""
        unpacked = np.unpackbits(self.bits[self.rows[list(positions)]], axis=-1, count=self.canvas)
        return torch.from_numpy(unpacked)


def _shown(tags: Sequence[bool], classes: tuple[str, ...]) -> str:
    return ", ".join(name for name, tagged in zip(classes, tags, strict=True) if tagged) or "no tag"


def _read_index(folder: Path) -> LabelIndex:
    path = folder / "index.json"
    if not path.is_file():
        raise ArtefactNotFoundError(f"'{folder}' holds no label set: '{path.name}' is missing")
    return checked(LabelIndex, read_json(path, AGAIN, INDEX_BYTES), path, AGAIN)


def _create_arrays(path: Path, index: LabelIndex) -> None:
    group = zarr.open_group(path, mode="w", zarr_format=3)
    rows = index.shard_rows
    zstd = ZstdCodec(level=3)

    for name, (dtype, shape) in index.layers.items():
        tail = shape[1:]
        if name == "done":
            group.create_array(name, shape=shape, dtype=dtype, chunks=(rows,), fill_value=0)
            continue
        fill = float("nan") if name == "agreement" else 0
        group.create_array(
            name, shape=shape, dtype=dtype, chunks=(1, *tail), shards=(rows, *tail), compressors=zstd, fill_value=fill
        )


def _array(group: Any, name: str) -> zarr.Array[Any]:
    if name not in group:
        raise ArtefactNotFoundError(f"this label set has no '{name}' layer; it has {sorted(group.array_keys())}")
    array = group[name]
    assert isinstance(array, zarr.Array)
    return array
