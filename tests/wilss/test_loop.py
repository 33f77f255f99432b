"""The training loop: accumulation, resuming by epoch, a loss that is not finite, a frozen backbone."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.wilss.test_methods import segmenter
from wilss.errors import FormatError, TornStateError, TrainingError
from wilss.learn.base import joint_epochs
from wilss.learn.loop import Training, Watch
from wilss.learn.parts import drawn, split
from wilss.learn.schedule import iterations_of, passes_of
from wilss.learn.spec import TrainSpec
from wilss.nets.segmenter import Segmenter
from wilss.nets.stages import last_stages
from wilss.state import last_good, read_state, write_state

IDS = tuple(f"image-{i}" for i in range(10))


@dataclass
class Toy:
    """Pull the outputs towards random targets; ``bad`` images give NaN."""

    model: Segmenter
    bad: tuple[int, ...] = ()
    stop_at: int | None = None
    calls: int = 0

    def heads(self) -> Iterable[nn.Module]:
        return ()

    def losses(self, batch: tuple[list[int], Tensor], epoch: int) -> dict[str, Tensor]:
        positions, images = batch
        self.calls += 1
        if self.calls == self.stop_at:
            raise KeyboardInterrupt
        factor = float("nan") if set(positions) & set(self.bad) and epoch > 0 else 1.0
        return {"square": factor * self.model(images).float().square().mean(), "noise": torch.zeros(())}


def training(
    model: Segmenter, spec: TrainSpec, state: Path | None = None, **toy: object
) -> Training[tuple[list[int], Tensor]]:
    draws = torch.Generator().manual_seed(0)

    def draw(positions: list[int]) -> tuple[list[int], Tensor]:
        return positions, torch.randn(len(positions), 3, 16, 16, generator=draws)

    return Training(model, Toy(model, **toy), draw, IDS, spec, (draws,), Watch("toy", None, state))  # type: ignore[arg-type]


SPEC = TrainSpec(epochs=3, batch_size=4, precision="fp32")


def test_parts_of_a_batch_are_even_and_never_single() -> None:
    assert split([1, 2, 3, 4, 5, 6, 7], 3) == [[1, 2], [3, 4], [5, 6, 7]]
    assert split([1, 2, 3], 3) == [[1, 2, 3]]
    assert split([1, 2, 3, 4], 9) == [[1, 2], [3, 4]]


def test_accumulation_gives_the_gradient_of_the_whole_batch() -> None:
    models = [segmenter().eval(), segmenter().eval()]
    for model, parts in zip(models, (1, 2), strict=True):
        run = training(model, SPEC.model_copy(update={"accumulate": parts}))
        model.eval()  # BatchNorm in evaluation mode: statistics are the one thing that parts change
        run._update([0, 1, 2, 3], 0, map(run.draw, split([0, 1, 2, 3], parts)))
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_a_stopped_training_goes_on_after_its_last_epoch_and_ends_the_same(tmp_path: Path) -> None:
    whole = segmenter()
    history = training(whole, SPEC).run()
    cut = segmenter()
    with pytest.raises(KeyboardInterrupt):
        training(cut, SPEC, tmp_path / "state.pt", stop_at=5).run()  # 3 batches an epoch: in the second
    kept = last_good(tmp_path / "state.pt")
    assert kept is not None
    assert kept[1] == history[:1]
    again = segmenter()
    resumed = training(again, SPEC, tmp_path / "state.pt")
    assert resumed.run() == history
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True))
    assert resumed.objective.calls == 6  # type: ignore[attr-defined]


def test_a_loss_that_is_not_finite_names_batch_and_images_and_the_last_epoch_is_kept(tmp_path: Path) -> None:
    model = segmenter()
    with pytest.raises(
        TrainingError, match=r"toy: the loss was not finite in epoch 2, batch \d of 3, on the images"
    ) as e:
        training(model, SPEC, tmp_path / "state.pt", bad=(7,)).run()
    assert "image-7" in str(e.value)
    kept = last_good(tmp_path / "state.pt")
    assert kept is not None
    weights, history = kept
    assert len(history) == 1
    assert all(value.isfinite().all() for value in weights.values())
    assert last_good(tmp_path / "nothing.pt") is None


def test_weights_that_are_not_finite_are_never_kept(tmp_path: Path) -> None:
    model = segmenter()
    run = training(model, SPEC.model_copy(update={"epochs": 1}), tmp_path / "state.pt")
    bias = model.classifiers[0].bias
    assert isinstance(bias, nn.Parameter)
    calls = []

    def spoil(gradient: Tensor) -> Tensor:
        calls.append(gradient)
        return gradient * (float("nan") if len(calls) == run.per_epoch else 1.0)

    bias.register_hook(spoil)  # in the last batch only, so that every loss is finite
    with pytest.raises(TrainingError, match=r"the weights 'classifiers.0.bias' were not finite after epoch 1"):
        run.run()
    assert len(calls) == run.per_epoch
    assert not (tmp_path / "state.pt").exists()


def test_batches_drawn_ahead_are_the_same_and_one_ahead() -> None:
    parts = [[k, k + 1] for k in range(0, 12, 2)]
    generator = torch.Generator()
    started: list[list[int]] = []

    def draw(positions: list[int]) -> list[float]:
        started.append(positions)
        if positions == [10, 11]:
            raise ValueError("image 10 is damaged")
        return [*map(float, positions), float(torch.rand((), generator=generator))]

    def drawn_all(ahead: bool) -> list[list[float]]:
        generator.manual_seed(3)
        return list(drawn(parts[:-1], draw, ahead))

    assert drawn_all(ahead=True) == drawn_all(ahead=False)
    started.clear()
    batches = drawn(parts, draw, ahead=True)
    assert next(batches)[:2] == [0, 1]
    deadline = time.monotonic() + 20
    while started != parts[:2]:  # the second is on its way before it is asked for
        assert time.monotonic() < deadline
    with pytest.raises(ValueError, match="image 10 is damaged"):
        list(batches)


def test_a_frozen_backbone_stays_as_it_is_also_in_its_statistics() -> None:
    model = segmenter()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    training(model, SPEC.model_copy(update={"tuning": "frozen"})).run()
    after = model.state_dict()
    assert all(torch.equal(after[n], before[n]) for n in before if n.startswith("backbone."))
    assert any(not torch.equal(after[n], before[n]) for n in before if n.startswith("aspp."))


@pytest.mark.parametrize("stages", [1, 2])
def test_the_weights_of_the_first_stages_stay_and_their_statistics_follow_the_data(stages: int) -> None:
    model = segmenter()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    training(model, SPEC.model_copy(update={"tuned_stages": stages})).run()
    after = model.state_dict()
    last = tuple(f"backbone.{name}." for name in last_stages(model.backbone, stages))
    first = [name for name in before if name.startswith("backbone.") and not name.startswith(last)]
    statistics = [name for name in first if "running" in name]
    assert not any(torch.equal(after[name], before[name]) for name in statistics)
    assert all(
        torch.equal(after[name], before[name]) for name in first if "running" not in name and "num_b" not in name
    )
    assert len(statistics) > 0
    tuned = [name for name in before if name.startswith(last)]
    assert len(first) > 0 < len(tuned)
    assert not [name for name in tuned if torch.equal(after[name], before[name]) and "num_batches" not in name]


def test_stages_are_for_a_backbone_that_is_tuned_in_full() -> None:
    with pytest.raises(ValueError, match="tuned_stages is for tuning=full; leave it out with tuning=svf"):
        TrainSpec(tuning="svf", tuned_stages=2)
    assert "tuned_stages" not in TrainSpec().plain()
    assert TrainSpec(tuned_stages=2).plain()["tuned_stages"] == 2


def test_tuning_singular_values_leaves_a_plain_student_and_resumes(tmp_path: Path) -> None:
    spec = SPEC.model_copy(update={"tuning": "svf", "lr_backbone": 0.1, "optimizer": "adamw"})
    whole, before = segmenter(), segmenter()
    history = training(whole, spec).run()
    assert set(whole.state_dict()) == set(before.state_dict())
    changed = {
        n
        for n, v in whole.state_dict().items()
        if n.startswith("backbone.") and not torch.equal(v, before.state_dict()[n])
    }
    assert changed
    assert all(name.endswith("weight") for name in changed)  # no statistics of BatchNorm, no biases
    stem = [name for name in changed if "conv1" in name and "layer" not in name]
    assert not stem
    cut = segmenter()
    with pytest.raises(KeyboardInterrupt):
        training(cut, spec, tmp_path / "state.pt", stop_at=5).run()
    kept = last_good(tmp_path / "state.pt")
    assert kept is not None
    assert set(kept[0]) == set(before.state_dict())
    again = segmenter()
    assert training(again, spec, tmp_path / "state.pt").run() == history
    assert all(
        torch.allclose(a, b, atol=1e-6)
        for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True)
    )


def test_a_state_that_is_damaged_or_of_another_version_is_named(tmp_path: Path) -> None:
    state = tmp_path / "state.pt"
    training(segmenter(), SPEC, state).run()
    content = torch.load(state, weights_only=True)
    torch.save({**content, "student": {}}, state)
    with pytest.raises(FormatError, match=r"state\.pt' was left by another version .* delete it"):
        training(segmenter(), SPEC, state).run()
    state.write_bytes(state.read_bytes()[:2000])
    for read in (lambda: training(segmenter(), SPEC, state).run(), lambda: last_good(state)):
        with pytest.raises(FormatError, match=r"state\.pt'.* is damaged; delete it to train from the start"):
            read()


def test_no_flipped_bit_of_a_state_is_taken_for_what_was_kept(tmp_path: Path) -> None:
    path, content = tmp_path / "state.pt", {"student": {"w": torch.randn(40)}, "history": [{"loss": 0.5}]}
    write_state(path, content)
    kept, draw = path.read_bytes(), random.Random(0)
    told = 0
    for _ in range(200):
        flipped = bytearray(kept)
        flipped[draw.randrange(len(kept))] ^= 1 << draw.randrange(8)
        path.write_bytes(bytes(flipped))
        try:
            found = read_state(path)
        except TornStateError:
            told += 1
        else:  # padding, or a date
            assert torch.equal(found["student"]["w"], content["student"]["w"])  # type: ignore[index,call-overload]
            assert found["history"] == content["history"]
    assert told > 50


def test_joint_shows_as_many_images_as_all_steps() -> None:
    assert joint_epochs([9568, 2145], [30, 40], 10582) == 35  # (287,040 + 85,800) / 10,582 = 35.2
    assert joint_epochs([10], [1], 1000) == 1


def test_few_images_are_passed_so_often_that_there_are_enough_iterations() -> None:
    spec = TrainSpec(epochs=2, batch_size=4, min_iterations=13)  # ten images: three batches
    assert (passes_of(10, spec), iterations_of(10, spec)) == (3, 18)
    assert passes_of(1000, spec) == 1, "many images are passed as often as ever"
    toy = training(segmenter(), spec)
    batches: list[list[int]] = []
    draw = toy.draw

    def seen(positions: list[int]) -> tuple[list[int], Tensor]:
        batches.append(positions)
        return draw(positions)

    toy.draw = seen
    assert len(toy.run()) == 2, "an epoch is still what is told and kept"
    assert len(batches) == toy.total == 18
    shown = [position for positions in batches for position in positions]
    assert {shown.count(position) for position in range(10)} == {6}
    assert batches[:3] != batches[3:6], "each pass is shuffled anew"
