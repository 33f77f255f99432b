"""Where gradients flow, what is frozen, and what the incremental loop changes."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from torch import Tensor, nn

from wilss.data.images import TaggedImages
from wilss.data.scenes.source import ScenesSource
from wilss.data.spec import AugmentSpec, World
from wilss.data.steps import StepLists
from wilss.errors import SpecError, TrainingError
from wilss.learn.incremental import StepData, train_step
from wilss.learn.memory import MemoryBank
from wilss.learn.methods.contract import StepBatch, StepContext
from wilss.learn.methods.finetune import Finetune
from wilss.learn.methods.fmwiss import Fmwiss
from wilss.learn.methods.spec import FmwissSpec, WilsonSpec
from wilss.learn.spec import MethodSettings, PasteSpec, TrainSpec
from wilss.nets.pretrained import Weights, find_weights
from wilss.nets.segmenter import Segmenter, build_segmenter
from wilss.nets.spec import StudentSpec
from wilss.protocol import benchmark

SPEC = StudentSpec(backbone="resnet_scenes", weights="none", output_stride=8, aspp_channels=8, aspp_rates=(1, 2))


def weights() -> Weights:
    return find_weights("resnet_scenes", "none", None)


def segmenter(sizes: tuple[int, ...] = (15,)) -> Segmenter:
    torch.manual_seed(0)
    return build_segmenter(SPEC, weights(), sizes)


def context(sizes: tuple[int, ...] = (15,), **changes: object) -> StepContext:
    old = segmenter(sizes).eval().requires_grad_(False)
    student = copy.deepcopy(old).requires_grad_(True)
    student.grow(5)
    spec = FmwissSpec(**{"teacher_channels": 8, "warmup_epochs": 2, **changes})  # type: ignore[arg-type]
    return StepContext(student, old, 16, 5, spec, torch.Generator().manual_seed(0))


def batch(pasted_class: int = 3) -> StepBatch:
    gen = torch.Generator().manual_seed(1)
    masks = torch.zeros(3, 5, 32, 32, dtype=torch.uint8)
    masks[:, 1, 4:20, 4:20] = 1
    pasted = torch.zeros(3, 32, 32, dtype=torch.int64)
    pasted[0, 16:, 16:] = pasted_class
    tags = torch.tensor([[False, True, False, False, False]] * 3)
    return StepBatch(torch.randn(3, 3, 32, 32, generator=gen), masks, tags, pasted)


def grown(model: Segmenter, prefix: str) -> float:
    gradients = [p.grad.abs().sum() for n, p in model.named_parameters() if n.startswith(prefix) and p.grad is not None]
    return float(torch.stack(gradients).sum()) if gradients else 0.0


def test_warm_up_trains_the_teacher_and_the_backbone_only() -> None:
    method = Fmwiss(context())
    terms = method.losses(batch(), epoch=1)
    assert set(terms) == {"encoder", "new", "old", "contrastive"}
    torch.stack(list(terms.values())).sum().backward()
    student = method.context.student
    assert grown(student, "backbone") > 0
    assert grown(student, "aspp") == grown(student, "classifiers") == 0
    assert all(p.grad is not None for p in method.teacher.parameters())
    assert all(p.grad is None for p in method.context.old.parameters())


def test_after_warm_up_the_student_learns_and_gives_the_teacher_nothing() -> None:
    method = Fmwiss(context())
    terms = method.losses(batch(), epoch=2)
    terms["student"].backward()
    assert grown(method.context.student, "aspp") > 0
    assert grown(method.context.student, "classifiers.1") > 0
    assert all(p.grad is None for p in method.teacher.parameters())


def test_teacher_gradient_can_be_kept_from_the_backbone() -> None:
    method = Fmwiss(context(teacher_to_backbone=False, encoder_weight=0.0))
    torch.stack(list(method.losses(batch(), epoch=0).values())).sum().backward()
    assert grown(method.context.student, "backbone") == 0


@pytest.mark.parametrize(
    ("changes", "terms"),
    [
        ({"contrastive_weight": 0.0}, {"encoder", "new", "old", "student"}),
        ({"encoder_weight": 0.0}, {"new", "old", "contrastive", "student"}),
        ({"teacher": False}, {"encoder", "student"}),
    ],
)
def test_switches(changes: dict[str, object], terms: set[str]) -> None:
    method = Fmwiss(context(**changes))
    assert set(method.losses(batch(), epoch=5)) == terms
    assert len(list(method.heads())) == int(bool(changes.get("teacher", True)))


@pytest.mark.parametrize(("sizes", "as_in_later"), [((15,), "both"), ((10, 5), "old")])
def test_background_of_later_steps_is_the_old_models(sizes: tuple[int, ...], as_in_later: str) -> None:
    losses = {
        whose: float(Fmwiss(context(sizes, student_background=whose)).losses(batch(), epoch=2)["student"])
        for whose in ("both", "old", "later")
    }
    assert losses["both"] != losses["old"]
    assert losses["later"] == losses[as_in_later]


@pytest.mark.parametrize(("sizes", "limits"), [((15,), (0.3, 0.3)), ((10, 5), (0.3, 1.0))])
def test_the_limit_to_what_is_hidden_may_hold_in_step_1_alone(
    sizes: tuple[int, ...], limits: tuple[float, float]
) -> None:
    asked = (PasteSpec(max_hidden=0.3), PasteSpec(max_hidden=0.3, limited_in="first"))
    given = [Fmwiss(context(sizes, paste=paste)).paste for paste in asked]
    assert tuple(paste.max_hidden for paste in given if paste) == limits


def test_pasted_pixels_carry_their_hard_class() -> None:
    method = Fmwiss(context())
    old = torch.rand(3, 16, 4, 4)
    known = method._overrule_pasted(old, batch().pasted)
    assert torch.equal(known[1:], old[1:])
    assert torch.equal(known[0, :, :2], old[0, :, :2])
    assert (known[0, 3, 2:, 2:] == 1).all()
    assert float(known[0, [0, 1, 2, *range(4, 16)], 2:, 2:].abs().max()) == 0
    erased = method._erase_new(torch.ones(3, 21, 4, 4), batch().pasted)
    assert float(erased[0, :, 2:, 2:].abs().max()) == 0
    assert float(erased[1:].min()) == 1


def test_teacher_background_is_zero_inside_new_masks() -> None:
    known, masks = torch.rand(1, 16, 2, 2), torch.zeros(1, 5, 2, 2)
    masks[0, 3, 0, 0], masks[0, 1, 0, 1] = 1.0, 0.25
    target = Fmwiss(context())._teacher_target(known, masks)
    assert torch.equal(target[:, 1:], known[:, 1:])
    expected = known[0, 0] * torch.tensor([[0.0, 0.75], [1.0, 1.0]])
    assert torch.equal(target[0, 0], expected)
    plain = Fmwiss(context(teacher_background="distilled"))._teacher_target(known, masks)
    assert torch.equal(plain, known)


def test_a_teacher_may_start_as_a_copy_of_the_old_model() -> None:
    made = context(teacher_start="old")
    method = Fmwiss(made)
    features = made.old.features(batch().images)
    logits, _ = method.teacher.eval()(features)
    assert torch.allclose(logits[:, :16], made.old.classify(features), atol=1e-6)
    assert not torch.allclose(Fmwiss(context()).teacher.eval()(features)[0][:, :16], logits[:, :16], atol=1e-4)
    with pytest.raises(SpecError, match=r"fmwiss.teacher_channels is 16, but .* needs the student's aspp_channels, 8"):
        Fmwiss(context(teacher_start="old", teacher_channels=16))


def test_the_average_of_the_teacher_labels_and_learns_from_no_gradient() -> None:
    """Against a transcription: a_1 = w_1, a_t = k a_(t-1) + (1 - k) w_t, of weights and of BatchNorm's statistics."""
    method = Fmwiss(context(teacher_average=0.9))
    assert method.average is not None
    assert list(method.heads()) == [method.teacher, method.average], "so that a training that was killed keeps it"
    average = method.average.module
    expected: dict[str, Tensor] = {}
    optimizer = torch.optim.SGD(method.teacher.parameters(), lr=1.0)
    for _ in range(3):
        terms = method.losses(batch(), epoch=5)
        own = method.teacher.state_dict()
        for name, value in own.items():
            if value.is_floating_point():
                expected[name] = 0.9 * expected.get(name, value) + 0.1 * value
        optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        optimizer.step()
    for name, value in average.state_dict().items():
        if value.is_floating_point():
            assert torch.allclose(value, expected[name], atol=1e-6), name
    assert not torch.allclose(average.classifier.weight, method.teacher.classifier.weight, atol=1e-4)
    assert all(p.grad is None for p in average.parameters())
    before = copy.deepcopy(average.state_dict())
    features = method.context.student.eval().features(batch().images)
    whole = average.eval()(features)[0]
    logits = whole[:, 16:]
    for p in method.teacher.parameters():
        torch.nn.init.zeros_(p)
    kept = method._labelling(features, torch.zeros_like(whole))
    assert float(kept.abs().max()) > 0, "what the student learns from is the average's, not the teacher's"
    average.load_state_dict(before)
    found = method.final_masks(batch().images)
    assert found is not None
    assert torch.allclose(found, logits.sigmoid(), atol=1e-6)


def test_q_of_untagged_new_classes_is_zero() -> None:
    allowed = Fmwiss(context())._allowed(batch().tags)
    assert allowed[0].tolist() == [True] * 16 + [False, True, False, False, False]
    assert Fmwiss(context(compete="all"))._allowed(batch().tags).all()
    without_old = Fmwiss(context(old_in_mix=False))._allowed(batch().tags)
    assert without_old[0].tolist() == [True] + [False] * 15 + [False, True, False, False, False]


def test_finetune_has_one_term_and_pulls_old_classes_down() -> None:
    method = Finetune(context())
    terms = method.losses(batch(), epoch=0)
    assert set(terms) == {"student"}
    terms["student"].backward()
    bias = method.context.student.classifiers[0].bias
    assert bias is not None
    assert bias.grad is not None
    assert (bias.grad[1:] > 0).all()  # a descent step lowers every old class


class Ones:
    def __init__(self, data: TaggedImages) -> None:
        self.data = data

    def layers(self, positions: list[int]) -> Tensor:
        return self.data.tags[positions][..., None, None].expand(-1, -1, 32, 32).to(torch.uint8)


@pytest.fixture(scope="module")
def data() -> TaggedImages:
    return StepLists.open(ScenesSource(World(image_size=32), 48, 8), benchmark("scenes-15-5"), "overlap").tagged(1, 32)


def bank() -> MemoryBank:
    image, mask = torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.ones(1, 8, 8, dtype=torch.bool)
    return MemoryBank(image, mask, torch.tensor([[8, 8]]), torch.tensor([4]), ("x",))


def learn(old: Segmenter, data: TaggedImages, memory: MemoryBank | None, **train: object):  # type: ignore[no-untyped-def]
    spec = TrainSpec(epochs=2, batch_size=8, **train)  # type: ignore[arg-type]
    fmwiss = FmwissSpec(teacher_channels=8, warmup_epochs=1)
    step = StepData(data, Ones(data), memory)
    return train_step(old, step, "fmwiss", fmwiss, spec, AugmentSpec(crop=32), 0)


def test_the_old_model_stays_as_it_was_and_the_student_grows(data: TaggedImages) -> None:
    old = segmenter()
    before = {name: value.clone() for name, value in old.state_dict().items()}
    result = learn(old, data, bank())
    assert all(torch.equal(value, before[name]) for name, value in old.state_dict().items())
    assert result.student.step_sizes == (15, 5)
    assert not torch.equal(result.student.classifiers[0].weight, old.classifiers[0].weight)
    assert ["student" in epoch for epoch in result.history] == [False, True]
    again = learn(old, data, bank())
    assert result.history == again.history


def test_missing_bank_and_exploding_loss_are_errors(data: TaggedImages) -> None:
    with pytest.raises(SpecError, match="no memory bank"):
        learn(segmenter(), data, None)
    with pytest.raises(SpecError, match="or an empty one"):
        learn(segmenter(), data, bank().chosen([]))
    of_later = dataclasses.replace(bank(), channels=torch.tensor([16]))
    with pytest.raises(SpecError, match="instances of output 16, and the old model's are 0 to 15"):
        learn(segmenter(), data, of_later)
    with pytest.raises(TrainingError, match=r"not finite in epoch 1, batch \d of \d, on the images train-"):
        learn(segmenter(), data, bank(), lr_backbone=1e12, lr_head=1e12, precision="fp32")


def test_a_frozen_backbone_is_run_once_for_old_and_new_student(
    data: TaggedImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    histories, runs = [], []
    for share in (True, False):
        with monkeypatch.context() as patch:
            if not share:
                patch.setattr(StepContext, "features", lambda self, images, _: self.student.features(images))
            plain = Segmenter.features

            def counted(model: Segmenter, images: Tensor, plain=plain) -> Tensor:  # type: ignore[no-untyped-def]
                runs[-1] += 1
                return plain(model, images)

            patch.setattr(Segmenter, "features", counted)
            runs.append(0)
            histories.append(learn(segmenter(), data, bank(), tuning="frozen").history)
    assert runs[1] == 2 * runs[0] > 0
    for once, twice in zip(*histories, strict=True):
        assert once == pytest.approx(twice, rel=1e-4)
        assert once["encoder"] == 0


def test_plug_ins_are_laid_out_as_the_student_is(data: TaggedImages) -> None:
    result = learn(segmenter(), data, bank())
    convolutions = [
        m for part in (result.student, *result.method.heads()) for m in part.modules() if isinstance(m, nn.Conv2d)
    ]
    assert len(convolutions) > 10
    assert all(m.weight.is_contiguous(memory_format=torch.channels_last) for m in convolutions)


def test_growing_keeps_old_outputs() -> None:
    model = segmenter().eval()
    images = torch.randn(2, 3, 32, 40)
    before = model(images)
    model.grow(2)
    after = model(images)
    assert after.shape == (2, 18, 4, 5)
    assert torch.equal(after[:, :16], before)
    with pytest.raises(ValueError, match="at least one"):
        model.grow(0)


@pytest.mark.parametrize("name", ["fmwiss", "wilson", "finetune"])
def test_a_step_of_one_class_runs(data: TaggedImages, name: str) -> None:
    one = TaggedImages(data.images, data.tags[:, :1])
    spec = TrainSpec(epochs=1, batch_size=8)
    settings = {
        "fmwiss": FmwissSpec(teacher_channels=8, warmup_epochs=0),
        "wilson": WilsonSpec(channels=8, warmup_epochs=0),
    }
    step = StepData(one, Ones(one), bank())
    result = train_step(segmenter(), step, name, settings.get(name, MethodSettings()), spec, AugmentSpec(crop=32), 0)
    assert result.student.step_sizes == (15, 1)
    assert all(torch.isfinite(p).all() for p in result.student.parameters())
