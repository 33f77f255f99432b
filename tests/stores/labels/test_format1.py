"""Label sets of format 1 are read as those of format 2 are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stores.labels.cache import LayerCache
from stores.labels.sets import LabelSet
from tests.stores.labels.sets import index, write_format1
from wilss.errors import DamagedArtefactError


def test_every_array_is_what_was_written(tmp_path: Path) -> None:
    of = index(150)  # two shards
    arrays = write_format1(tmp_path, of)
    labels = LabelSet.open(tmp_path)
    assert (labels.index.ids, labels.index.n_shards) == (of.ids, 2)
    assert np.array_equal(labels.index.tags, of.tags)
    for name, values in arrays.items():
        torch.testing.assert_close(labels.read(name, 0, 150), values, rtol=0, atol=0, equal_nan=True)
        torch.testing.assert_close(labels.read(name, 120, 131), values[120:131], rtol=0, atol=0, equal_nan=True)
    assert labels.true_size(149) == (16, 16)
    cache = LayerCache(labels, of.ids[::-1])
    assert torch.equal(cache.layers([0, 149, 7]), arrays["refined"][[149, 0, 142]])
    assert labels.columns == ("agreement",)
    assert labels.stored.damage() == {}


def test_a_missing_or_cut_shard_is_no_background(tmp_path: Path) -> None:
    write_format1(tmp_path, index(150))
    path = tmp_path / "labels.zarr/refined/c/1/0/0/0"
    content = path.read_bytes()
    for left in (None, b"", content[: len(content) // 2], bytes(len(content))):
        path.unlink() if left is None else path.write_bytes(left)
        labels = LabelSet.open(tmp_path)
        with pytest.raises(DamagedArtefactError, match=r"refined/c/1/0/0/0' is damaged .shard 1 of 2"):
            labels.read("refined", 0, 150)
        assert list(labels.stored.damage()) == [1]


def test_a_shard_of_background_alone_has_no_file_and_cannot_be_told_from_a_lost_one(tmp_path: Path) -> None:
    empty, full = tmp_path / "empty", tmp_path / "full"
    write_format1(empty, replace(index(150), tags=np.arange(150)[:, None] < np.full(len(index(150).classes), 128)))
    write_format1(full, index(150))
    assert not (empty / "labels.zarr/refined/c/1/0/0/0").exists(), "zarr writes none"
    (full / "labels.zarr/refined/c/1/0/0/0").unlink()
    for folder in (empty, full):
        fault = LabelSet.open(folder).stored.damage()[1]
        assert "shard 1 of 2: it is missing" in str(fault)
        assert LabelSet.open(folder).read("refined", 0, 128).any(), "the other one is there"
