"""FMWISS (Yu et al., CVPR 2023), written from its equations as far as they are known; see docs/fidelity.md."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from wilss.learn.arbitration import affine_regions, arbitrate, superpixels, without_conflicts
from wilss.learn.losses import (
    dense_contrastive_loss,
    distillation_loss,
    encoder_loss,
    new_class_loss,
    soft_hard_mix,
    student_loss,
    student_target,
)
from wilss.learn.methods.contract import StepBatch, StepContext
from wilss.learn.methods.spec import FmwissSpec
from wilss.learn.targets import class_shares, layer_shares, sure_cells
from wilss.learn.teacher import Teacher


class Fmwiss:
    """Teacher on the student's features, student on the teacher's cleaned labels, old model as distillation source."""

    def __init__(self, context: StepContext) -> None:
        self.context = context
        self.spec = spec = cast(FmwissSpec, context.settings)
        spec.require("fmwiss")
        student = context.student
        self.teacher = Teacher(
            student.in_channels,
            context.n_old + context.n_new,
            self.spec.teacher_channels,
            student.spec.aspp_rates,
            student.spec.prior,
        ).to(context.device)
        if self.spec.teacher and self.spec.teacher_start == "old":
            self.teacher.start_from(context.old)
        self.average: AveragedModel | None = None
        if spec.teacher_average:
            kept = get_ema_multi_avg_fn(spec.teacher_average)
            self.average = AveragedModel(self.teacher, multi_avg_fn=kept, use_buffers=True).requires_grad_(False)
        self.paste = spec.paste.of_step(context.step) if spec.paste.probability > 0 else None
        if spec.old_rows == "frozen":
            student.classifiers[:-1].requires_grad_(False)

    def heads(self) -> Iterable[nn.Module]:
        """The plug-in teacher, and its average where there is one, which learns from no gradient."""
        if not self.spec.teacher:
            return ()
        return (self.teacher,) if self.average is None else (self.teacher, self.average)

    def losses(self, batch: StepBatch, epoch: int) -> dict[str, Tensor]:
        """L_T = L_new + L_old + lambda L_DCL (+ L_ENC), and L_S once the warm-up is over."""
        student = self.context.student
        old_features, old = self.context.look_back(batch.images)
        features = self.context.features(batch.images, old_features)
        size = features.shape[-2:]
        masks = without_conflicts(layer_shares(batch.require_masks(), size), old, self.spec.most_contradiction)
        of_new, of_old = self._owners(masks, old, batch.images, old_features, epoch)
        if self.spec.arbitrate_labels:
            masks = masks * of_new
        known = self._overrule_pasted(old, batch.pasted)
        terms: dict[str, Tensor] = {}
        logits: Tensor | None = None
        if self.spec.encoder_weight:
            terms["encoder"] = self.spec.encoder_weight * encoder_loss(features, old_features)
        if self.spec.teacher:
            logits, embedding = self.teacher(features if self.spec.teacher_to_backbone else features.detach())
            terms |= self._teacher_terms(logits, embedding, known, masks)
            if self.average is not None:
                self.average.update_parameters(self.teacher)
        if epoch >= self.spec.warmup_epochs:
            mix = _owned(self._mix(features, logits, masks, batch.tags), self.context.n_old, of_new)
            known = self._overrule_pasted(_owned(old, 1, of_old), batch.pasted)  # an instance has no other owner
            target = student_target(self._erase_new(mix, batch.pasted), known, self._background_of())
            terms["student"] = student_loss(student.classify(features), target)
        return terms

    def _teacher_terms(self, logits: Tensor, embedding: Tensor, known: Tensor, masks: Tensor) -> dict[str, Tensor]:
        """L_new, L_old and lambda L_DCL."""
        n_old = self.context.n_old
        terms = {
            "new": new_class_loss(logits[:, n_old:], masks, sure_cells(masks, self.spec.teacher_sure)),
            "old": distillation_loss(logits[:, :n_old], self._teacher_target(known, masks)),
        }
        if self.spec.contrastive_weight:
            points, temperature = self.spec.contrastive_points, self.spec.contrastive_temperature
            dcl = dense_contrastive_loss(embedding, masks, points, temperature, self.context.generator)
            terms["contrastive"] = self.spec.contrastive_weight * dcl
        return terms

    def _mix(self, features: Tensor, logits: Tensor | None, masks: Tensor, tags: Tensor) -> Tensor:
        """q: what the teacher's logits say, or the refined masks themselves where there is no teacher."""
        if logits is not None:
            return soft_hard_mix(self._labelling(features, logits), self.spec.alpha, self._allowed(tags))
        nothing = masks.new_zeros(len(masks), self.context.n_old - 1, *masks.shape[-2:])
        return torch.cat([1 - masks.amax(1, keepdim=True), nothing, masks], 1)

    @torch.inference_mode()
    def final_masks(self, images: Tensor) -> Tensor | None:
        """The trained teacher's probability of every new class, float32 ``(N, C, h, w)``."""
        if not self.spec.teacher:
            return None
        teacher = self.average or self.teacher
        logits, _ = teacher.eval()(self.context.student.eval().features(images))
        return logits[:, self.context.n_old :].float().sigmoid()

    def _labelling(self, features: Tensor, logits: Tensor) -> Tensor:
        """Logits that the student learns from: the teacher's own, or those of its average over the iterations."""
        if self.average is None:
            return logits
        with torch.no_grad():
            return cast(Tensor, self.average.eval()(features.detach())[0])

    def _background_of(self) -> Literal["both", "old"]:
        """Whose background the student learns in this step."""
        if self.spec.student_background != "later":
            return self.spec.student_background
        return "both" if self.context.step == 1 else "old"

    def _allowed(self, tags: Tensor) -> Tensor:
        """Outputs that may carry probability in q: background, old classes if wanted, new classes as tagged."""
        if self.spec.compete == "all":
            tags = torch.ones_like(tags)
        old = torch.full((len(tags), self.context.n_old), self.spec.old_in_mix, device=tags.device)
        old[:, 0] = True
        return torch.cat([old, tags], 1)

    def _teacher_target(self, known: Tensor, masks: Tensor) -> Tensor:
        """Target of the teacher's background and old outputs.

        The old model calls the new classes background. Distilled as it is, that can win the argmax of q inside a
        new object (measured once, see docs/fidelity.md).
        """
        if self.spec.teacher_background == "distilled":
            return known
        return torch.cat([known[:, :1] * (1 - masks.amax(1, keepdim=True)), known[:, 1:]], 1)

    def _overrule_pasted(self, old: Tensor, pasted: Tensor) -> Tensor:
        """Old model's probabilities, replaced by the hard class of the instance in pasted pixels."""
        shares, _ = class_shares(pasted, self.context.n_old, old.shape[-2:])
        free = shares[:, :1]  # channel 0 of ``pasted`` means untouched
        hard = torch.cat([torch.zeros_like(free), shares[:, 1:]], 1)
        return old * free + hard

    def _owners(
        self, masks: Tensor, old: Tensor, images: Tensor, old_features: Tensor, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """Factors ``(N, 1, h, w)`` of new and of old classes: one where all share a place, else who owns it."""
        asked = self.spec.arbitrate_labels or epoch >= self.spec.warmup_epochs  # a warm-up has no target of the student
        if self.spec.arbitration == "none" or not asked:
            everywhere = torch.ones_like(masks[:, :1])
            return everywhere, everywhere
        return arbitrate(masks, old, self._regions(images, old_features), self.spec.region_share)

    def _regions(self, images: Tensor, old_features: Tensor) -> Tensor:
        """Parts of the images that have one owner each."""
        if self.spec.arbitration == "superpixels":
            height, width = old_features.shape[-2:]
            return superpixels(images, (height, width), self.spec.superpixels)
        cells = self.spec.arbitration == "cells"
        return affine_regions(old_features, 2.0 if cells else self.spec.region_cosine)  # a cosine above 1 joins none

    def _erase_new(self, mix: Tensor, pasted: Tensor) -> Tensor:
        """No new class and no background where an instance was pasted."""
        free = layer_shares((pasted == 0)[:, None], mix.shape[-2:])
        return mix * free


def _owned(probability: Tensor, first: int, factor: Tensor) -> Tensor:
    """Probabilities ``(N, K, h, w)``, the channels from ``first`` on times this factor ``(N, 1, h, w)``."""
    return torch.cat([probability[:, :first], probability[:, first:] * factor], 1)
