"""Label sets of format 1, as rows: dense arrays of N images and C classes that zarr decodes.

``labels.zarr`` held the stages u1 (N, C, S, S), soft f2 (N, C, h, w), agreement f4 (N, C), size and original u2 (N, 2)
and done u1 (N,); ids and tags lay in ``index.json``. Nothing writes it any more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from stores.labels.files import Layer, require_layers
from stores.labels.index import STAGES, LabelIndex
from stores.labels.shards import encode_chunk
from wilss.architecture import MOST_CLASSES, MOST_PIXELS
from wilss.damage import MEND, damaged, reading
from wilss.errors import DamagedArtefactError
from wilss.outside import checked

SHARD_BYTES = 32 << 20
LAYER_BYTES = 1 << 30
"""Of one stage of one image, one byte a pixel and class."""
INDEX_BYTES = 256 << 20
"""118,000 images of COCO with a tag for each of 254 classes have 180 MB."""
GROUP = "labels.zarr"
Side = Annotated[int, Field(ge=1, le=MOST_PIXELS)]
Values = NDArray[Any]


class OldIndex(BaseModel):
    """Content of ``index.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ids: tuple[str, ...]
    classes: tuple[str, ...] = Field(min_length=1, max_length=MOST_CLASSES)
    tags: tuple[tuple[bool, ...], ...]
    canvas: Side
    grid: tuple[Side, Side]
    stages: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _sound(self) -> OldIndex:
        if not set(self.stages) <= set(STAGES):
            raise ValueError(f"stages are {', '.join(self.stages)[:100]}; known are {', '.join(STAGES)}")
        if len(self.tags) != len(self.ids) or any(len(row) != len(self.classes) for row in self.tags):
            raise ValueError(f"tags are not those of {len(self.ids)} images and {len(self.classes)} classes")
        if len(self.classes) * self.canvas**2 > LAYER_BYTES:
            raise ValueError(f"{len(self.classes)} masks of {self.canvas} pixels have more than {LAYER_BYTES} bytes")
        return self

    @property
    def layers(self) -> dict[str, Layer]:
        """Arrays of the set."""
        n, c = len(self.ids), len(self.classes)
        arrays = dict.fromkeys(self.stages, Layer("uint8", (n, c, self.canvas, self.canvas)))
        if "initial" in self.stages:
            arrays |= {"soft": Layer("float16", (n, c, *self.grid)), "agreement": Layer("float32", (n, c))}
        return arrays | {"size": Layer("uint16", (n, 2)), "original": Layer("uint16", (n, 2))}

    @property
    def index(self) -> LabelIndex:
        """The same, cut into the shards that the files have."""
        images = max(1, min(128, SHARD_BYTES // (len(self.classes) * self.canvas**2)))
        tags = np.array(self.tags, bool).reshape(-1, len(self.classes))
        return LabelIndex(self.ids, self.classes, tags, self.canvas, self.grid, self.stages, images)


def open_format1(folder: Path, content: Any) -> DenseRows:
    """Rows of a set whose ``index.json`` holds ``content``. Raises DamagedArtefactError for what it must not hold."""
    import zarr

    with reading(folder, "index.json"):
        old = checked(OldIndex, content, folder / "index.json", MEND)
    require_layers(folder, GROUP, old.layers)
    # of this format and from the files that were looked at: a group may tell of its arrays otherwise
    group = zarr.open_group(folder / GROUP, mode="r", zarr_format=3, use_consolidated=False)
    return DenseRows(folder, old.index, {name: group[name] for name in old.layers})


@dataclass(frozen=True)
class DenseRows:
    """See `stores.labels.rows.Rows`; the tagged classes of dense arrays."""

    folder: Path
    index: LabelIndex
    arrays: dict[str, Any]
    columns: tuple[str, ...] = field(default=("agreement",))

    def read(self, name: str, start: int, stop: int) -> Values:
        """See `Rows.read`."""
        parts = []
        for shard in self.index.shards_of(start, stop) if start < stop else ():
            rows = self.index.rows(shard)
            images, channels = (values[max(start, rows.start) : min(stop, rows.stop)] for values in self.index.pairs)
            if len(images):
                dense = self._images(name, shard, int(images[0]), int(images[-1]) + 1)
                parts.append(self._packed(name, dense[images - images[0], channels]))
        shape = (self.index.canvas, self.index.width) if name in STAGES else self.index.grid
        return np.concatenate([np.zeros((0, *shape), np.uint8 if name in STAGES else np.float16), *parts])

    def _packed(self, name: str, values: Values) -> Values:
        return np.packbits(values.astype(bool), axis=-1) if name in STAGES else values

    def coded(self, name: str, shard: int) -> list[bytes]:
        """See `Rows.coded`."""
        rows = self.index.rows(shard)
        return [encode_chunk(row) for row in self.read(name, rows.start, rows.stop)]

    def quality(self) -> NDArray[np.float32]:
        """See `Rows.quality`: agreement alone."""
        if "agreement" not in self.arrays:
            return np.full((self.index.n_rows, 1), np.nan, np.float32)
        whole = self._all("agreement", np.float32, len(self.index.classes))
        return whole[self.index.pairs][:, None]

    def images(self) -> NDArray[np.uint32]:
        """See `Rows.images`; no digest is known."""
        sizes = [self._all(name, np.uint32, 2) for name in ("size", "original")]
        return np.concatenate([*sizes, np.zeros((len(self.index.ids), 4), np.uint32)], 1)

    def damage(self) -> dict[int, DamagedArtefactError]:
        """See `Rows.damage`."""
        found = {}
        for shard in range(self.index.n_shards):
            images = self.index.images(shard)
            try:
                for name in self.arrays:
                    self._images(name, shard, images.start, images.stop)
            except DamagedArtefactError as error:
                found[shard] = error
        return found

    def _all(self, name: str, dtype: Any, columns: int) -> Values:
        shards = [(shard, self.index.images(shard)) for shard in range(self.index.n_shards)]
        parts = [self._images(name, shard, images.start, images.stop) for shard, images in shards]
        return np.concatenate([np.zeros((0, columns), dtype), *parts]).astype(dtype)

    def _images(self, name: str, shard: int, start: int, stop: int) -> Values:
        """Images of one shard; a file that is missing is damage, though zarr would read it as background.

        zarr writes no file for a shard of nothing but background, so such a shard of this format cannot be told from
        one that was lost: no checksum lists it, and "done" says that its rows were written, not that they are there
        still. It is rare (no mask in up to 128 images that are tagged), and masks that are gone must not be learnt as
        background. What a run made is labelled anew for it, in the present format, which writes every shard.
        """
        array = self.arrays[name]
        path = self.folder.joinpath(GROUP, name, "c", str(shard), *["0"] * (len(array.shape) - 1))
        file, where = path.relative_to(self.folder).as_posix(), f"shard {shard} of {self.index.n_shards}"
        if not path.is_file():
            raise damaged(self.folder, file, f"{where}: it is missing")
        try:
            return np.asarray(array[start:stop])
        except (ValueError, RuntimeError, OSError) as error:
            raise damaged(self.folder, file, f"{where}: {error!s:.100}") from error
