"""Step 0: a student trained with pixel masks of the base classes (WILSON's base step), and the joint upper bound."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from wilss.data.augment import draw_view
from wilss.data.images import MaskedImages, same_size_batches
from wilss.data.spec import AugmentSpec
from wilss.device import to_device
from wilss.learn.loop import Training, Watch
from wilss.learn.losses import base_loss
from wilss.learn.spec import BaseTrainSpec
from wilss.learn.targets import class_shares
from wilss.measure.confusion import iou
from wilss.measure.score import BATCH, score_batches
from wilss.nets.segmenter import Segmenter
from wilss.parallel.ranks import here
from wilss.parallel.rows import Rows
from wilss.state import History


@dataclass(frozen=True)
class MaskedBatch:
    """images: float32 ``(N, 3, H, W)`` in [0, 1]. labels: uint8 ``(N, H, W)`` of output channels, 255 void."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class _FromMasks:
    """The objective of the base step."""

    model: Segmenter

    def heads(self) -> Iterable[nn.Module]:
        return ()

    def losses(self, batch: MaskedBatch, epoch: int) -> dict[str, Tensor]:
        logits = self.model.with_spare(batch.images)
        return {"loss": base_loss(logits, *class_shares(batch.labels, logits.shape[1], logits.shape[-2:]))}


def train_base(
    model: Segmenter,
    data: MaskedImages,
    spec: BaseTrainSpec,
    augment: AugmentSpec,
    seed: int,
    watch: Watch | None = None,
    held_out: MaskedImages | None = None,
) -> History:
    """Train ``model`` in place with masks; return the mean losses of every epoch.

    Args:
        held_out: images that are scored after every epoch; the model ends as it was after the best one, and the
            training does after ``spec.patience`` epochs without a better one.

    Raises TrainingError when the loss is not finite.
    """
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(seed)

    def draw(positions: list[int]) -> MaskedBatch:
        rows = Rows.of_rank(len(positions))
        own = rows.of(positions)
        canvas, sizes = data.images.batch(own)
        view = draw_view(augment, sizes, generator, rows)
        images, masks = to_device(canvas, device), to_device(data.masks(own), device)
        return MaskedBatch(view.images(images), view.labels(masks))

    watch, reading = watch or Watch("base"), data.reading()
    training = Training(model, _FromMasks(model), draw, data.images.ids, spec, (generator,), watch, reading)
    if held_out is not None:
        training.score, training.patience = partial(held_out_iou, model, held_out), spec.patience
    return training.run()


def held_out_iou(model: Segmenter, data: MaskedImages) -> float:
    """Mean IoU in [0, 1] over the classes that the images show, background included; every process scores its part."""
    batches = same_size_batches(data.images, range(len(data)), BATCH)
    matrix = score_batches(model, data, batches[here().rank :: here().count])
    return float(iou(here().summed(matrix)).nanmean().nan_to_num())  # nan where all is void


def joint_epochs(images: list[int], epochs: list[int], n_train: int) -> int:
    """Epochs of the joint upper bound over all ``n_train`` images that show it as many images as all steps together.

    Args:
        images, epochs: of every step of the incremental run.
    """
    shown = sum(n * e for n, e in zip(images, epochs, strict=True))
    return max(1, round(shown / max(1, n_train)))
