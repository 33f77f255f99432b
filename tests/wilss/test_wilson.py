"""WILSON as a method: which losses when, where gradients flow, and that it needs no label set and no memory."""

from __future__ import annotations

import copy

import torch

from tests.wilss.test_methods import SPEC, batch, grown, segmenter
from wilss.data.scenes.source import ScenesSource
from wilss.data.spec import AugmentSpec, World
from wilss.data.steps import StepLists
from wilss.learn.incremental import StepData, train_step
from wilss.learn.methods.contract import StepBatch, StepContext
from wilss.learn.methods.spec import WilsonSpec
from wilss.learn.methods.wilson import Wilson
from wilss.learn.spec import TrainSpec
from wilss.protocol import benchmark

SETTINGS = WilsonSpec(channels=8, warmup_epochs=2, pamr_iterations=2, pamr_dilations=(1, 2))


def wilson(settings: WilsonSpec = SETTINGS) -> Wilson:
    old = segmenter().eval().requires_grad_(False)
    student = copy.deepcopy(old).requires_grad_(True).train()
    student.grow(5)
    return Wilson(StepContext(student, old, 16, 5, settings, torch.Generator().manual_seed(0)))


def without_masks() -> StepBatch:
    full = batch()
    return StepBatch(full.images, None, full.tags, torch.zeros_like(full.pasted))


def test_warm_up_trains_localizer_and_backbone_but_not_the_head() -> None:
    method = wilson()
    terms = method.losses(without_masks(), epoch=1)
    assert set(terms) == {"classification", "localizer", "encoder"}
    torch.stack(list(terms.values())).sum().backward()
    student = method.context.student
    assert grown(student, "backbone") > 0
    assert grown(student, "aspp") == grown(student, "classifiers") == 0
    assert all(p.grad is not None for p in method.localizer.parameters())


def test_after_warm_up_the_localizer_supervises_itself_and_the_student() -> None:
    method = wilson()
    terms = method.losses(without_masks(), epoch=2)
    assert set(terms) == {"classification", "localizer", "encoder", "self", "student"}
    terms["student"].backward()
    assert grown(method.context.student, "classifiers.1") > 0
    assert all(p.grad is None for p in method.localizer.parameters())  # its masks are a target, not a path


def test_masks_come_from_evaluation_mode_and_leave_the_statistics_alone() -> None:
    method = wilson()
    features = method.context.student.features(without_masks().images)
    before = copy.deepcopy(method.localizer.state_dict())
    masks = method._masks(features)
    assert method.localizer.training
    assert all(torch.equal(value, before[name]) for name, value in method.localizer.state_dict().items())
    assert torch.allclose(masks, method.localizer.eval()(features).softmax(1), atol=1e-6)
    assert not masks.requires_grad


def test_encoder_loss_can_be_switched_off() -> None:
    assert "encoder" not in wilson(SETTINGS.model_copy(update={"encoder_weight": 0.0})).losses(without_masks(), 0)


def test_it_learns_in_the_loop_from_tags_alone() -> None:
    images = StepLists.open(ScenesSource(World(image_size=32), 48, 8), benchmark("scenes-15-5"), "overlap").tagged(
        1, 32
    )
    spec = TrainSpec(epochs=3, batch_size=8)
    result = train_step(segmenter(), StepData(images, None, None), "wilson", SETTINGS, spec, AugmentSpec(crop=32), 0)
    assert ["student" in epoch for epoch in result.history] == [False, False, True]
    assert result.history[-1]["localizer"] < result.history[0]["localizer"]
    assert result.student.spec == SPEC
    masks = result.method.final_masks(torch.zeros(1, 3, 32, 32))
    assert masks is not None
    assert masks.shape == (1, 5, 4, 4)
