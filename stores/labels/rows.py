"""Rows of a label set in format 2, with every checksum looked at; see `stores.labels.frame`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stores.labels.frame import IMAGE_COLUMNS, Header, chunk_path
from stores.labels.index import LabelIndex
from stores.labels.shards import ChunkError, coded_rows, decode_chunk, read_rows, table_bytes
from wilss.damage import Marks, damaged
from wilss.errors import DamagedArtefactError

Values = NDArray[Any]


class Rows(Protocol):
    """What the formats of label sets offer; masks are packed, uint8 ``(R, S, ceil(S / 8))``.

    Everything raises DamagedArtefactError that names shard, images and cure for what is not what was written.
    """

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of `quality`."""
        ...

    def read(self, name: str, start: int, stop: int) -> Values:
        """Rows ``start`` to ``stop`` of a stage or of "soft"."""
        ...

    def coded(self, name: str, shard: int) -> list[bytes]:
        """The rows of a shard, each as `stores.labels.shards.encode_chunk` codes it."""
        ...

    def quality(self) -> NDArray[np.float32]:
        """float32 ``(R, len(columns))``."""
        ...

    def images(self) -> NDArray[np.uint32]:
        """uint32 ``(N, 8)``: height and width on the canvas and of the file, digest of the pixels (zeros: unknown)."""
        ...

    def damage(self) -> dict[int, DamagedArtefactError]:
        """Look at everything: number of each damaged shard -> what is wrong first."""
        ...


@dataclass(frozen=True)
class SparseRows:
    """Rows of format 2.

    marks: of the files, as the manifest lists them, none in a staged set; looked at where a whole file is read.
    """

    folder: Path
    header: Header
    index: LabelIndex
    marks: Marks

    @property
    def columns(self) -> tuple[str, ...]:
        """See `Rows.columns`."""
        return self.header.quality

    def read(self, name: str, start: int, stop: int) -> Values:
        """See `Rows.read`."""
        layer = self.header.layers[name]
        out = np.zeros((max(0, stop - start), *layer.shape[1:]), np.dtype(layer.dtype).newbyteorder("<"))
        for shard in self.index.shards_of(start, stop):
            rows = self.index.rows(shard)
            first, last = max(start, rows.start), min(stop, rows.stop)
            if first < last:
                self._read(name, shard, first - rows.start, out[first - start : last - start])
        return out

    def _read(self, name: str, shard: int, first: int, out: Values) -> None:
        path = self._path(name, shard)
        try:
            if 2 * len(out) < len(self.index.rows(shard)):
                read_rows(path, self.header.shard_rows, first, out)
            else:
                for values, chunk in zip(out, self.coded(name, shard)[first:], strict=False):
                    decode_chunk(chunk, values)
        except (ChunkError, OSError) as error:
            raise self._damaged(path, shard, error) from error

    def coded(self, name: str, shard: int) -> list[bytes]:
        """See `Rows.coded`."""
        path, count = self._path(name, shard), len(self.index.rows(shard))
        layer = self.header.layers[name]
        most = table_bytes(self.header.shard_rows) + count * (2 * layer.row_bytes + 64)
        try:
            return coded_rows(self._content(path, most), self.header.shard_rows, count)
        except (ChunkError, OSError) as error:
            raise self._damaged(path, shard, error) from error

    def quality(self) -> NDArray[np.float32]:
        """See `Rows.quality`."""
        parts = [self._column("quality", shard)[: len(self.index.rows(shard))] for shard in range(self.index.n_shards)]
        return np.concatenate([np.zeros((0, len(self.columns)), np.float32), *parts])

    def images(self) -> NDArray[np.uint32]:
        """See `Rows.images`."""
        parts = [self.image(shard) for shard in range(self.index.n_shards)]
        return np.concatenate([np.zeros((0, IMAGE_COLUMNS), np.uint32), *parts])

    def image(self, shard: int) -> NDArray[np.uint32]:
        """The part of `images` of one shard."""
        found = self._column("image", shard)[: len(self.index.images(shard))]
        if not found[:, :4].all():
            raise self._damaged(self._path("image", shard), shard, "an image has no size")
        return found

    def damage(self) -> dict[int, DamagedArtefactError]:
        """See `Rows.damage`."""
        found = {}
        for shard in range(self.index.n_shards):
            rows = self.index.rows(shard)
            try:
                self._column("quality", shard)
                self.image(shard)
                for name in {*self.header.layers} - {"ids", "tags", "quality", "image"}:
                    self.read(name, rows.start, rows.stop)
            except DamagedArtefactError as error:
                found[shard] = error
        return found

    def _column(self, name: str, shard: int) -> Values:
        layer, path = self.header.layers[name], self._path(name, shard)
        out = np.zeros(layer.chunks[0], np.dtype(layer.dtype).newbyteorder("<"))
        try:
            decode_chunk(self._content(path, 2 * out.nbytes + 64), out)
        except (ChunkError, OSError) as error:
            raise self._damaged(path, shard, error) from error
        return out

    def _content(self, path: Path, most: int) -> bytes:
        """Bytes of a whole file. Raises ChunkError for more than ``most``, and for others than were published."""
        with path.open("rb") as handle:
            content = handle.read(most + 1)
        if len(content) > most:
            raise ChunkError(f"it is larger than {most} bytes")
        name = path.relative_to(self.folder).as_posix()
        if self.marks and (name not in self.marks or checksum_of(content) != self.marks[name].checksum):
            raise ChunkError("its content is not what was written")
        return content

    def _path(self, name: str, shard: int) -> Path:
        return chunk_path(self.folder, name, shard, len(self.header.layers[name].shape))

    def _damaged(self, path: Path, shard: int, reason: object) -> DamagedArtefactError:
        images = self.index.images(shard)
        told = reason.strerror if isinstance(reason, OSError) else reason
        where = f"shard {shard} of {self.index.n_shards}, images {images.start} to {images.stop - 1}"
        return damaged(self.folder, path.relative_to(self.folder).as_posix(), f"{where}: {told}")


def checksum_of(content: bytes) -> str:
    """The checksum that a `wilss.damage.FileMark` holds."""
    return hashlib.sha256(content).hexdigest()[:32]
