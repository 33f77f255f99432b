"""In which order a training reads images, and that what it reads next is there."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch

from tests.s3 import Bucket
from tests.wilss.places.test_bucket import opened, upload
from tests.wilss.sharded import shards_of
from tests.wilss.test_folder import own_folder
from tests.wilss.test_methods import segmenter
from wilss.data.images import ImageTable, MaskedImages
from wilss.data.order import Reading, buffered
from wilss.data.spec import AugmentSpec
from wilss.errors import DataError
from wilss.learn.base import train_base
from wilss.learn.schedule import epoch_batches
from wilss.learn.spec import BaseTrainSpec

SHARDS = tuple(k % 10 for k in range(200))
"""Ten shards, none of which lies together in the list."""


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_without_a_buffer_an_epoch_is_a_permutation_as_ever() -> None:
    expected = torch.randperm(200, generator=generator()).tolist()
    assert Reading().order(200, generator()) == Reading(SHARDS).order(200, generator()) == expected
    assert [p for batch in epoch_batches(200, 8, generator(), Reading(SHARDS)) for p in batch] == expected


@pytest.mark.parametrize("buffer", [1, 7, 30, 200, 1000])
def test_every_image_comes_once_an_epoch_in_an_order_of_the_seed(buffer: int) -> None:
    reading, draws = Reading(SHARDS, buffer), generator()
    first, second = reading.order(200, draws), reading.order(200, draws)
    assert sorted(first) == sorted(second) == list(range(200))
    assert first != second
    assert reading.order(200, generator()) == first
    assert reading.order(200, generator(1)) != first
    batches = list(epoch_batches(200, 8, generator(), reading))
    assert [p for batch in batches for p in batch] == first


def test_shards_come_one_after_the_other_and_images_mix_within_the_buffer() -> None:
    whole = Reading(SHARDS, 1).order(200, generator())
    shards = [SHARDS[p] for p in whole]
    assert [shard for k, shard in enumerate(shards) if k == 0 or shards[k - 1] != shard] == list(dict.fromkeys(shards))
    mixed = Reading(SHARDS, 30).order(200, generator())
    place = {shard: number for number, shard in enumerate(dict.fromkeys(shards))}
    early = [20 * place[SHARDS[p]] - k for k, p in enumerate(mixed)]
    assert max(early) < 30  # no image comes before its shard is at most a buffer away
    assert len({SHARDS[p] for p in mixed[:20]}) > 1


def test_a_buffer_is_drawn_from_evenly() -> None:
    """Of a buffer that holds all, each image comes first as often as any other."""
    draws, counts = generator(), [0] * 5
    for _ in range(5000):
        counts[buffered(range(5), 5, draws)[0]] += 1
    assert min(counts) > 880  # 1000 are expected, and 28 is a standard deviation
    assert buffered([3, 1, 2], 1, draws) == [3, 1, 2]


def test_the_next_part_is_brought_while_one_is_worked_on() -> None:
    brought, came = list[list[int]](), threading.Event()

    def bring(part: object) -> None:
        brought.append(list(part))  # type: ignore[call-overload]
        came.set()

    parts = [[0, 1], [2, 3], [4, 5]]
    ahead = Reading(bring=bring).ahead(parts, lambda part: part[:1])
    assert next(ahead) == [0, 1]
    assert came.wait(10)
    assert brought[0] == [0], "only what this process reads"
    assert [*ahead] == parts[1:]
    assert brought == [[0], [2], [4]]


def test_a_fault_while_something_is_brought_ends_nothing_that_reads_otherwise() -> None:
    def bring(part: object) -> None:
        raise RuntimeError("a fault of ours")

    with pytest.raises(RuntimeError, match="a fault of ours"):
        list(Reading(bring=bring).ahead([[0], [1]], lambda part: part))


def test_images_of_a_bucket_are_here_before_they_are_read(tmp_path: Path, s3: Bucket) -> None:
    data = shards_of(own_folder(tmp_path / "folder"), tmp_path / "shards", 2, "cls")
    source = opened(upload(data, s3))
    ids = source.ids("train")
    table = ImageTable(source, ids, 32, buffer=2)
    reading = table.reading()
    assert set(reading.shards) == {0, 1}
    assert reading.bring is not None
    reading.bring(range(len(ids)))
    s3.network.refused = ("GET",)
    assert [tuple(table.image(position).shape) for position in range(len(ids))] == [(3, 24, 32)] * 5
    assert opened(shards_of(tmp_path / "folder", tmp_path / "near")).far is False


def test_a_training_over_shards_is_that_over_a_folder_and_a_vanished_object_ends_it(tmp_path: Path, s3: Bucket) -> None:
    folder = own_folder(tmp_path / "folder")
    root = upload(folder, s3)
    spec = BaseTrainSpec(epochs=2, batch_size=2, precision="fp32")

    def learn(source: object, buffer: int = 0) -> list[dict[str, float]]:
        table = ImageTable(source, ("a", "e"), 32, buffer=buffer)  # type: ignore[arg-type]
        data = MaskedImages(table, tuple(range(256)), source)  # type: ignore[arg-type]
        torch.manual_seed(0)
        return train_base(segmenter(sizes=[3]), data, spec, AugmentSpec(crop=32), 0)

    near = learn(opened(folder))
    source = opened(root)
    assert learn(source) == near
    shards = shards_of(folder, tmp_path / "shards")
    assert learn(opened(upload(shards, s3, "shards")), 2) == learn(opened(shards), 2)
    s3.remove("data/pets/images/a.jpg")
    for path in (tmp_path / "cache").rglob("*"):
        if path.is_file():
            path.unlink()
    with pytest.raises(DataError, match=r"images/a.jpg' has changed or is gone since the bucket was listed"):
        learn(source)
