"""Plain fine-tuning on the label set: no old model, no teacher, no memory. The lower bound."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from wilss.learn.losses import base_loss
from wilss.learn.methods.contract import StepBatch, StepContext
from wilss.learn.spec import PasteSpec
from wilss.learn.targets import layer_shares


class Finetune:
    """The refined masks are taken as the whole truth: what no mask covers is background."""

    paste: PasteSpec | None = None

    def __init__(self, context: StepContext) -> None:
        self.context = context

    def heads(self) -> Iterable[nn.Module]:
        """No plug-in."""
        return ()

    def losses(self, batch: StepBatch, epoch: int) -> dict[str, Tensor]:
        """BCE of all outputs; old classes have an all-zero target."""
        logits = self.context.student(batch.images)
        masks = layer_shares(batch.require_masks(), logits.shape[-2:])
        background = 1 - masks.amax(1, keepdim=True)
        old = torch.zeros_like(logits[:, 1 : self.context.n_old], dtype=torch.float32)
        return {"student": base_loss(logits, torch.cat([background, old, masks], 1))}

    def final_masks(self, images: Tensor) -> Tensor | None:
        """Fine-tuning makes no masks of its own."""
        return None
