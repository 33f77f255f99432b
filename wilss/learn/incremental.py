"""Step t >= 1: one loop for all methods."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from wilss.data.augment import AugmentSpec, draw_view, normalise
from wilss.data.images import TaggedImages
from wilss.errors import SpecError
from wilss.learn.copypaste import Pasted, paste
from wilss.learn.memory import MemoryBank
from wilss.learn.methods import FmwissSpec, Method, StepContext, build_method
from wilss.learn.methods.contract import StepBatch
from wilss.learn.schedule import (
    Progress,
    TrainSpec,
    batches_per_epoch,
    epoch_batches,
    freeze_batchnorm,
    optimiser,
    poly_factor,
    require_finite,
)
from wilss.nets.pretrained import Weights
from wilss.nets.segmenter import Segmenter
from wilss.precision import autocast


class MaskLayers(Protocol):
    """Pseudo-masks by position; implemented by a label set."""

    def layers(self, positions: Sequence[int]) -> Tensor:
        """uint8 ``(N, C, canvas, canvas)``, 1 inside a class's refined mask."""
        ...


@dataclass(frozen=True)
class StepResult:
    """The trained student, the method (with its teacher) and the mean loss terms of every epoch."""

    student: Segmenter
    method: Method
    history: list[dict[str, float]]


def train_step(
    old: Segmenter,
    data: TaggedImages,
    labels: MaskLayers,
    bank: MemoryBank | None,
    method_name: str,
    fmwiss: FmwissSpec,
    spec: TrainSpec,
    augment: AugmentSpec,
    weights: Weights,
    seed: int,
    progress: Progress | None = None,
    stage: str = "step",
) -> StepResult:
    """Grow a copy of ``old`` by the step's classes and train it; ``old`` stays frozen and unchanged.

    Raises SpecError when the method pastes and there is no bank, TrainingError when a loss is not finite.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    old = old.eval().requires_grad_(False)
    student = copy.deepcopy(old).requires_grad_(True)
    student.grow(data.tags.shape[1])
    n_old = 1 + sum(old.step_sizes)
    device = next(student.parameters()).device
    method = build_method(
        method_name,
        StepContext(student, old, n_old, data.tags.shape[1], fmwiss, torch.Generator().manual_seed(seed + 1)),
    )
    if method.pastes and bank is None:
        raise SpecError(f"method '{method_name}' pastes old instances but there is no memory bank; build one first")
    loop = _Loop(student, method, spec, batches_per_epoch(len(data), spec.batch_size))
    batches = _Batches(data, labels, bank if method.pastes else None, fmwiss, augment, weights, generator)
    history = []
    for epoch in range(spec.epochs):
        loop.train_mode()
        sums: dict[str, Tensor] = {}
        for number, positions in enumerate(epoch_batches(len(data), spec.batch_size, generator)):
            batch = batches.draw(positions, device)
            with autocast(spec.precision, device):
                terms = method.losses(batch, epoch)
            loop.update(torch.stack(list(terms.values())).sum())
            for name, value in terms.items():
                sums[name] = sums.get(name, torch.zeros(())) + value.detach().cpu()
            if progress:
                done = epoch * loop.per_epoch + number + 1
                progress(stage, done, loop.total, float(sum(sums.values())) / (number + 1))
        ids = [data.images.ids[p] for p in positions]
        means = {k: require_finite(v / loop.per_epoch, f"{stage} ({k})", epoch, ids) for k, v in sums.items()}
        history.append(means)
    student.eval()
    return StepResult(student, method, history)


class _Loop:
    """Optimiser and schedule of one step."""

    def __init__(self, student: Segmenter, method: Method, spec: TrainSpec, per_epoch: int) -> None:
        self.student, self.method, self.spec, self.per_epoch = student, method, spec, per_epoch
        self.total = spec.epochs * per_epoch
        heads = [p for name, p in student.named_parameters() if not name.startswith("backbone.")]
        heads += [p for module in method.heads() for p in module.parameters()]
        self.rule = optimiser(spec, student.backbone.parameters(), heads)
        constant = spec.constant_epochs * per_epoch
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.rule, lambda k: poly_factor(k, self.total, constant, spec.poly_power)
        )

    def train_mode(self) -> None:
        """Training mode for everything that learns."""
        self.student.train()
        for module in self.method.heads():
            module.train()
        if self.spec.freeze_batchnorm:
            freeze_batchnorm(self.student.backbone)

    def update(self, loss: Tensor) -> None:
        """One optimiser step."""
        self.rule.zero_grad(set_to_none=True)
        loss.backward()
        self.rule.step()
        self.schedule.step()


@dataclass(frozen=True)
class _Batches:
    """Draws augmented batches with pasted instances."""

    data: TaggedImages
    labels: MaskLayers
    bank: MemoryBank | None
    fmwiss: FmwissSpec
    augment: AugmentSpec
    weights: Weights
    generator: torch.Generator

    def draw(self, positions: list[int], device: torch.device) -> StepBatch:
        """Crop images and masks with the same view, paste, normalise."""
        canvas, sizes = self.data.images.batch(positions)
        view = draw_view(self.augment, sizes, self.data.images.canvas, self.generator)
        images, masks = view.images(canvas), view.layers(self.labels.layers(positions))
        if self.bank is None:
            pasted = Pasted(images, torch.zeros(len(images), *images.shape[-2:], dtype=torch.int64), masks)
        else:
            pasted = paste(images, masks, self.bank, self.fmwiss.paste, self.generator)
        normalised = normalise(pasted.images, self.weights.mean, self.weights.std)
        return StepBatch(
            normalised.to(device),
            pasted.layers.to(device),
            self.data.tags[positions].to(device),
            pasted.channels.to(device),
        )
