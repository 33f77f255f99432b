"""Step 0: a student trained with pixel masks of the base classes (WILSON's base step)."""

from __future__ import annotations

import torch

from wilss.data.augment import AugmentSpec, draw_view, normalise
from wilss.data.images import MaskedImages
from wilss.learn.losses import base_loss
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
from wilss.learn.targets import class_shares
from wilss.nets.pretrained import Weights
from wilss.nets.segmenter import Segmenter
from wilss.precision import autocast


def train_base(
    model: Segmenter,
    data: MaskedImages,
    spec: TrainSpec,
    augment: AugmentSpec,
    weights: Weights,
    seed: int,
    progress: Progress | None = None,
    stage: str = "base",
) -> list[dict[str, float]]:
    """Train ``model`` in place with masks; return the mean losses of every epoch.

    Raises TrainingError when the loss is not finite.
    """
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    heads = [p for name, p in model.named_parameters() if not name.startswith("backbone.")]
    rule = optimiser(spec, model.backbone.parameters(), heads)
    per_epoch = batches_per_epoch(len(data), spec.batch_size)
    total, constant = spec.epochs * per_epoch, spec.constant_epochs * per_epoch
    schedule = torch.optim.lr_scheduler.LambdaLR(rule, lambda k: poly_factor(k, total, constant, spec.poly_power))
    n_outputs = 1 + sum(model.step_sizes)
    history = []
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for epoch in range(spec.epochs):
        model.train()
        if spec.freeze_batchnorm:
            freeze_batchnorm(model.backbone)
        sums = torch.zeros(())
        for number, positions in enumerate(epoch_batches(len(data), spec.batch_size, generator)):
            canvas, sizes = data.images.batch(positions)
            view = draw_view(augment, sizes, data.images.canvas, generator)
            images = normalise(view.images(canvas), weights.mean, weights.std).to(device)
            labels = view.labels(data.masks(positions)).to(device)
            with autocast(spec.precision, device):
                logits = model(images)
            loss = base_loss(logits, *class_shares(labels, n_outputs, logits.shape[-2:]))
            rule.zero_grad(set_to_none=True)
            loss.backward()
            rule.step()
            schedule.step()
            sums += loss.detach().cpu()
            if progress:
                progress(stage, epoch * per_epoch + number + 1, total, float(sums) / (number + 1))
        mean = require_finite(sums / per_epoch, stage, epoch, [data.images.ids[p] for p in positions])
        history.append({"loss": mean})
    model.eval()
    return history
