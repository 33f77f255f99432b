"""Vector sets: bases that steps share, rollback, folding, sizes, and what moved most."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.wilss.test_loop import IDS, SPEC, Toy
from tests.wilss.test_methods import Ones, bank, segmenter
from wilss.data.images import TaggedImages
from wilss.data.scenes.source import ScenesSource
from wilss.data.spec import AugmentSpec, World
from wilss.data.steps import StepLists
from wilss.errors import SpecError
from wilss.learn.incremental import StepData, StepResult, train_step
from wilss.learn.loop import Training, Watch
from wilss.learn.spec import TrainSpec
from wilss.measure.vectors import Component, ForegroundShare, activation_maps, heat, layer_moves, strongest
from wilss.nets.segmenter import Segmenter
from wilss.nets.svf import apply_svf, decomposition, svf_layers, svf_state
from wilss.nets.vectors import Chain, Vectors, VectorSets, vectors_between, weights_digest
from wilss.protocol import benchmark

SVF = SPEC.model_copy(update={"tuning": "svf", "lr_backbone": 0.05, "optimizer": "adamw"})


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).detach().norm() / b.detach().norm())


def learn(old: Segmenter, step: int, chain: Chain | None) -> StepResult:
    source = ScenesSource(World(image_size=32), 48, 8)
    data: TaggedImages = StepLists.open(source, benchmark("scenes-10-5-5"), "overlap").tagged(step, 32)
    spec = TrainSpec(epochs=1, batch_size=8, tuning="svf", optimizer="adamw", lr_backbone=0.02, precision="fp32")
    return train_step(
        old, StepData(data, Ones(data), bank()), "finetune", None, spec, AugmentSpec(crop=32), 0, None, chain
    )


@pytest.fixture(scope="module")
def steps() -> tuple[Segmenter, StepResult, StepResult]:
    """The base student and two steps in a row."""
    base = segmenter((10,)).eval()
    first = learn(base, 1, None)
    return base, first, learn(first.student, 2, Chain(base.backbone, first.vectors))


@pytest.fixture
def sets(steps: tuple[Segmenter, StepResult, StepResult]) -> VectorSets:
    base, first, second = steps
    made = VectorSets(base.backbone, tuple(first.vectors))
    made.add(1, first.vectors)
    made.add(2, second.vectors)
    return made


def test_two_steps_share_the_bases_of_the_first(steps: tuple[Segmenter, StepResult, StepResult]) -> None:
    base, first, second = steps
    decomposed = copy.deepcopy(base.backbone)
    apply_svf(decomposed, tuple(first.vectors))
    for name, layer in svf_layers(decomposed):
        bases = decomposition(layer)
        for result in (first, second):
            weight = result.student.backbone.get_submodule(name).weight.detach()
            # in the bases the step's weights are diagonal: U^T W V = S g
            inner = bases.left[0].T @ weight.flatten(1) @ bases.right[0].T
            assert relative(inner, torch.diag(bases.values[0] * result.vectors[name][0])) < 1e-5
    assert any(not torch.equal(first.vectors[name], second.vectors[name]) for name in first.vectors)
    assert any(not torch.equal(vector, torch.ones_like(vector)) for vector in first.vectors.values())


def chained(student: Segmenter, vectors: Vectors, state: Path | None = None, stop_at: int | None = None):  # type: ignore[no-untyped-def]
    draws = torch.Generator().manual_seed(0)

    def draw(positions: list[int]) -> tuple[list[int], torch.Tensor]:
        return positions, torch.randn(len(positions), 3, 16, 16, generator=draws)

    objective = Toy(student, stop_at=stop_at)
    return Training(student, objective, draw, IDS, SVF, (draws,), Watch("toy", None, state), vectors=vectors)


def test_a_chain_starts_as_the_old_backbone(steps: tuple[Segmenter, StepResult, StepResult]) -> None:
    base, first, _ = steps
    student = copy.deepcopy(base)
    images = torch.randn(1, 3, 32, 32)
    before = student.features(images)
    chained(student, first.vectors)
    expected = first.student.features(images)
    assert relative(student.eval().features(images), expected) < 1e-5
    assert relative(before, expected) > 1e-3


def test_rollback_gives_the_outputs_of_every_step(
    steps: tuple[Segmenter, StepResult, StepResult], sets: VectorSets, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, first, second = steps
    students = {0: base, 1: first.student, 2: second.student}
    images = torch.randn(2, 3, 40, 32)

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("decomposed again")

    monkeypatch.setattr(torch.linalg, "svd", fail)
    for step in (2, 0, 1, 2, 1, 0):
        sets.activate(step)
        assert sets.active == step
        expected = students[step].features(images)
        assert relative(sets.network.eval()(base.normalise(images))[-1], expected) < 1e-5
        folded = sets.fold(step)
        assert sets.active == step
        assert set(folded.state_dict()) == set(students[step].backbone.state_dict())
        assert torch.equal(folded.eval()(images)[-1], sets.network(images)[-1])
        assert all(torch.equal(a, b) for a, b in zip(_statistics(folded), _statistics(base.backbone), strict=True))
    assert sets.steps == (0, 1, 2)
    assert all(torch.equal(value, first.vectors[name]) for name, value in sets.state(1).items())


def _statistics(network: nn.Module) -> list[torch.Tensor]:
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    return [value for m in norms for value in (m.weight, m.bias, m.running_mean, m.running_var) if value is not None]


def test_folding_changes_nothing_and_the_given_backbone_stays_plain(sets: VectorSets) -> None:
    before = {step: sets.state(step) for step in sets.steps}
    sets.activate(1)
    folded = sets.fold(2)
    with torch.no_grad():
        for parameter in folded.parameters():
            parameter.zero_()
    assert sets.active == 1
    assert all(torch.equal(sets.state(s)[n], v) for s, vectors in before.items() for n, v in vectors.items())
    assert not list(svf_layers(sets.plain))


def test_mistakes_are_told(sets: VectorSets) -> None:
    with pytest.raises(SpecError, match="no vectors of step 7; there are those of the steps 0, 1, 2"):
        sets.activate(7)
    with pytest.raises(SpecError, match="no vectors of step 7"):
        sets.fold(7)
    with pytest.raises(SpecError, match="step 1 has its vectors already"):
        sets.add(1, sets.state(1))
    with pytest.raises(SpecError, match="are of another backbone"):
        sets.add(3, {"x": torch.ones(1, 1)})
    short = {name: value[:, :-1] * 3 for name, value in sets.state(1).items()}
    expected = sets.state(0)
    with pytest.raises(SpecError, match="singular values"):
        sets.add(3, short)
    assert all(torch.equal(v, expected[n]) for n, v in svf_state(sets.network).items())  # still step 0, wholly
    with pytest.raises(SpecError, match="decomposed already"):
        VectorSets(sets.network, tuple(expected))


def test_digest_of_weights_is_of_their_content() -> None:
    state = {"a": torch.randn(4, 3, 2, 2), "b": torch.tensor(3)}
    same = {"b": state["b"].clone(), "a": state["a"].clone().to(memory_format=torch.channels_last)}
    assert weights_digest(state) == weights_digest(same)
    for other in ({**state, "b": torch.tensor(4)}, {"a": state["a"], "c": state["b"]}, {**state, "a": state["a"] * 2}):
        assert weights_digest(other) != weights_digest(state)


def test_a_chain_that_was_stopped_ends_bit_equal(
    steps: tuple[Segmenter, StepResult, StepResult], tmp_path: Path
) -> None:
    base, first, _ = steps

    def run(state: Path | None, stop_at: int | None = None) -> tuple[dict[str, torch.Tensor], Vectors]:
        student = copy.deepcopy(base)
        made = chained(student, first.vectors, state, stop_at)
        made.run()
        return student.state_dict(), made.vectors

    whole, vectors = run(None)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "state.pt", 5)  # 3 batches an epoch: in the second
    for _ in range(2):  # from the first epoch, then from the end
        again, resumed = run(tmp_path / "state.pt")
        assert all(torch.equal(whole[name], again[name]) for name in whole)
        assert all(torch.equal(vectors[name], resumed[name]) for name in vectors)
    assert any(not torch.equal(vectors[name], first.vectors[name]) for name in vectors)


def values() -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    singular = {"a": torch.tensor([[4.0, 2.0, 1.0]]), "b": torch.tensor([[1.0], [0.5]])}
    return singular, {"a": torch.tensor([[1.1, 0.8, 1.3]]), "b": torch.tensor([[1.0], [0.95]])}


def test_moves_and_strongest_components() -> None:
    singular, vectors = values()
    first, second = layer_moves(vectors)
    assert (first.layer, first.rank) == ("a", 3)
    assert (first.mean, first.up, first.down) == pytest.approx((0.2, 0.3, -0.2))
    assert (second.up, second.down) == pytest.approx((0.0, -0.05))
    assert [(row.risen, row.fallen) for row in (first, second)] == [(2, 1), (0, 1)]
    risen, fallen = strongest(singular, vectors, 2)
    assert [(c.layer, c.index) for c in risen] == [("a", 2), ("a", 0)]
    assert [(c.layer, c.index) for c in fallen] == [("a", 1), ("b", 1)]
    assert risen[0].share == 0.25
    risen, _ = strongest(singular, vectors, 9, "value")
    assert [(c.layer, c.index) for c in risen] == [("a", 0), ("a", 2)]  # 0.1 of 4 is more than 0.3 of 1


@pytest.mark.parametrize("groups", [1, 4])
def test_a_component_is_its_row_of_v_on_the_input_of_its_layer(groups: int) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 12, 3, 2, 1, groups=groups, padding_mode="reflect")
    ).eval()
    images = torch.randn(2, 3, 12, 10)
    sets = VectorSets(network, ["1"])
    right = sets.right()["1"]
    rank = right.shape[1]
    last = groups * rank - 1
    (response,) = activation_maps(network, sets.right(), [Component("1", last, 1.0, 1.0)], lambda: network(images))
    inner = network[0](images)[:, -8 // groups :]
    padded = nn.functional.pad(inner, (1, 1, 1, 1), mode="reflect")
    filters = right[-1, -1].reshape(1, 8 // groups, 3, 3)
    assert torch.allclose(response, nn.functional.conv2d(padded, filters, stride=2)[:, 0].abs(), atol=1e-5)
    assert network[1].out_channels == 12
    assert not network[1]._forward_pre_hooks


@pytest.mark.parametrize("groups", [1, 4])
def test_vectors_are_found_again_from_the_weights(groups: int) -> None:
    torch.manual_seed(0)
    bases = nn.Sequential(nn.Conv2d(8, 12, 3, groups=groups), nn.Flatten(), nn.Linear(12, 5))
    with torch.no_grad():
        bases[2].weight[4] = bases[2].weight[3]  # one singular value is zero
    sets = VectorSets(bases, ["0", "2"])
    given = {name: 1 + 0.3 * torch.rand_like(g) for name, g in sets.state(0).items()}
    given["2"][0, 4] = 1.0
    sets.add(1, given)
    found = vectors_between(bases, sets.fold(1), ["0", "2"])
    for name, g in given.items():
        torch.testing.assert_close(found[name], g, rtol=1e-4, atol=1e-4)


def test_share_of_activation_on_objects_leaves_void_out() -> None:
    labels = torch.zeros(4, 4, dtype=torch.uint8)
    labels[:2, :2], labels[2:, 2:] = 7, 255
    share = ForegroundShare()
    assert share.value is None
    share.add(torch.tensor([[2.0, 1.0], [1.0, 9.0]]), labels)
    assert share.value == pytest.approx(4 / 6)


def test_heat_is_brightest_where_the_map_is_largest() -> None:
    image = torch.full((3, 8, 8), 100, dtype=torch.uint8)
    shown = heat(image, torch.tensor([[0.0, 0.0], [0.0, 5.0]]))
    assert shown.dtype == torch.uint8
    assert shown[:, -1, -1].tolist() == [255, 150, 20]
    assert shown[:, 0, 0].tolist() == [50, 50, 50]
    assert heat(image, torch.zeros(2, 2)).tolist() == torch.full((3, 8, 8), 50).tolist()
