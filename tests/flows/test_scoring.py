"""Scoring in parts: every image among the images that one process puts it with, and counts that add up to the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import flows.scoring as scoring
from flows.runners import Shown
from stores.artefacts import ArtefactRef
from stores.plans.run import Run
from tasks.score import ScoreList, image_shapes, summed
from tests.wilss.test_methods import segmenter
from wilss.data.images import ImageTable, MaskedImages, same_size_batches
from wilss.measure.score import BATCH, score_batches, score_crops, score_images

SIDES = [(20 + (7 * k) % 3 * 4, 24 + k % 2 * 8) for k in range(75)]


class Ragged:
    """Images of six sizes, in no order."""

    classes = ("a", "b")
    further_eval: Mapping[str, tuple[str, ...]] = {}

    def ids(self, split: str) -> tuple[str, ...]:
        return tuple(map(str, range(len(SIDES))))

    def image(self, image_id: str) -> torch.Tensor:
        draw = torch.Generator().manual_seed(int(image_id))
        return torch.randint(0, 256, (3, *SIDES[int(image_id)]), dtype=torch.uint8, generator=draw)

    def mask(self, image_id: str) -> torch.Tensor:
        return (self.image(image_id)[0] > 128).to(torch.uint8)


class Here:
    """Runs the parts of a task where it stands."""

    def __init__(self, run: Run) -> None:
        self.run, self.shown = run, [Shown("", "", [])]

    def map(self, task: Any, same: Mapping[str, Any], each: Mapping[str, Sequence[Any]], shown: Shown) -> list[Any]:
        self.shown.append(shown)
        given = [dict(zip(each, values, strict=True)) for values in zip(*each.values(), strict=True)]
        assert len(given) == len(shown.images)
        made = [task.fn(run=self.run, **same, **one) for one in given]
        return [SimpleNamespace(result=lambda found=found: found) for found in made]


def masked(ids: Sequence[str]) -> MaskedImages:
    source = Ragged()
    return MaskedImages(ImageTable(source, tuple(ids), 64), (0, 1, *[0] * 254), source)


@pytest.fixture
def run() -> Run:
    found = object.__new__(Run)
    found.source = Ragged()  # type: ignore[assignment]
    return found


def test_batches_are_those_of_one_process(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "PART", 10)
    of = ScoreList("full", ArtefactRef(kind="checkpoints", digest="d"), None, (1,), "", 64, ())
    workers, ids = Here(run), run.source.ids("eval")
    batches = scoring._batches(workers, of, ids, "scores")
    assert image_shapes.fn(run, of, ids[:1], 0) == [(3, *SIDES[0])]
    whole = same_size_batches(masked(ids).images, range(len(ids)), BATCH)
    assert batches == [[ids[p] for p in batch] for batch in whole]
    assert len(batches) == 6
    assert workers.shown[-1].images == [10] * 7 + [5]
    parts = scoring._parts(batches)
    assert [batch for part in parts for batch in part] == batches
    assert len(parts) > 3


def test_parts_add_up_to_the_whole() -> None:
    model, ids = segmenter().eval(), Ragged().ids("eval")
    whole = score_images(model, masked(ids))
    batches = same_size_batches(masked(ids).images, range(len(ids)), BATCH)
    data = masked(ids)
    halves = [("full", score_batches(model, data, batches[k::2])) for k in range(2)]
    assert torch.equal(summed(halves)["full"], whole)
    assert int(whole.sum()) == sum(height * width for height, width in SIDES)
    crops = [("crop", score_crops(model, masked(ids[k : k + BATCH]), 16)) for k in range(0, len(ids), BATCH)]
    assert torch.equal(summed([*halves, *crops])["crop"], score_crops(model, masked(ids), 16))


def test_no_image_is_one_part_that_counts_nothing() -> None:
    assert scoring._parts([]) == [[]]
    assert int(score_batches(segmenter().eval(), masked([]), []).sum()) == 0
