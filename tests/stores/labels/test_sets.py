"""Label sets: shards, done rows, resuming, and what reading gives back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr

from stores.labels.cache import LayerCache
from stores.labels.index import LabelIndex
from stores.labels.sets import LabelSet
from stores.labels.writer import LabelWriter
from tests.pace import within
from tests.stores.labels.sets import index, shard_rows, whole_set
from wilss.data.room import Room
from wilss.errors import ArtefactNotFoundError, DamagedArtefactError, DataError


def test_writing_stops_and_goes_on(tmp_path: Path) -> None:
    of = index(images=4)
    writer = LabelWriter.begin(tmp_path, of)
    assert [len(of.images(s)) for s in range(of.n_shards)] == [4, 4, 1]
    assert [len(of.rows(s)) for s in range(of.n_shards)] == [4, 4, 1]
    assert writer.write(1, shard_rows(of, 1, 1))
    again = LabelWriter.begin(tmp_path, of)  # as after a kill
    assert [again.is_done(s) for s in range(3)] == [False, True, False]
    again.write(0, shard_rows(of, 0, 0))
    again.write(2, shard_rows(of, 2, 2))
    labels = LabelSet.open(tmp_path)
    expected = np.concatenate([shard_rows(of, s, s).stages["refined"] for s in range(3)])
    assert np.array_equal(labels.packed("refined", 0, 9), expected)
    assert labels.read("original", 8, 9).tolist() == [[24, 32]]
    assert labels.true_size(3) == (12, 16)
    dense = labels.read("refined", 0, 9)
    cache = LayerCache(labels, labels.index.ids)
    assert torch.equal(cache.layers([8, 0, 5]), dense[[8, 0, 5]])
    assert dense.any((2, 3)).numpy().tolist() == of.tags.tolist(), "what is not tagged has no mask"
    assert not dense[:, :, 12:].any(), "beyond the image there is none"


def test_rows_have_their_numbers(tmp_path: Path) -> None:
    labels = whole_set(tmp_path, index(images=4))
    agreement = labels.read("agreement", 0, 9)
    assert agreement.isfinite().numpy().tolist() == labels.index.tags.tolist()
    assert labels.agreement()[3].isnan(), "an image without a tag has no number"
    assert torch.equal(labels.agreement()[2], agreement[2].mean())
    assert labels.quality["area"].shape == (9,)
    assert labels.pixels[:, 0].tolist() == [1, 1, 1, 1, 2, 2, 2, 2, 3]


def test_an_empty_mask_counts_as_written(tmp_path: Path) -> None:
    of = index(3)
    writer, rows = LabelWriter.begin(tmp_path, of), shard_rows(of, 0)
    for values in rows.stages.values():
        values[:] = 0
    assert not writer.is_done(0)
    writer.write(0, rows)
    assert writer.is_done(0)
    assert int(LabelSet.open(tmp_path).read("initial", 0, 3).sum()) == 0


def test_any_zarr_reads_the_shards(tmp_path: Path) -> None:
    labels = whole_set(tmp_path, index(images=4))
    group, room = zarr.open_group(tmp_path / "labels.zarr", mode="r", zarr_format=3), labels.index.shard_rows
    for name, values in (("refined", labels.packed("refined", 0, 9)), ("soft", labels.stored.read("soft", 0, 9))):
        array = group[name]
        assert isinstance(array, zarr.Array)
        assert array.chunks[0] == 1
        assert array.shards is not None
        assert array.shards[0] == room
        whole = np.asarray(array[:])
        own = [whole[k * room : k * room + len(labels.index.rows(k))] for k in range(labels.index.n_shards)]
        assert np.array_equal(np.concatenate(own), values)


def test_errors_name_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(ArtefactNotFoundError, match="holds no label set"):
        LabelSet.open(tmp_path)
    labels = whole_set(tmp_path, index(3))
    with pytest.raises(ArtefactNotFoundError, match="no 'final' layer; it has"):
        labels.read("final", 0, 1)
    with pytest.raises(DataError, match="Did you mean 'img-1'"):
        labels.position("img1")
    with pytest.raises(ValueError, match="holds another label set"):
        LabelWriter.begin(tmp_path, index(4))
    with pytest.raises(ValueError, match=r"'quality' has shape \(3, 9\); the shard needs \(4, 9\)"):
        LabelWriter.begin(tmp_path / "b", index(5, images=4)).write(0, _with_less_quality())


def _with_less_quality() -> object:
    from dataclasses import replace

    rows = shard_rows(index(5, images=4), 0)
    return replace(rows, quality=rows.quality[:3])


def test_rows_must_be_those_of_the_step(tmp_path: Path) -> None:
    """A part of its images, in any order, each with its own tags."""
    LabelWriter.begin(tmp_path, index(3))
    labels = LabelSet.open(tmp_path)
    classes, tags = labels.index.classes, dict(zip(labels.index.ids, labels.index.tags.tolist(), strict=True))
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
    labels = whole_set(tmp_path, index(images=4))
    cache = LayerCache(labels, ("img-6", "img-0"))
    assert torch.equal(cache.layers([0, 1]), labels.read("refined", 0, 9)[[6, 0]])


@pytest.mark.parametrize("size", [0, 700])
def test_masks_for_which_there_is_no_room_are_read_from_their_files(tmp_path: Path, size: int) -> None:
    labels, room = whole_set(tmp_path, index(images=4)), Room(size)
    cache = LayerCache(labels, labels.index.ids, room=room)
    assert len(cache.coded) in ((1, 2) if size else (0,)), "of three shards"
    assert room.taken <= size
    order = [8, 0, 5, 3]
    assert torch.equal(cache.layers(order), labels.read("refined", 0, 9)[order])


def test_what_is_missing_is_no_background(tmp_path: Path) -> None:
    labels = whole_set(tmp_path, index(images=4))
    (tmp_path / "labels.zarr/refined/c/1/0/0").unlink()
    wanted = r"refined/c/1/0/0' is damaged \(shard 1 of 3, images 4 to 7: No such file"
    for read in (
        lambda: labels.read("refined", 0, 9),
        lambda: labels.read("refined", 5, 6),
        lambda: LayerCache(labels, labels.index.ids),
        lambda: LayerCache(labels, labels.index.ids, room=Room(0)),
    ):
        with pytest.raises(DamagedArtefactError, match=wanted):
            read()
    assert labels.read("refined", 0, 4).any(), "the other shards are read"
    assert list(labels.stored.damage()) == [1]


@pytest.mark.parametrize("name", ["refined/c/1/0/0", "soft/c/1/0/0", "quality/c/1/0", "image/c/1/0"])
@pytest.mark.parametrize("how", ["empty", "half", "flip", "zeros", "other shard"])
def test_damage_of_a_shard_is_named(tmp_path: Path, name: str, how: str) -> None:
    labels, path = whole_set(tmp_path, index(images=4)), tmp_path / "labels.zarr" / name
    sound = path.read_bytes()
    flipped = bytearray(sound)
    flipped[8] ^= 1
    other = (
        path.parents[len(path.parts) - path.parts.index("c") - 2] / "0" / Path(*path.parts[path.parts.index("c") + 2 :])
    )
    made = {"empty": b"", "half": sound[: len(sound) // 2], "flip": bytes(flipped), "zeros": bytes(len(sound))}
    path.write_bytes(made[how] if how in made else other.read_bytes())
    found = labels.stored.damage()
    if how != "other shard":  # sound in itself: the manifest tells it
        assert list(found) == [1]
        assert name in str(found[1])


def test_writers_of_one_shard_neither_lose_nor_mix(tmp_path: Path) -> None:
    """All begin the set at once and write every shard, with masks of their own."""
    of = index(12, images=4)

    def work(seed: int) -> list[int]:
        writer = LabelWriter.begin(tmp_path, of)
        return [shard for shard in range(of.n_shards) if writer.write(shard, shard_rows(of, shard, seed))]

    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(work, range(8)))
    assert sorted(shard for mine in written for shard in mine) == [0, 1, 2], "each shard has one writer"
    labels = LabelSet.open(tmp_path)
    for seed, mine in enumerate(written):
        for shard in mine:
            images, rows = of.images(shard), shard_rows(of, shard, seed)
            assert np.array_equal(labels.packed("initial", images.start, images.stop), rows.stages["initial"])
            assert np.array_equal(labels.packed("refined", images.start, images.stop), rows.stages["refined"])


def test_a_large_set_opens_at_once(tmp_path: Path) -> None:
    n = 118_000
    tags = np.zeros((n, 80), bool)
    tags[np.arange(n), np.arange(n) % 80] = True
    of = LabelIndex(
        tuple(f"COCO_train2014_{i:012d}" for i in range(n)), tuple(map(str, range(80))), tags, 512, (64, 64), ("final",)
    )
    LabelWriter.begin(tmp_path, of)
    with within(0.5):  # it takes 0.1 s
        labels = LabelSet.open(tmp_path)
    assert len(labels) == n
    assert labels.index.shard_images == 128


PARTS = (
    "index.json",
    "labels.zarr/zarr.json",
    "labels.zarr/refined/zarr.json",
    "labels.zarr/ids/c/0",
    "labels.zarr/tags/c/0/0",
)


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"\xff", b'{"ids": ["a"]}'])
def test_damage_of_the_frame_is_named(tmp_path: Path, name: str, content: bytes | None) -> None:
    LabelWriter.begin(tmp_path, index(3))
    (tmp_path / name).unlink() if content is None else (tmp_path / name).write_bytes(content)
    error = ArtefactNotFoundError if (name, content) == ("index.json", None) else DamagedArtefactError
    with pytest.raises(error, match=name):
        LabelSet.open(tmp_path)
