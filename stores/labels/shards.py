"""Shard files of zarr v3: written whole, and read row by row with every checksum looked at.

They are what zarr's ``sharding_indexed`` codec describes, one inner chunk a row coded as zstd and crc32c, and any zarr
reads them. zarr itself takes 2 ms to read one row and fills what is missing with zeros; here a row takes a twentieth
of it and what is missing is an error (``python -m tests.benchmarks.store``).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numcodecs.zstd import Zstd
from numpy.typing import NDArray

from wilss.outputs import whole_file

LEVEL = 3
MISSING = 2**64 - 1
Values = NDArray[Any]


class ChunkError(ValueError):
    """Bytes that are not what was written; the message says why."""


def encode_chunk(values: Values) -> bytes:
    """Bytes of one chunk: zstd, and the checksum behind it."""
    content: bytes = Zstd(LEVEL).encode(np.ascontiguousarray(values))
    return content + _crc(content)


def decode_chunk(content: bytes, out: Values) -> None:
    """Decode one chunk into ``out``, which holds zeros and lies in one piece. Raises ChunkError."""
    body = _checked(content)
    flat = out.reshape(-1).view(np.uint8)
    try:
        Zstd(LEVEL).decode(body, flat)  # no memory is taken for what a frame says of its size
    except (RuntimeError, ValueError) as error:
        raise ChunkError(f"its bytes are no zstd of {flat.nbytes} bytes") from error


def encode_shard(rows: Values, room: int) -> bytes:
    """Bytes of a shard with room for ``room`` rows: the coded rows, and an index of where they lie."""
    chunks = [encode_chunk(row) for row in rows]
    index = np.full((room, 2), MISSING, "<u8")
    if chunks:
        sizes = np.array([len(chunk) for chunk in chunks])
        index[: len(chunks)] = np.stack([sizes.cumsum() - sizes, sizes], 1)
    table = index.tobytes()
    return b"".join(chunks) + table + _crc(table)


def coded_rows(content: bytes, room: int, count: int) -> list[bytes]:
    """The coded rows of a whole shard, their checksums looked at. Raises ChunkError when one is missing or damaged."""
    index = _index(content[-table_bytes(room) :], room)
    chunks = [_cut(content, index[row]) for row in range(count)]
    for chunk in chunks:
        _checked(chunk)
    return chunks


def read_rows(path: Path, room: int, start: int, out: Values) -> None:
    """Decode rows from ``start`` on into ``out``, reading no others. Raises ChunkError, OSError."""
    with path.open("rb") as handle:
        size = handle.seek(0, os.SEEK_END)
        handle.seek(max(0, size - table_bytes(room)))
        index = _index(handle.read(table_bytes(room)), room)
        for place, values in enumerate(out, start):
            offset, length = (int(value) for value in index[place])
            if offset == MISSING or offset + length > size:
                raise ChunkError(f"row {place} is missing")
            handle.seek(offset)
            decode_chunk(handle.read(length), values)


def table_bytes(room: int) -> int:
    """Bytes of the index at the end of a shard."""
    return 16 * room + 4


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is there whole, on the disk, or not at all; one writer at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial:
        partial.write_bytes(content)


def _index(table: bytes, room: int) -> NDArray[np.uint64]:
    if len(table) != table_bytes(room):
        raise ChunkError("it is shorter than its own index")
    return np.frombuffer(_checked(table), "<u8").reshape(room, 2)


def _cut(content: bytes, place: NDArray[np.uint64]) -> bytes:
    offset, length = (int(value) for value in place)
    if offset == MISSING or offset + length > len(content):
        raise ChunkError("a row is missing")
    return content[offset : offset + length]


def _checked(content: bytes) -> bytes:
    body = content[:-4]
    if len(content) < 4 or _crc(body) != content[-4:]:
        raise ChunkError("its checksum is another")
    return body


def _crc(content: bytes) -> bytes:
    return int(google_crc32c.value(content)).to_bytes(4, "little")
