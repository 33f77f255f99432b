"""The frame of a label set in format 2: what its folder holds beside the shards, and where the shards lie.

``index.json`` says what the arrays of ``labels.zarr`` are, for N images with R rows in all, one row for each tagged
class of an image, grouped by image; in the arrays the rows of each shard begin at a multiple of ``shard_rows``:

    ids       u1 (bytes,)              image ids in UTF-8, a zero byte between two
    tags      u1 (N, ceil(C / 8))      tags of each image, packed
    initial, refined, final
              u1 (rows, S, ceil(S/8))  one bit a pixel; a pixel may belong to two classes
    soft      f2 (rows, h, w)          normalised coarse score in [0, 1]
    quality   f4 (rows, columns)       see `wilss.measure.quality.mask_quality`; NaN where a number is not known
    image     u4 (N, 8)                height and width on the canvas and of the file, and a digest of the pixels

``image`` is written last, so that a height is the only evidence that a shard is done. What is not tagged has no mask.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from stores.labels.files import Layer, require_layers
from stores.labels.index import STAGES, LabelIndex
from stores.labels.shards import LEVEL, ChunkError, decode_chunk, encode_chunk, write_whole
from wilss.architecture import MOST_CLASSES, MOST_PIXELS
from wilss.damage import MEND, Marks, damaged, reading, require_file
from wilss.measure.columns import COLUMNS
from wilss.outside import checked

FORMAT = 2
INDEX = "index.json"
GROUP = "labels.zarr"
IMAGE_COLUMNS = 8
MOST_IMAGES = 10_000_000
ID_BYTES = 1 << 30
Side = Annotated[int, Field(ge=1, le=MOST_PIXELS)]


class Header(BaseModel):
    """Content of ``index.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[2]
    classes: tuple[str, ...] = Field(min_length=1, max_length=MOST_CLASSES)
    canvas: Side
    grid: tuple[Side, Side]
    stages: tuple[str, ...] = Field(min_length=1)
    images: int = Field(ge=0, le=MOST_IMAGES)
    id_bytes: int = Field(ge=0, le=ID_BYTES)
    shard_images: int = Field(ge=1, le=1 << 16)
    shard_rows: int = Field(ge=1, le=1 << 20)
    quality: tuple[str, ...] = Field(max_length=64)

    @model_validator(mode="after")
    def _sound(self) -> Header:
        if not set(self.stages) <= set(STAGES):
            raise ValueError(f"stages are {', '.join(self.stages)[:100]}; known are {', '.join(STAGES)}")
        return self

    @cached_property
    def layers(self) -> dict[str, Layer]:
        """Arrays of the set."""
        room, tags, columns = self.shard_rows, -(-len(self.classes) // 8), len(self.quality)
        rows = -(-self.images // self.shard_images) * room

        def by_row(dtype: str, *shape: int) -> Layer:
            return Layer(dtype, (rows, *shape), ((room, *shape), (1, *shape)))

        found = {
            "ids": Layer("uint8", (self.id_bytes,), ((max(1, self.id_bytes),),)),
            "tags": Layer("uint8", (self.images, tags), ((max(1, self.images), tags),)),
            **{stage: by_row("uint8", self.canvas, -(-self.canvas // 8)) for stage in self.stages},
            "quality": Layer("float32", (rows, columns), ((room, columns),)),
            "image": Layer("uint32", (self.images, IMAGE_COLUMNS), ((self.shard_images, IMAGE_COLUMNS),)),
        }
        return found | ({"soft": by_row("float16", *self.grid)} if "initial" in self.stages else {})


def header_of(index: LabelIndex) -> Header:
    """What ``index.json`` says of a set. Raises FormatError's ValueError for what no set may hold."""
    return Header(
        format=FORMAT,
        classes=index.classes,
        canvas=index.canvas,
        grid=index.grid,
        stages=index.stages,
        images=len(index.ids),
        id_bytes=len(_joined(index.ids)),
        shard_images=index.shard_images,
        shard_rows=index.shard_rows,
        quality=COLUMNS,
    )


def write_frame(folder: Path, index: LabelIndex) -> None:
    """Lay the arrays out and write ids, tags and, last, ``index.json``; shards that are there stay."""
    import zarr  # takes half a second, and reading needs none
    from zarr.codecs import Crc32cCodec, ZstdCodec

    header = header_of(index)
    for left in folder.rglob("*.partial"):  # by zarr, when it was killed
        left.unlink()
    (folder / GROUP / "zarr.json").unlink(missing_ok=True)  # zarr would read what may be damaged
    group = zarr.open_group(folder / GROUP, mode="a", zarr_format=3)
    codecs = [ZstdCodec(level=LEVEL), Crc32cCodec()]
    for name, layer in header.layers.items():
        (folder / GROUP / name / "zarr.json").unlink(missing_ok=True)
        shards = layer.chunks[0] if len(layer.chunks) > 1 else None
        how: dict[str, Any] = {"compressors": codecs, "fill_value": 0, "config": {"write_empty_chunks": True}}
        group.create_array(name, shape=layer.shape, dtype=layer.dtype, chunks=layer.chunks[-1], shards=shards, **how)
    if index.ids:
        columns = {"ids": np.frombuffer(_joined(index.ids), np.uint8), "tags": np.packbits(index.tags, axis=1)}
        for name, values in columns.items():
            write_whole(chunk_path(folder, name, 0, values.ndim), encode_chunk(values))
    write_whole(folder / INDEX, header.model_dump_json().encode())


def frame_files(index: LabelIndex) -> list[str]:
    """Paths of what `write_frame` writes, below the folder."""
    columns = [f"{GROUP}/ids/c/0", f"{GROUP}/tags/c/0/0"] if index.ids else []
    return [INDEX, f"{GROUP}/zarr.json", *(f"{GROUP}/{name}/zarr.json" for name in header_of(index).layers), *columns]


def read_frame(folder: Path, content: Any, marks: Marks) -> tuple[Header, LabelIndex]:
    """Header and index of a set whose ``index.json`` holds ``content``.

    Raises DamagedArtefactError for what it must not hold, and for ids and tags that are not what was written.
    """
    with reading(folder, INDEX):
        header = checked(Header, content, folder / INDEX, MEND)
    require_layers(folder, GROUP, header.layers, marks)
    tags = np.zeros((header.images, header.layers["tags"].shape[1]), np.uint8)
    ids = np.zeros(header.id_bytes, np.uint8)
    if header.images:
        for name, out in {"ids": ids, "tags": tags}.items():
            _read_column(folder, name, out, marks)
    index = LabelIndex(
        ids=_split(folder, ids, header.images),
        classes=header.classes,
        tags=np.unpackbits(tags, axis=1, count=len(header.classes)).astype(bool),
        canvas=header.canvas,
        grid=header.grid,
        stages=header.stages,
        shard_images=header.shard_images,
    )
    if index.shard_rows != header.shard_rows:
        reason = f"shards have room for {header.shard_rows} rows, its tags ask for {index.shard_rows}"
        raise damaged(folder, INDEX, reason)
    return header, index


def chunk_path(folder: Path, name: str, number: int, dimensions: int) -> Path:
    """File of a chunk or shard of an array that is cut along its first dimension only."""
    return folder.joinpath(GROUP, name, "c", str(number), *["0"] * (dimensions - 1))


def _read_column(folder: Path, name: str, out: NDArray[Any], marks: Marks) -> None:
    path = chunk_path(folder, name, 0, out.ndim)
    file = path.relative_to(folder).as_posix()
    require_file(folder, marks, file)
    try:
        decode_chunk(path.read_bytes(), out)
    except ChunkError as error:
        raise damaged(folder, file, error) from error
    except OSError as error:
        raise damaged(folder, file, error.strerror) from error


def _joined(ids: tuple[str, ...]) -> bytes:
    joined = "\0".join(ids).encode("utf-8", "surrogateescape")
    if joined.count(b"\0") != max(0, len(ids) - 1):
        raise ValueError("an image id holds a zero byte")
    return joined


def _split(folder: Path, joined: NDArray[np.uint8], count: int) -> tuple[str, ...]:
    if not count:
        return ()
    ids = tuple(joined.tobytes().decode("utf-8", "surrogateescape").split("\0"))
    if len(ids) != count or len(set(ids)) != count:
        raise damaged(folder, "labels.zarr/ids", f"it holds {len(set(ids))} ids for {count} images")
    return ids
