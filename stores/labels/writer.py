"""Writing label sets: whole shards, each written once, by any number of processes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from stores.labels.frame import INDEX, Header, chunk_path, header_of, read_frame, write_frame
from stores.labels.index import LabelIndex
from stores.labels.rows import SparseRows
from stores.labels.shards import encode_chunk, encode_shard, write_whole
from wilss.damage import MEND, reading
from wilss.errors import DamagedArtefactError
from wilss.outside import read_json

Values = NDArray[Any]


@dataclass(frozen=True)
class ShardRows:
    """What a shard holds, in the order of its rows and images.

    stages: name -> uint8 ``(R, S, ceil(S / 8))``, packed masks. soft: float16 ``(R, h, w)`` or None. quality: float32
    ``(R, Q)``, see `wilss.measure.columns`. sizes: uint32 ``(N, 4)``, (height, width) on the canvas and of the file.
    pixels: uint32 ``(N, 4)``, digest of each image on the canvas; zeros where it is not known.
    """

    stages: dict[str, Values]
    soft: Values | None
    quality: Values
    sizes: Values
    pixels: Values


class LabelWriter:
    """Fills the label set that was begun in a folder; opening it again goes on where it stopped.

    Any number of writers may begin one set and write its shards, the same ones too: a shard that is done stays as it
    is, and one that is not is written by one writer at a time.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with reading(folder, INDEX):
            content = read_json(folder / INDEX, MEND)
        self.header, self.index = read_frame(folder, content, {})
        self._rows = SparseRows(folder, self.header, self.index, {})

    @classmethod
    def begin(cls, folder: Path, index: LabelIndex) -> LabelWriter:
        """Lay out a label set, unless that was done; the index is written last.

        Raises ValueError for another set than the one that was begun in the folder.
        """
        with _lock(folder, "begun"):
            if not (folder / INDEX).is_file():
                write_frame(folder, index)
        writer = cls(folder)
        same = (writer.index.ids, writer.header) == (index.ids, header_of(index))
        if not same or not np.array_equal(writer.index.tags, index.tags):
            raise ValueError(f"'{folder}' holds another label set than the one to be written; choose another folder")
        return writer

    def is_done(self, shard: int) -> bool:
        """Whether every row of the shard is written."""
        try:
            self._rows.image(shard)
        except DamagedArtefactError:
            return False
        return True

    def write(self, shard: int, rows: ShardRows) -> bool:
        """Write one whole shard, ``image`` last; False when that was done before, and nothing is changed.

        Raises ValueError for arrays of another shape than the shard's.
        """
        files = self._coded(shard, rows)
        with _lock(self.folder, f"rows-{shard}"):
            if self.is_done(shard):
                return False
            for path, content in files.items():
                write_whole(path, content)
        return True

    def redo(self, shard: int) -> None:
        """Take back that a shard is done, before it is written anew."""
        with _lock(self.folder, f"rows-{shard}"):
            self._path("image", shard).unlink(missing_ok=True)

    def files(self, shard: int) -> list[str]:
        """Paths of a shard's files, below the folder; that of ``image``, which says that it is done, comes last."""
        names = sorted({*self.header.layers} - {"ids", "tags"}, key=lambda name: (name == "image", name))
        return [self._path(name, shard).relative_to(self.folder).as_posix() for name in names]

    def _coded(self, shard: int, rows: ShardRows) -> dict[Path, bytes]:
        """Path -> bytes, in the order of writing."""
        header, (n_rows, n_images) = self.header, (len(self.index.rows(shard)), len(self.index.images(shard)))
        by_row = dict(rows.stages) | ({} if rows.soft is None else {"soft": rows.soft})
        wanted = {*header.stages} | ({"soft"} & {*header.layers})
        if {*by_row} != wanted:
            raise ValueError(f"a shard of this set has {sorted(wanted)}, given are {sorted(by_row)}")
        files = {}
        for name, values in by_row.items():
            typed = _typed(header, name, values, (n_rows, *header.layers[name].shape[1:]))
            files[self._path(name, shard)] = encode_shard(typed, header.shard_rows)
        columns = {"quality": (rows.quality, n_rows), "image": (np.concatenate([rows.sizes, rows.pixels], 1), n_images)}
        for name, (values, count) in columns.items():
            whole = np.zeros(header.layers[name].chunks[0], header.layers[name].dtype)
            whole[:count] = _typed(header, name, values, (count, whole.shape[1]))
            files[self._path(name, shard)] = encode_chunk(whole)
        return files

    def _path(self, name: str, shard: int) -> Path:
        return chunk_path(self.folder, name, shard, len(self.header.layers[name].shape))


def _typed(header: Header, name: str, values: Values, shape: tuple[int, ...]) -> Values:
    if values.shape != shape:
        raise ValueError(f"'{name}' has shape {values.shape}; the shard needs {shape}")
    return np.ascontiguousarray(values, np.dtype(header.layers[name].dtype).newbyteorder("<"))


def _lock(folder: Path, name: str) -> FileLock:
    """Beside the folder: what lies in it is published, and `Store.build` takes what lies beside away."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(f"{folder}.{name}.lock")
