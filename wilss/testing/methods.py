"""Contract suite of incremental methods."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from wilss.learn.loop import Training, Watch
from wilss.learn.methods.contract import Method, StepBatch, StepContext
from wilss.learn.spec import MethodSettings, PasteSpec, TrainSpec
from wilss.nets.pretrained import find_weights
from wilss.nets.segmenter import build_segmenter
from wilss.nets.spec import StudentSpec

STUDENT = StudentSpec(backbone="resnet_scenes", weights="none", output_stride=8, aspp_channels=16, aspp_rates=(1, 2))
OLD, SIDE, LATE = 3, 32, 1000
"""Old classes; pixels of the square images; an epoch after any warm-up."""


class MethodContract(ABC):
    """What every `wilss.learn.methods.contract.Method` promises.

    settings: the method's own; its warm-up must end before the thousandth epoch. uses_labels: as it is registered.
    """

    settings: MethodSettings = MethodSettings()
    uses_labels = True

    @abstractmethod
    def make(self, context: StepContext) -> Method:
        """The method for a step; what is given to `wilss.register_method` does."""

    def context(self, n_new: int = 2) -> StepContext:
        """A step after one with three classes."""
        torch.manual_seed(0)
        old = build_segmenter(STUDENT, find_weights("resnet_scenes", "none", None), (OLD,)).eval()
        student = copy.deepcopy(old).requires_grad_(True)
        student.grow(n_new)
        return StepContext(student, old, 1 + OLD, n_new, self.settings, torch.Generator().manual_seed(0))

    def batch(self, n_new: int = 2, seed: int = 1) -> StepBatch:
        """Three images with an object of the last class each; an old one is pasted into the first."""
        images = torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
        masks = torch.zeros(3, n_new, SIDE, SIDE, dtype=torch.uint8)
        masks[:, -1, 4:20, 4:20] = 1
        pasted = torch.zeros(3, SIDE, SIDE, dtype=torch.int64)
        pasted[0, 16:, 16:] = OLD
        masks[0, :, 16:, 16:] = 0
        return StepBatch(images, masks if self.uses_labels else None, masks.amax((2, 3)).bool(), pasted)

    def ready(self, n_new: int = 2) -> tuple[StepContext, Method]:
        """A step and the method that learns it."""
        context = self.context(n_new)
        context.student.train()
        return context, self.make(context)

    def test_it_says_what_it_pastes_and_what_it_trains_beside_the_student(self) -> None:
        context, method = self.ready()
        assert method.paste is None or isinstance(method.paste, PasteSpec)
        heads = list(method.heads())
        assert all(isinstance(module, nn.Module) for module in heads)
        assert [id(module) for module in method.heads()] == [id(module) for module in heads], "the same at every call"
        known = {id(p) for model in (context.student, context.old) for p in model.parameters()}
        assert not known & {id(p) for module in heads for p in module.parameters()}

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    @pytest.mark.parametrize("epoch", [0, LATE])
    def test_losses_are_float32_numbers_also_under_autocast(self, epoch: int, dtype: torch.dtype) -> None:
        _, method = self.ready()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            terms = method.losses(self.batch(), epoch)
        assert terms
        assert all(isinstance(name, str) for name in terms)
        for name, term in terms.items():
            assert (term.dtype, term.ndim) == (torch.float32, 0), name
            assert bool(term.isfinite()), name

    def test_the_new_classes_are_learnt_in_the_end_and_the_old_model_is_left_alone(self) -> None:
        context, method = self.ready()
        before = _copied(context.old)
        total(method.losses(self.batch(), LATE)).backward()
        gradient = context.student.classifiers[-1].weight.grad
        assert isinstance(gradient, Tensor)
        assert float(gradient.abs().sum()) > 0
        assert all(p.grad is None for p in context.old.parameters())
        assert all(torch.equal(value, before[name]) for name, value in context.old.state_dict().items())

    def test_the_same_seeds_give_the_same_losses(self) -> None:
        first, second = (
            {name: term.item() for name, term in self.ready()[1].losses(self.batch(), LATE).items()} for _ in range(2)
        )
        assert first == second

    @pytest.mark.parametrize("pasted", [0, OLD])
    def test_images_without_any_object_give_finite_losses_and_gradients(self, pasted: int) -> None:
        context, method = self.ready()
        batch = self.batch()
        masks = None if batch.masks is None else torch.zeros_like(batch.masks)
        empty = replace(
            batch, masks=masks, tags=torch.zeros_like(batch.tags), pasted=torch.full_like(batch.pasted, pasted)
        )
        loss = total(method.losses(empty, LATE))
        assert bool(loss.isfinite())
        loss.backward()
        assert all(bool(p.grad.isfinite().all()) for p in context.student.parameters() if p.grad is not None)

    @pytest.mark.parametrize("n_new", [1, 3])
    def test_it_goes_through_a_training(self, n_new: int) -> None:
        context, method = self.ready(n_new)
        spec, draws = TrainSpec(epochs=2, batch_size=3), torch.Generator().manual_seed(0)
        ids = tuple("abcdef")
        history = Training(
            context.student, method, lambda rows: self.batch(n_new, sum(rows)), ids, spec, (draws,), Watch("step")
        ).run()
        assert len(history) == spec.epochs
        assert all(bool(p.isfinite().all()) for p in context.student.parameters())
        assert context.student.step_sizes == (OLD, n_new)

    def test_its_masks_after_training_are_probabilities_of_the_new_classes_or_none(self) -> None:
        _, method = self.ready()
        images = self.batch().images
        found = method.final_masks(images)
        if found is None:
            assert method.final_masks(images[:1]) is None
            return
        assert (found.dtype, found.shape[:2]) == (torch.float32, (3, 2))
        assert not found.requires_grad
        assert 0 <= float(found.min()) <= float(found.max()) <= 1
        alone = method.final_masks(images[:1])
        assert alone is not None
        torch.testing.assert_close(alone, found[:1], atol=1e-5, rtol=1e-3)


def total(terms: dict[str, Tensor]) -> Tensor:
    """What is minimised."""
    return torch.stack(list(terms.values())).sum()


def _copied(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}
