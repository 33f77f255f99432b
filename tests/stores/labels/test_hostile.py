"""Label sets from others, of either format: what their files claim is held against each other before it is believed."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stores.labels.index import LabelIndex
from stores.labels.sets import LabelSet
from stores.labels.shards import encode_chunk
from tests.hostile import Touch
from tests.stores.labels.sets import whole_set, write_format1
from tests.stores.test_hostile import DEEP, change, refused
from wilss.errors import FormatError


@pytest.fixture(params=["format 1", "format 2"])
def labels(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    of = LabelIndex(("a", "b"), ("cat",), np.array([[True], [False]]), 16, (4, 4), ("initial", "refined"))
    write_format1(tmp_path / "labels", of) if request.param == "format 1" else whole_set(tmp_path / "labels", of)
    return tmp_path / "labels"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    of = LabelIndex(("a", "b"), ("cat",), np.array([[True], [False]]), 16, (4, 4), ("initial", "refined"))
    write_format1(tmp_path / "old", of)
    return tmp_path / "old"


@pytest.fixture
def new(tmp_path: Path) -> Path:
    of = LabelIndex(("a", "b"), ("cat",), np.array([[True], [False]]), 16, (4, 4), ("initial", "refined"))
    whole_set(tmp_path / "new", of)
    return tmp_path / "new"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"canvas": 10**9}, "'canvas' is 1000000000"),
        ({"canvas": 8192, "classes": ["c"] * 254, "tags": [[True] * 254] * 2}, "254 masks of 8192 pixels"),
        ({"canvas": 32}, r"it holds uint8 \[2, 1, 16, 16\], the index says uint8 \[2, 1, 32, 32\]"),
        ({"ids": ["a"]}, "tags are not those of 1 images"),
        ({"ids": ["a", "b", "c"], "tags": [[True]] * 3}, r"the index says uint8 \[3, 1, 16, 16\]"),
        ({"classes": [], "tags": [[], []]}, "'classes' is "),
        ({"classes": ["c"] * 255, "tags": [[True] * 255] * 2}, "'classes' is "),
        ({"grid": [10**9, 4]}, "'grid.0' is "),
        ({"stages": ["../../x"]}, "stages are ../../x"),
    ],
)
def test_an_index_of_format_1_that_lies(old: Path, changes: dict[str, Any], message: str) -> None:
    assert LabelSet.open(old).read("refined", 0, 1).any()
    change(old / "index.json", changes)
    refused(lambda: LabelSet.open(old), message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 3}, "has format 3; this version reads up to 2. Upgrade wilss"),
        ({"format": "x"}, "'format' is 'x'"),
        ({"canvas": 10**9}, "'canvas' is 1000000000"),
        ({"canvas": 32}, r"it holds uint8 \[1, 16, 2\], the index says uint8 \[1, 32, 4\]"),
        ({"images": 10**9}, "'images' is 1000000000"),
        ({"images": 3}, r"the index says uint8 \[3, 1\]"),
        ({"id_bytes": 2**40}, "'id_bytes' is "),
        ({"id_bytes": 4}, r"it holds uint8 \[3\], the index says uint8 \[4\]"),
        ({"shard_images": 1}, r"the index says"),
        ({"shard_rows": 2**30}, "'shard_rows' is "),
        ({"classes": ["c"] * 9}, r"the index says uint8 \[2, 2\]"),
        ({"grid": [10**9, 4]}, "'grid.0' is "),
        ({"stages": ["../../x"]}, "stages are ../../x"),
        ({"quality": ["x"] * 65}, "'quality' is "),
    ],
)
def test_an_index_of_format_2_that_lies(new: Path, changes: dict[str, Any], message: str) -> None:
    assert LabelSet.open(new).read("refined", 0, 1).any()
    change(new / "index.json", changes)
    refused(lambda: LabelSet.open(new), message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": [2, 1, 10**6, 10**6]}, r"it holds uint8 \[2, 1, 1000000"),
        ({"data_type": "float64"}, "it holds float64"),
        ({"chunk_grid.configuration.chunk_shape": [10**9, 1, 16, 16]}, "its chunks are"),
        ({"chunk_grid": 3}, "its chunks are .*None"),
        ({"codecs": [{"name": "numcodecs.pickle"}]}, "it is coded by numcodecs.pickle|its chunks are"),
        ({"codecs": [["bytes"]]}, r"it is coded by \['bytes'\]|its chunks are"),
        ({"zarr_format": 2}, "it is no array of zarr's format 3"),
        ({"node_type": "group"}, "it is no array of zarr's format 3"),
    ],
)
def test_arrays_that_lie(labels: Path, changes: dict[str, Any], message: str) -> None:
    change(labels / "labels.zarr" / "refined" / "zarr.json", changes)
    refused(lambda: LabelSet.open(labels), message)


def test_inner_chunks_and_codecs_are_looked_at(labels: Path) -> None:
    path = labels / "labels.zarr" / "refined" / "zarr.json"
    sound = path.read_text()
    content = json.loads(sound)
    content["codecs"][0]["configuration"]["codecs"].append({"name": "blosc"})
    path.write_text(json.dumps(content))
    refused(lambda: LabelSet.open(labels), "it is coded by blosc")
    content = json.loads(sound)
    content["codecs"][0]["configuration"]["chunk_shape"] = [1, 1, 10**6, 10**6]
    path.write_text(json.dumps(content))
    refused(lambda: LabelSet.open(labels), r"its chunks are \[.*1, 1, 1000000, 1000000\]")
    path.write_text(DEEP)
    refused(lambda: LabelSet.open(labels), "is damaged")


def test_arrays_of_an_older_format_and_retold_ones_are_not_read(old: Path, tmp_path: Path) -> None:
    group, array = old / "labels.zarr", old / "labels.zarr" / "refined"
    told = json.loads((array / "zarr.json").read_text())
    retold = {**told, "shape": [2, 1, 16, 8]}
    root = {"attributes": {}, "zarr_format": 3, "node_type": "group"}
    metadata = {"kind": "inline", "must_understand": False, "metadata": {"refined": retold}}
    (group / "zarr.json").write_text(json.dumps({**root, "consolidated_metadata": metadata}))
    assert LabelSet.open(old).read("refined", 0, 2).shape == (2, 1, 16, 16)
    (array / "zarr.json").unlink()
    marker = tmp_path / "marker"
    told = {"zarr_format": 2, "shape": [2, 1, 16, 16], "chunks": [2, 1, 16, 16], "dtype": "|O", "compressor": None}
    told |= {"filters": [{"id": "pickle"}], "fill_value": None, "order": "C"}
    (array / ".zarray").write_text(json.dumps(told))
    (array / "0.0.0.0").write_bytes(pickle.dumps(Touch(marker)))
    refused(lambda: LabelSet.open(old), "refined/zarr.json' is damaged")
    assert not marker.exists()


def size_of(labels: LabelSet, name: str) -> Callable[[], tuple[int, int]]:
    return lambda: labels.true_size(1) if name == "size" else labels.original_size(1)


@pytest.mark.parametrize(("name", "value"), [("original", 2**31), ("original", 65535), ("size", 60), ("size", 17)])
def test_sizes_that_no_image_has(new: Path, name: str, value: int) -> None:
    images = LabelSet.open(new).stored.images().copy()
    images[:, slice(0, 2) if name == "size" else slice(2, 4)] = value
    (new / "labels.zarr/image/c/0/0").write_bytes(encode_chunk(images))
    with pytest.raises(FormatError, match=f"'{name}' of image 'b' is {value} x {value}"):
        size_of(LabelSet.open(new), name)()


def test_a_row_that_claims_gigabytes_is_not_given_them(new: Path) -> None:
    shard = new / "labels.zarr/quality/c/0/0"
    shard.write_bytes(encode_chunk(np.zeros(1 << 18, np.uint8)))
    refused(lambda: LabelSet.open(new).quality, r"quality/c/0/0' is damaged \(shard 0 of 1, .*: its bytes are no zstd")


def test_ids_that_are_not_as_many_or_twice(tmp_path: Path) -> None:
    of = LabelIndex(("a", "b"), ("cat",), np.ones((2, 1), bool), 8, (1, 1), ("final",))
    whole_set(tmp_path, of)
    for joined in (b"a\0a", b"abc"):
        (tmp_path / "labels.zarr/ids/c/0").write_bytes(encode_chunk(np.frombuffer(joined, np.uint8)))
        refused(lambda: LabelSet.open(tmp_path), "it holds 1 ids for 2 images")
