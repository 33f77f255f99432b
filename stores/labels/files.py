"""What the arrays of a label set may say of themselves, before zarr decodes with whatever they name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wilss.damage import MEND, Marks, reading, require_file
from wilss.errors import FormatError
from wilss.outside import read_json

CODECS = {"sharding_indexed", "bytes", "zstd", "crc32c"}
"""Those that are written here; no other one is given what came from others."""
MOST_ROWS = 128
FILE_BYTES = 1 << 20


@dataclass(frozen=True)
class Layer:
    """What an array has to be.

    chunks: shape of its files and, where these are shards, of the chunks inside; empty allows 1 to 128 whole rows.
    """

    dtype: str
    shape: tuple[int, ...]
    chunks: tuple[tuple[int, ...], ...] = ()

    @property
    def row_bytes(self) -> int:
        """Bytes of one row, as it is in memory."""
        return math.prod(self.shape[1:]) * int(self.dtype.lstrip("uintfloa")) // 8


def require_layers(folder: Path, group: str, layers: Mapping[str, Layer], marks: Marks | None = None) -> None:
    """Look at the description of every array of a zarr group in a label set's folder.

    Args:
        layers: name -> what the index of the label set asks for. marks: of the files, where the manifest lists them.

    Raises DamagedArtefactError for a description that is damaged, or an array that is missing, of another type or
    shape, in other chunks, or coded otherwise.
    """
    file = f"{group}/zarr.json"
    require_file(folder, marks or {}, file)
    with reading(folder, file):
        content = read_json(folder / file, MEND, FILE_BYTES)
        if not isinstance(content, dict) or (content.get("zarr_format"), content.get("node_type")) != (3, "group"):
            raise FormatError("it is no group of zarr's format 3")
    for name, layer in layers.items():
        file = f"{group}/{name}/zarr.json"
        require_file(folder, marks or {}, file)
        with reading(folder, file):
            content = read_json(folder / file, MEND, FILE_BYTES)
            if problem := _problem(content, layer):
                raise FormatError(problem)


def _problem(content: Any, layer: Layer) -> str:
    if not isinstance(content, dict) or (content.get("zarr_format"), content.get("node_type")) != (3, "array"):
        return "it is no array of zarr's format 3"
    if content.get("data_type") != layer.dtype or content.get("shape") != list(layer.shape):
        found = f"{content.get('data_type')} {content.get('shape')}"
        return f"it holds {found:.100}, the index says {layer.dtype} {list(layer.shape)}"
    chunks = [_chunk_of(content.get("chunk_grid")), *_inner_chunks(content.get("codecs"))]
    if layer.chunks and chunks != [list(chunk) for chunk in layer.chunks]:
        return f"its chunks are {chunks!s:.100}; expected are {[list(chunk) for chunk in layer.chunks]}"
    for chunk in [] if layer.chunks else chunks:
        if not isinstance(chunk, list) or chunk[1:] != list(layer.shape[1:]) or chunk[0] not in range(1, MOST_ROWS + 1):
            return f"its chunks are {chunk!s:.100}; expected are 1 to {MOST_ROWS} whole rows"
    odd = [name for name in _codec_names(content.get("codecs")) if not isinstance(name, str) or name not in CODECS]
    return f"it is coded by {odd[0]!s:.60}; read are {', '.join(sorted(CODECS))}" if odd else ""


def _chunk_of(described: Any) -> Any:
    configuration = described.get("configuration") if isinstance(described, dict) else None
    return configuration.get("chunk_shape") if isinstance(configuration, dict) else None


def _inner_chunks(codecs: Any) -> list[Any]:
    found = codecs if isinstance(codecs, list) else [None]
    return [_chunk_of(c) for c in found if isinstance(c, dict) and c.get("name") == "sharding_indexed"]


def _codec_names(codecs: Any) -> list[Any]:
    """Names of codecs, with those inside of shards."""
    names: list[Any] = []
    for codec in codecs if isinstance(codecs, list) else [None]:
        if not isinstance(codec, dict):
            return [*names, codec]
        names.append(codec.get("name"))
        inner = codec.get("configuration")
        for key in ("codecs", "index_codecs"):
            if isinstance(inner, dict) and key in inner:
                names += _codec_names(inner[key])
    return names
