"""Images with masks that are held out: which, what their score is, and which student they leave."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

from tests.wilss.test_loop import training
from tests.wilss.test_methods import segmenter
from wilss.data.held_out import held_out
from wilss.data.scenes.source import ScenesSource
from wilss.data.spec import AugmentSpec, World
from wilss.data.steps import StepLists
from wilss.errors import DataError, SpecError
from wilss.learn.base import held_out_iou, train_base
from wilss.learn.loop import Training
from wilss.learn.spec import BaseTrainSpec, TrainSpec
from wilss.measure.confusion import iou
from wilss.measure.score import score_images
from wilss.protocol import benchmark
from wilss.spec import make_spec
from wilss.state import HELD_OUT, best_epoch

SPEC = TrainSpec(epochs=6, batch_size=4, precision="fp32")
SCORES = (0.2, 0.5, 0.4, 0.5, 0.3, 0.9)


def scored(state: Path | None = None, patience: int = 0, stop: int | None = None) -> tuple[Training, list[dict]]:  # type: ignore[type-arg]
    """A training of six epochs with these scores, and the weights after each."""
    model = segmenter()
    run = training(model, SPEC, state)
    seen: list[dict[str, torch.Tensor]] = []

    def score() -> float:
        assert not model.training
        if len(run.history) == stop:
            raise KeyboardInterrupt
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        return SCORES[len(run.history) - 1]

    run.score, run.patience = score, patience
    return run, seen


def same(student: torch.nn.Module, weights: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, weights[name]) for name, value in student.state_dict().items())


@pytest.mark.parametrize(("patience", "epochs", "best"), [(0, 6, 6), (1, 3, 2), (2, 4, 2), (3, 5, 2), (4, 6, 6)])
def test_the_student_of_the_best_epoch_remains(patience: int, epochs: int, best: int) -> None:
    run, seen = scored(patience=patience)
    history = run.run()
    assert [epoch[HELD_OUT] for epoch in history] == list(SCORES[:epochs])
    assert best_epoch(history) == best
    assert [same(run.student, weights) for weights in seen] == [number == best for number in range(1, epochs + 1)]
    assert not run.student.training


@pytest.mark.parametrize("stop", [2, 4])
def test_a_stopped_training_remembers_its_best_epoch(stop: int, tmp_path: Path) -> None:
    whole, _ = scored(patience=3)
    whole.run()
    run, _ = scored(tmp_path / "state.pt", 3, stop)
    with pytest.raises(KeyboardInterrupt):
        run.run()
    again, _ = scored(tmp_path / "state.pt", 3)
    assert len(again.run()) == 5
    assert same(again.student, dict(whole.student.state_dict()))


def test_a_training_that_had_waited_enough_learns_no_more(tmp_path: Path) -> None:
    run, _ = scored(tmp_path / "state.pt", 3)
    run.run()
    again, seen = scored(tmp_path / "state.pt", 3)
    again.run()
    assert seen == []
    assert same(again.student, dict(run.student.state_dict()))


def test_every_class_keeps_half_of_its_images() -> None:
    tags = [{1}] * 8 + [{1, 2}] * 3 + [{3}] + [{2}]
    chosen = [held_out(tags, 0.5, seed) for seed in range(20)]
    assert len(set(chosen)) > 10
    for positions in chosen:
        assert list(positions) == sorted(set(positions))
        assert 11 not in positions, "the only image of a class"
        shown = Counter(c for p in positions for c in tags[p])
        assert shown[1] <= 5
        assert shown[2] <= 2
    assert len(held_out(tags, 0.2, 0)) == 3
    assert held_out(tags, 0.2, 0) == held_out(tags, 0.2, 0)


def test_none_can_be_spared() -> None:
    with pytest.raises(DataError, match=r"of 2 images with masks none can be held out.*--set base.held_out=0"):
        held_out([{1}, {2}], 0.5, 0)


def test_patience_without_images_to_score_is_refused() -> None:
    with pytest.raises(SpecError, match="patience is 2, and no image is held out to be scored; set held_out too"):
        make_spec({"benchmark": "scenes-15-5", "base": {"patience": 2}})


def test_the_parts_of_step_0_are_all_its_images_once() -> None:
    lists = StepLists.open(ScenesSource(World(image_size=32), 60, 4), benchmark("scenes-15-5"), "overlap")
    whole, (alone, none) = lists.base(32, "ignore"), lists.base_parts(32, "ignore", 0.0, 0)
    assert alone.images.ids == whole.images.ids
    assert none is None
    learnt, scored_on = lists.base_parts(32, "ignore", 0.25, 0)
    assert scored_on is not None
    assert 5 < len(scored_on) <= 15
    assert sorted((*learnt.images.ids, *scored_on.images.ids)) == sorted(whole.images.ids)
    position = whole.images.ids.index(scored_on.images.ids[3])
    assert torch.equal(scored_on.mask(3), whole.mask(position))
    assert torch.equal(scored_on.images.image(3), whole.images.image(position))


def test_the_base_student_is_scored_as_evaluations_are() -> None:
    lists = StepLists.open(ScenesSource(World(image_size=32), 60, 4), benchmark("scenes-15-5"), "overlap")
    learnt, scored_on = lists.base_parts(32, "ignore", 0.25, 0)
    assert scored_on is not None
    model, spec = segmenter(), BaseTrainSpec(epochs=3, batch_size=8, held_out=0.25, patience=3, precision="fp32")
    history = train_base(model, learnt, spec, AugmentSpec(crop=32), 0, held_out=scored_on)
    best = max(epoch[HELD_OUT] for epoch in history)
    assert held_out_iou(model, scored_on) == pytest.approx(best)
    assert float(iou(score_images(model, scored_on)).nanmean()) == pytest.approx(best)
