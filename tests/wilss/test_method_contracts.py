"""Our methods keep the contract of methods, and the suite notices those that do not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from wilss.learn.methods import build_method
from wilss.learn.methods.contract import Method, StepBatch, StepContext
from wilss.learn.methods.finetune import Finetune
from wilss.learn.methods.spec import FmwissSpec, WilsonSpec
from wilss.testing import MethodContract


class TestFmwiss(MethodContract):
    settings = FmwissSpec(teacher_channels=16, teacher_start="old")

    def make(self, context: StepContext) -> Method:
        return build_method("fmwiss", context)


class TestFmwissWithoutTeacher(MethodContract):
    settings = FmwissSpec(teacher=False, warmup_epochs=0)

    def make(self, context: StepContext) -> Method:
        return build_method("fmwiss", context)


class TestWilson(MethodContract):
    settings = WilsonSpec(channels=16)
    uses_labels = False

    def make(self, context: StepContext) -> Method:
        return build_method("wilson", context)


class TestFinetune(MethodContract):
    def make(self, context: StepContext) -> Method:
        return build_method("finetune", context)


class Half(Finetune):
    def losses(self, batch: StepBatch, epoch: int) -> dict[str, Tensor]:
        return {name: term.half() for name, term in super().losses(batch, epoch).items()}


class LearnsNothing(Finetune):
    def losses(self, batch: StepBatch, epoch: int) -> dict[str, Tensor]:
        return {"student": self.context.student(batch.images)[:, :1].float().sigmoid().mean()}


class MovesTheOldModel(Finetune):
    def losses(self, batch: StepBatch, epoch: int) -> dict[str, Tensor]:
        with torch.no_grad():
            self.context.old.train()(batch.images)
        return super().losses(batch, epoch)


class Random(Finetune):
    def losses(self, batch: StepBatch, epoch: int) -> dict[str, Tensor]:
        noise = torch.rand((), generator=torch.Generator().manual_seed(torch.seed() % 1000))
        return {name: term * (1 + noise) for name, term in super().losses(batch, epoch).items()}


class DividesByObjects(Finetune):
    def losses(self, batch: StepBatch, epoch: int) -> dict[str, Tensor]:
        return {n: t / batch.require_masks().sum().float() for n, t in super().losses(batch, epoch).items()}


class NewHeads(Finetune):
    def heads(self) -> Iterable[nn.Module]:
        return (nn.Linear(1, 1),)


class Logits(Finetune):
    def final_masks(self, images: Tensor) -> Tensor | None:
        with torch.no_grad():
            return self.context.student.eval()(images)[:, self.context.n_old :]


@pytest.mark.parametrize(
    ("method", "check"),
    [
        (Half, lambda suite: suite.test_losses_are_float32_numbers_also_under_autocast(0, torch.float32)),
        (
            LearnsNothing,
            lambda suite: suite.test_the_new_classes_are_learnt_in_the_end_and_the_old_model_is_left_alone(),
        ),
        (MovesTheOldModel, lambda s: s.test_the_new_classes_are_learnt_in_the_end_and_the_old_model_is_left_alone()),
        (Random, lambda suite: suite.test_the_same_seeds_give_the_same_losses()),
        (DividesByObjects, lambda s: s.test_images_without_any_object_give_finite_losses_and_gradients(0)),
        (NewHeads, lambda suite: suite.test_it_says_what_it_pastes_and_what_it_trains_beside_the_student()),
        (Logits, lambda s: s.test_its_masks_after_training_are_probabilities_of_the_new_classes_or_none()),
    ],
)
def test_the_suite_notices_a_method_that_breaks_the_contract(method: Any, check: Callable[[Any], None]) -> None:
    check(type("Kept", (MethodContract,), {"make": Finetune})())
    with pytest.raises(AssertionError):
        check(type("Broken", (MethodContract,), {"make": method})())
