"""Label sets: shards, done rows, resuming, and what reading gives back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stores.labels.sets import LabelIndex, LabelSet, LabelWriter, LayerCache
from wilss.errors import ArtefactNotFoundError, DataError, FormatError


def index(n: int = 9, canvas: int = 16) -> LabelIndex:
    return LabelIndex(
        ids=tuple(f"img-{i}" for i in range(n)),
        classes=("cat", "dog"),
        tags=((True, False),) * n,
        canvas=canvas,
        grid=(4, 4),
        stages=("initial", "refined"),
    )


def layers(n: int, seed: int) -> dict[str, Tensor]:
    gen = torch.Generator().manual_seed(seed)
    masks = torch.rand(n, 2, 16, 16, generator=gen) > 0.5
    return {
        "initial": masks,
        "refined": ~masks,
        "soft": torch.rand(n, 2, 4, 4, generator=gen),
        "agreement": torch.rand(n, 2, generator=gen),
    }


def sizes(n: int) -> Tensor:
    return torch.tensor([[12, 16]]).repeat(n, 1)


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stores.labels.sets.SHARD_BYTES", 4 * 2 * 16 * 16)  # four images a shard


@pytest.mark.usefixtures("small_shards")
def test_writing_stops_and_goes_on(tmp_path: Path) -> None:
    writer = LabelWriter.begin(tmp_path, index())
    assert writer.index.n_shards == 3
    assert [len(writer.index.rows(s)) for s in range(3)] == [4, 4, 1]
    writer.write(1, layers(4, 1), sizes(4), sizes(4) * 2)
    again = LabelWriter.begin(tmp_path, index())  # as after a kill
    assert [again.is_done(s) for s in range(3)] == [False, True, False]
    again.write(0, layers(4, 0), sizes(4), sizes(4) * 2)
    again.write(2, layers(1, 2), sizes(1), sizes(1) * 2)
    labels = LabelSet.open(tmp_path)
    expected = torch.cat([layers(4, 0)["refined"], layers(4, 1)["refined"], layers(1, 2)["refined"]])
    assert torch.equal(labels.read("refined", 0, 9).bool(), expected)
    assert labels.read("original", 8, 9).tolist() == [[24, 32]]
    assert labels.true_size(3) == (12, 16)
    cache = LayerCache(labels, labels.index.ids)
    assert torch.equal(cache.layers([8, 0, 5]).bool(), expected[[8, 0, 5]])


def test_an_empty_mask_counts_as_written(tmp_path: Path) -> None:
    writer = LabelWriter.begin(tmp_path, index(3))
    empty = {name: torch.zeros_like(values) for name, values in layers(3, 0).items()}
    assert not writer.is_done(0)
    writer.write(0, empty, sizes(3), sizes(3))
    assert writer.is_done(0)
    assert int(LabelSet.open(tmp_path).read("initial", 0, 3).sum()) == 0


def test_store_is_sharded_zarr_v3(tmp_path: Path) -> None:
    writer = LabelWriter.begin(tmp_path, index(200))
    array = writer.group["refined"]
    assert array.metadata.zarr_format == 3
    assert array.shards == (128, 2, 16, 16)
    assert array.chunks == (1, 2, 16, 16)


def test_errors_name_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(ArtefactNotFoundError, match="holds no label set"):
        LabelSet.open(tmp_path)
    LabelWriter.begin(tmp_path, index(3))
    labels = LabelSet.open(tmp_path)
    with pytest.raises(ArtefactNotFoundError, match="no 'final' layer; it has"):
        labels.read("final", 0, 1)
    with pytest.raises(DataError, match="Did you mean 'img-1'"):
        labels.position("img1")


def test_rows_must_be_those_of_the_step(tmp_path: Path) -> None:
    """A part of its images, in any order, each with its own tags."""
    LabelWriter.begin(tmp_path, index(3))
    labels = LabelSet.open(tmp_path)
    classes, tags = labels.index.classes, dict(zip(labels.index.ids, map(list, labels.index.tags), strict=True))
    labels.require_of({"new": tags["img-0"], **dict(reversed(tags.items()))}, classes, labels.index.canvas)
    other = {**tags, "img-1": [not flag for flag in tags["img-1"]]}
    lacking = {name: flags for name, flags in tags.items() if name != "img-2"}
    for given, words in (
        (other, "row 1 of the label set is image 'img-1' with .*, which has .* in the data"),
        (lacking, "row 2 of the label set is image 'img-2' with .*, which the step lacks"),
    ):
        with pytest.raises(DataError, match=f"{words}; .*--again labels"):
            labels.require_of(given, classes, labels.index.canvas)
    with pytest.raises(DataError, match="the step needs"):
        labels.require_of(tags, (*classes[::-1], "more"), labels.index.canvas)


def test_masks_are_found_by_image_id(tmp_path: Path) -> None:
    writer, written = LabelWriter.begin(tmp_path, index(3)), layers(3, 0)
    writer.write(0, written, sizes(3), sizes(3))
    cache = LayerCache(LabelSet.open(tmp_path), ("img-2", "img-0"))
    assert torch.equal(cache.layers([0, 1]).bool(), written["refined"][[2, 0]])


PARTS = ("index.json", "labels.zarr/zarr.json", "labels.zarr/refined/zarr.json")


@pytest.mark.parametrize(
    ("name", "content"),
    [*((name, content) for name in PARTS for content in (b"", b"{", b"[]", b"\xff")), (PARTS[0], b'{"ids": ["a"]}')],
)
def test_damage_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    LabelWriter.begin(tmp_path, index(3))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FormatError, match=f"{name}' is damaged.*; delete its folder and run again"):
        LabelSet.open(tmp_path)


def test_lost_pixels_are_named_too(tmp_path: Path) -> None:
    LabelWriter.begin(tmp_path, index(3))
    shutil.rmtree(tmp_path / "labels.zarr")
    with pytest.raises(FormatError, match=r"labels\.zarr/zarr\.json' is damaged"):
        LabelSet.open(tmp_path)
