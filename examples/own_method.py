"""A method of one's own: learn the masks, and keep to what the old model says of the old classes.

    wilss compare scenes-15-5 --methods finetune keep-old fmwiss --import examples/own_method.py

The bytes of this file are in the digest of what it makes: change it, and its students are trained anew.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import wilss
from wilss.learn.methods.contract import StepBatch, StepContext
from wilss.learn.spec import MethodSettings


class KeepOldSettings(MethodSettings):
    """Given as ``--set keep-old.weight=2``; every setting has a default."""

    weight: float = 1.0


class KeepOld:
    """Fine-tuning with distillation, as in Learning without Forgetting (Li and Hoiem, 2016)."""

    paste = None  # nothing is pasted into the images, so no memory bank is needed

    def __init__(self, context: StepContext) -> None:
        self.context = context
        assert isinstance(context.settings, KeepOldSettings)
        self.weight = context.settings.weight

    def heads(self) -> tuple[nn.Module, ...]:
        """Modules that are trained beside the student: none."""
        return ()

    def losses(self, batch: StepBatch, epoch: int) -> dict[str, Tensor]:
        """Terms whose sum is minimised; here of sigmoid outputs: background, old classes, new classes."""
        n_old = self.context.n_old
        logits = self.context.student(batch.images).float()  # (N, n_old + n_new, h, w)
        _, old = self.context.look_back(batch.images)  # the old model's probabilities, (N, n_old, h, w)
        masks = F.interpolate(batch.require_masks().float(), logits.shape[-2:], mode="area")
        background = old[:, :1] * (1 - masks.amax(1, keepdim=True))  # the old model takes new objects for it
        kept = torch.cat([background, old[:, 1:]], 1)
        return {
            "new": F.binary_cross_entropy_with_logits(logits[:, n_old:], masks),
            "old": self.weight * F.binary_cross_entropy_with_logits(logits[:, :n_old], kept),
        }

    def final_masks(self, images: Tensor) -> Tensor | None:
        """Masks that it would correct the label set with: none."""
        return None


wilss.register_method("keep-old", KeepOld, KeepOldSettings)
