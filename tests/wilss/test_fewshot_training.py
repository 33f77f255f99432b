import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from tests.wilss.tiny_heads import TRAINED, WEIGHTS, batch_of, model_of, spec_of
from wilss.fewshot import episodic, stage1
from wilss.fewshot.build import build_stage1
from wilss.fewshot.episodic import fit_threshold, train_episodic
from wilss.fewshot.heads.contract import EpisodeBatch
from wilss.fewshot.heads.cwt import CwtHead
from wilss.fewshot.model import FewShotModel
from wilss.fewshot.scores import episode_counts
from wilss.fewshot.sections import EpisodicTrainSpec, PspTrainSpec
from wilss.fewshot.stage1 import train_stage1
from wilss.fewshot.training import episodic_rules, rate_factor
from wilss.learn.base import MaskedBatch
from wilss.learn.loop import Watch
from wilss.nets.svf import apply_svf
from wilss.precision import require_full_fp32
from wilss.testing.foundations import needs_gpu


@pytest.mark.parametrize("tuning", ["frozen", "svf", "full"])
@pytest.mark.parametrize("head", TRAINED)
def test_every_trained_parameter_is_in_one_group_and_has_a_gradient(head: str, tuning: str) -> None:
    spec = spec_of(head, train={"tuning": tuning})
    model = model_of(spec)
    if tuning == "frozen":
        model.backbone.requires_grad_(False)
    elif tuning == "svf":
        apply_svf(model.backbone, model.backbone.stage_names(3))
    rules = episodic_rules(spec.train, model.parts(), 10)
    grouped = [p for rule in rules for group in rule.optimizer.param_groups for p in group["params"]]
    wanted = {id(p) for p in model.train().parameters() if p.requires_grad}
    assert sorted(map(id, grouped)) == sorted(wanted), "each once, none forgotten"
    for seed in range(3):  # channel dropout may hide a parameter from one batch
        torch.manual_seed(seed)
        torch.stack(list(model.train().losses(batch_of(seed=seed)).values())).sum().backward()
    still = [name for name, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    # by the equations: a shift of both classes' logits alike, and psi while nothing has been learnt
    assert set(still) <= {"head.transformer.norm.bias", "head.adjust"}


@pytest.mark.parametrize("head", TRAINED)
def test_the_prediction_does_not_see_the_querys_mask(head: str) -> None:
    model = model_of(spec_of(head)).eval()
    batch = batch_of()
    assert batch.query_mask is not None
    hidden = EpisodeBatch(**{**vars(batch), "query_mask": None})
    turned = EpisodeBatch(**{**vars(batch), "query_mask": 1 - batch.query_mask.clamp(max=1)})
    with torch.inference_mode():
        found = [model.predict(b) for b in (batch, hidden, turned)]
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.parametrize("head", TRAINED)
def test_the_last_stage_meets_every_image_once(head: str) -> None:
    model = model_of(spec_of(head, shots=3)).eval()
    rows: list[int] = []
    last = model.backbone.body.get_submodule(model.backbone.stages[-1][-1])
    last.register_forward_hook(lambda layer, arguments, maps: rows.append(len(maps)))
    batch = batch_of(n=2, shots=3)
    model.predict(batch)
    supports = model.views.add(batch, model.backbone.normalise.mean).support.shape[1]
    assert supports == (18 if head == "cwt" else 3)
    assert sum(rows) == 2 + 2 * supports, "supports masked or whole, never both"


@pytest.mark.parametrize("half", [False, True])
def test_supports_that_no_gradient_reaches_leave_the_backbones_gradient_as_it_is(
    half: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gradients() -> list[torch.Tensor]:
        model = model_of(spec_of("cwt", train={"tuning": "full"})).eval()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            terms = model.losses(batch_of())
        torch.stack(list(terms.values())).sum().backward()
        return [p.grad for p in model.backbone.parameters() if p.grad is not None]

    apart = gradients()
    monkeypatch.setattr(CwtHead, "detaches_supports", False)
    together = gradients()
    assert len(apart) == len(together)
    assert any(gradient.any() for gradient in apart)
    for one, other in zip(apart, together, strict=True):
        close = {"rtol": 0.1, "atol": 1e-2 * float(other.abs().max())} if half else {"rtol": 1e-3, "atol": 1e-6}
        torch.testing.assert_close(one, other, **close)


def test_where_batchnorm_learns_supports_and_queries_are_one_batch() -> None:
    spec = spec_of("cwt", train={"tuning": "full"}, backbone={"train_batchnorm": True})
    model = model_of(spec).train()
    model.losses(batch_of())
    norms = [m for m in model.backbone.body.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert int(norms[0].num_batches_tracked) == 1


@pytest.mark.parametrize("head", ["aspp", "bam"])
def test_a_training_learns_keeps_batchnorm_and_goes_on_where_it_stopped(head: str, tmp_path: Path) -> None:
    spec = spec_of(head)
    settings = EpisodicTrainSpec(
        tuning="svf", epochs=3, batch_size=2, optimizer="adamw", lr_head=3e-3, lr_backbone=1e-3
    )
    ids = tuple("abcdefgh")

    def run(state: Path, epochs: int) -> tuple[FewShotModel, list[dict[str, float]]]:
        model = model_of(spec)
        generator = torch.Generator().manual_seed(0)

        def draw(positions: list[int]) -> EpisodeBatch:
            if len(drawn) >= epochs * 4:
                raise KeyboardInterrupt
            drawn.append(positions)
            return batch_of(len(positions), seed=int(torch.randint(99, (), generator=generator)))

        drawn: list[list[int]] = []
        return model, train_episodic(model, draw, ids, settings, generator, Watch("test", state=state))

    before = {name: b.clone() for name, b in model_of(spec).named_buffers()}
    assert any(name.startswith("stage1.") for name in before) == (head == "bam")
    whole, history = run(tmp_path / "whole.pt", 3)
    assert sum(history[-1].values()) < sum(history[0].values())
    assert all(torch.equal(before[name], b) for name, b in whole.named_buffers())
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts.pt", 1)
    again, resumed = run(tmp_path / "parts.pt", 2)
    assert resumed == history
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True))


class Rates:
    """Looks at the learning rates of every iteration of a real training."""

    def __init__(self, patch: pytest.MonkeyPatch, module: ModuleType, name: str) -> None:
        self.trace: list[list[float]] = []
        plain = getattr(module, name)

        def remember(*arguments: Any) -> Any:
            self.rules = plain(*arguments)
            return self.rules

        patch.setattr(module, name, remember)

    def note(self) -> None:
        rules = self.rules if isinstance(self.rules, list) else [self.rules]
        self.trace.append([group["lr"] for rule in rules for group in rule.optimizer.param_groups])


FACTORS = {
    "cosine": [0.5 * (1 + math.cos(math.pi * k / 8)) for k in range(8)],
    "poly": [(1 - k / 8) ** 0.9 for k in range(8)],
    "constant": [1.0] * 8,
}


@pytest.mark.parametrize("schedule", FACTORS)
def test_rates_of_a_real_training_follow_the_schedule(schedule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = EpisodicTrainSpec(epochs=2, batch_size=2, tuning="svf", schedule=schedule)  # type: ignore[arg-type]
    rates, model = Rates(monkeypatch, episodic, "episodic_rules"), model_of(spec_of("ipmt"))

    def draw(positions: list[int]) -> EpisodeBatch:
        rates.note()
        return batch_of(len(positions))

    train_episodic(model, draw, tuple("abcdefgh"), settings, torch.Generator().manual_seed(0))
    for row, factor in zip(rates.trace, FACTORS[schedule], strict=True):
        assert row == pytest.approx([0.0015 * factor, 0.015 * factor, 1e-4, 1e-4])


@pytest.mark.parametrize("schedule", FACTORS)
def test_stage_1_trains_every_parameter_at_the_rate_of_its_part(schedule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of("bam", psp={"aux_weight": 0.4})
    settings = PspTrainSpec(epochs=2, batch_size=2, schedule=schedule, lr_backbone=1e-4)  # type: ignore[arg-type]
    rates, net = Rates(monkeypatch, stage1, "net_rule"), build_stage1(spec, WEIGHTS, 15)

    def draw(positions: list[int]) -> MaskedBatch:
        rates.note()
        batch = batch_of(len(positions))
        assert batch.query_mask is not None
        return MaskedBatch(batch.query, batch.query_mask)

    train_stage1(net, draw, tuple("abcdefgh"), settings, torch.Generator().manual_seed(0))
    for row, factor in zip(rates.trace, FACTORS[schedule], strict=True):
        assert row == pytest.approx([1e-4 * factor, settings.lr_head * factor])
    groups = rates.rules.optimizer.param_groups
    grouped = [id(p) for group in groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in net.parameters())
    assert {id(p) for p in groups[0]["params"]} == {id(p) for p in net.backbone.parameters()}
    assert not [name for name, p in net.named_parameters() if p.grad is None], "the second classifier too"


def test_a_tuned_backbone_does_not_disturb_bams_base_classes() -> None:
    images, changed = batch_of().query, []
    for tuning in ("frozen", "svf"):
        model = model_of(spec_of("bam", start="base", train={"tuning": tuning})).eval()
        found = []
        for scale in (1.0, 3.0):
            with torch.no_grad():
                model.backbone.body.get_submodule("layer1.0.conv1").weight.mul_(scale)
                found.append(model._base_logits(images, model.backbone(images)))
        changed.append(not torch.equal(*found))
    assert changed == [True, False], "a frozen backbone serves both, a tuned one leaves stage 1 its own"


@needs_gpu
@pytest.mark.parametrize("tuning", ["frozen", "svf", "full"])
@pytest.mark.parametrize("head", TRAINED)
def test_a_gpu_predicts_the_same_learns_and_goes_on(head: str, tuning: str, tmp_path: Path) -> None:
    spec = spec_of(head, train={"tuning": tuning, "epochs": 2, "batch_size": 2, "precision": "fp32"})
    device = torch.device("cuda")

    def batch(positions: list[int]) -> EpisodeBatch:
        return EpisodeBatch(**{name: value.to(device) for name, value in vars(batch_of(len(positions))).items()})

    def train(model: FewShotModel) -> list[dict[str, float]]:
        watch = Watch("gpu", state=tmp_path / "state.pt")
        return train_episodic(model, batch, tuple("abcd"), spec.train, torch.Generator(), watch)

    model = model_of(spec).to(device).eval()
    require_full_fp32()
    expected = model_of(spec).eval().predict(batch_of())
    torch.testing.assert_close(model.predict(batch([0, 1])).cpu(), expected, rtol=1e-2, atol=1e-2)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    history = train(model)
    assert all(math.isfinite(value) for terms in history for value in terms.values())
    assert any(not torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert train(model_of(spec).to(device)) == history, "the state of a finished training is taken up"


def test_learning_rates_follow_their_schedule_to_the_end() -> None:
    spec = EpisodicTrainSpec(tuning="full", epochs=2, schedule="cosine")
    parts = {"backbone": [torch.nn.Parameter(torch.zeros(1))], "head": [torch.nn.Parameter(torch.zeros(1))]}
    parts["transformer"] = [torch.nn.Parameter(torch.zeros(2, 2)), torch.nn.Parameter(torch.zeros(2))]
    main, own = episodic_rules(spec, parts, 100)
    trace = []
    for _ in range(100):
        trace.append([group["lr"] for group in main.optimizer.param_groups])
        main.optimizer.step()
        main.schedule.step()
        own.optimizer.step()
        own.schedule.step()
    assert trace[0] == [spec.lr_backbone, spec.lr_head]
    assert trace[50] == pytest.approx([spec.lr_backbone / 2, spec.lr_head / 2])
    assert max(trace[-1]) < 1e-5, "it really reaches zero"
    assert [(g["lr"], g["weight_decay"]) for g in own.optimizer.param_groups] == [(1e-4, 1e-2), (1e-4, 0.0)]
    poly = spec.model_copy(update={"schedule": "poly"})
    assert rate_factor(poly, 50, 100) == pytest.approx(0.5**0.9)
    assert rate_factor(spec.model_copy(update={"schedule": "constant"}), 99, 100) == 1.0


@pytest.mark.parametrize("head", ["prior", "prototype"])
def test_baselines_find_their_threshold_and_nothing_else(head: str) -> None:
    model = model_of(spec_of(head))
    assert list(model.head.parameters()) == []
    batches = [batch_of(seed=s) for s in range(3)]
    threshold = fit_threshold(model, batches)
    assert threshold == float(model.head.threshold)
    assert threshold == fit_threshold(model, reversed(batches)), "no batch is looked at more than another"

    def mean_iou(value: float) -> float:
        model.head.threshold.fill_(value)
        counts = []
        for batch in batches:
            found = model.eval().predict(batch).argmax(1)
            assert batch.query_mask is not None
            counts.append([episode_counts(f, m) for f, m in zip(found, batch.query_mask, strict=True)])
        hits, unions = np.array(counts)[..., 0].sum(0), np.array(counts)[..., 1].sum(0)
        return float((hits / unions).mean())

    best = mean_iou(threshold)
    assert best >= max(mean_iou(threshold * factor) for factor in (0.0, 0.5, 0.8, 1.2, 2.0)) - 1e-6


def test_decay_nesterov_and_the_form_of_the_singular_values_reach_the_training() -> None:
    parts = {name: [torch.nn.Parameter(torch.zeros(1))] for name in ("backbone", "head")}

    def of(**settings: Any) -> tuple[list[float], list[bool]]:
        (rule,) = episodic_rules(EpisodicTrainSpec(weight_decay=0.01, **settings), parts, 10)
        groups = rule.optimizer.param_groups
        return [group["weight_decay"] for group in groups], [group["nesterov"] for group in groups]

    assert of(tuning="svf") == ([0.0, 0.01], [False, False]), "vectors do not decay unless told to"
    assert of(tuning="svf", svf_decay=0.3, use_nesterov=True) == ([0.3, 0.01], [True, True])
    assert of(tuning="full", svf_decay=0.3) == ([0.01, 0.01], [False, False])

    def moved(form: str) -> torch.Tensor:
        model, name = model_of(spec_of("aspp")), "body.layer4.0.conv2.weight"
        before = model.backbone.state_dict()[name].clone()
        own = {"svf_form": form, "lr_backbone": 4.0}  # a rate whose step is well above rounding
        settings = EpisodicTrainSpec.model_validate(
            {"tuning": "svf", "epochs": 1, "batch_size": 2, "precision": "fp32", **own}
        )
        torch.manual_seed(0)
        train_episodic(model, lambda rows: batch_of(len(rows)), ("a", "b"), settings, torch.Generator())
        left, values, right = torch.linalg.svd(before.double().flatten(1), full_matrices=False)
        change = (model.backbone.state_dict()[name] - before).double().flatten(1)
        return torch.stack([(left.T @ change @ right.T).diagonal(), values])

    (of_factor, values), (of_direct, _) = moved("factor"), moved("direct")
    large = of_direct.abs() > 0.2 * of_direct.abs().max()
    torch.testing.assert_close(of_factor[large], (values**2 * of_direct)[large], rtol=0.05, atol=1e-4)
