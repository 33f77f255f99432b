"""WILSON (Cermelli et al., CVPR 2022): a localizer trained from image-level labels supervises the student."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wilss.foundation.refine import pamr
from wilss.learn.localizer import Localizer
from wilss.learn.losses import distillation_loss, encoder_loss, student_loss, student_target
from wilss.learn.methods.contract import StepBatch, StepContext
from wilss.learn.methods.spec import WilsonSpec
from wilss.learn.spec import PasteSpec
from wilss.learn.weak_losses import (
    allowed_outputs,
    classification_loss,
    confident_masks,
    localizer_mix,
    pooled_scores,
    self_supervision_loss,
)


class Wilson:
    """No label set, no memory: image-level labels, the old model, and the localizer's own masks."""

    paste: PasteSpec | None = None

    def __init__(self, context: StepContext) -> None:
        self.context = context
        self.spec = cast(WilsonSpec, context.settings)
        n_outputs = context.n_old + context.n_new
        self.localizer = Localizer(context.student.in_channels, n_outputs, self.spec.channels).to(context.device)

    def heads(self) -> Iterable[nn.Module]:
        """The localizer."""
        return (self.localizer,)

    def losses(self, batch: StepBatch, epoch: int) -> dict[str, Tensor]:
        """L_CLS + L_LOC + L_ENC, and L_SSS + L_SEG once the warm-up is over."""
        student, n_old = self.context.student, self.context.n_old
        old_features, old = self.context.look_back(batch.images)
        features = self.context.features(batch.images, old_features)
        # before the localizer's own pass, which moves the statistics that evaluation mode takes
        masks = self._masks(features) if epoch >= self.spec.warmup_epochs else None
        logits = self.localizer(features)
        scores = pooled_scores(logits, self.spec.pool_epsilon, self.spec.focal_power, self.spec.focal_floor)
        terms = {
            "classification": classification_loss(scores, batch.tags),
            "localizer": distillation_loss(logits[:, :n_old], old),
        }
        if self.spec.encoder_weight:
            terms["encoder"] = self.spec.encoder_weight * encoder_loss(features, old_features)
        if masks is not None:
            allowed = allowed_outputs(batch.tags, n_old)
            terms["self"] = self_supervision_loss(logits, self._confident(batch.images, masks, allowed), allowed)
            mix = localizer_mix(masks, allowed, self.spec.alpha, self.spec.soft_untagged)
            terms["student"] = student_loss(student.classify(features), student_target(mix, old))
        return terms

    @torch.inference_mode()
    def final_masks(self, images: Tensor) -> Tensor | None:
        """The trained localizer's softmax of every new class, float32 ``(N, C, h, w)``."""
        logits = self.localizer.eval()(self.context.student.eval().features(images))
        return logits.float().softmax(1)[:, self.context.n_old :]

    @torch.no_grad()
    def _masks(self, features: Tensor) -> Tensor:
        """Softmax of the localizer in evaluation mode, float32 ``(N, K, h, w)``."""
        self.localizer.eval()
        masks: Tensor = self.localizer(features.detach()).float().softmax(1)
        self.localizer.train()
        return masks

    @torch.no_grad()
    def _confident(self, images: Tensor, masks: Tensor, allowed: Tensor) -> Tensor:
        normalised = self.context.student.normalise(images).float()
        small = F.interpolate(normalised, masks.shape[-2:], mode="bilinear", align_corners=True)
        refined = pamr(small, masks, self.spec.pamr_iterations, self.spec.pamr_dilations)
        return confident_masks(refined, allowed, self.spec.cutoff, self.spec.background_cutoff)
