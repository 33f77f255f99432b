"""Self-distillation without labels for ``dino:scenes``.

DINO's loss on the class token (Caron et al. 2021) plus iBOT's on masked patch tokens (Zhou et al. 2022), one shared
projection head, momentum teacher, centred and sharpened targets.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Self

import wilss._torchvision  # noqa: F401

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from wilss.foundation.pretrain.loop import Progress, State, cosine, require_finite, run_digest, set_rate
from wilss.foundation.pretrain.pairs import batch_index, step_generator
from wilss.foundation.pretrain.views import random_view
from wilss.precision import autocast
from wilss.section import Section, Seed


class DinoTraining(Section):
    """Settings of the self-distillation run. The defaults made the weights that ship."""

    steps: int = Field(1800, ge=1)
    batch_size: int = Field(48, ge=2)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    prototypes: int = Field(512, ge=2)
    n_local: int = Field(2, ge=0, description="local views of half the size")
    mask_ratio: float = Field(0.35, gt=0, lt=1, description="share of patches hidden from the student")
    momentum: float = Field(0.99, ge=0, lt=1, description="start value; rises to 1 along a cosine")
    student_temperature: float = Field(0.1, gt=0)
    teacher_temperature: float = Field(0.05, gt=0)
    patch_weight: float = Field(1.0, ge=0, description="weight of the masked-patch loss")
    image_size: int = Field(96, ge=32)
    n_images: int = Field(24576, ge=1, description="images of the pretraining world; captions are not looked at")
    save_every: int = Field(100, ge=1, description="steps between two states that a killed run goes on from")
    seed: Seed = 0

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.batch_size > self.n_images:
            raise ValueError(f"batch_size {self.batch_size} is larger than n_images {self.n_images}")
        if self.image_size % 16:
            raise ValueError(
                f"image_size {self.image_size} must be a multiple of 16: two patches, local views are half"
            )
        return self


class Projector(nn.Module):
    """MLP to a small normalised space and weight-normalised prototypes, shared by class and patch tokens."""

    def __init__(self, width: int, prototypes: int, hidden: int = 256, bottleneck: int = 64) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, bottleneck))
        self.prototypes = nn.Linear(bottleneck, prototypes, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """``(..., width)`` -> cosine similarities ``(..., prototypes)``."""
        embedded = F.normalize(self.mlp(tokens), dim=-1)
        return F.linear(embedded, F.normalize(self.prototypes.weight, dim=-1))


class MaskedViT(nn.Module):
    """A timm ViT with a learnt mask token and the projector."""

    def __init__(self, vit: VisionTransformer, prototypes: int) -> None:
        super().__init__()
        self.vit = vit
        self.mask_token = nn.Parameter(torch.zeros(vit.embed_dim))
        self.projector = Projector(vit.embed_dim, prototypes)

    def forward(self, images: Tensor, hidden_NT: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Prototype scores of the class token ``(N, P)`` and of the patches ``(N, T, P)``."""
        patches = self.vit.patch_embed(images)
        if hidden_NT is not None:
            shape = patches.shape
            flat = torch.where(hidden_NT[..., None], self.mask_token.to(patches.dtype), patches.flatten(1, -2))
            patches = flat.view(shape)
        tokens = self.vit.norm(self.vit.blocks(self.vit._pos_embed(patches)))
        scores = self.projector(tokens)
        return scores[:, 0], scores[:, self.vit.num_prefix_tokens :]


def train_dino(
    vit: VisionTransformer,
    images: Tensor,
    spec: DinoTraining,
    state_file: Path | None = None,
    progress: Progress | None = None,
    device: str = "cpu",
) -> None:
    """Train ``vit`` in place on uint8 images ``(N, 3, H, W)``; the momentum teacher's weights are what it ends with.

    Args:
        state_file: where the state is kept; a run that finds one goes on from it.
        progress: called with (steps done, all steps, loss).
    """
    torch.manual_seed(spec.seed)
    place = torch.device(device)
    student = MaskedViT(vit, spec.prototypes).to(place).train()
    _fuse_attention(vit, place.type != "cpu")  # its backward pass is slow on CPUs: half of a step
    teacher = copy.deepcopy(student).requires_grad_(False).eval()
    optimiser = torch.optim.AdamW(student.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay)
    centre = torch.zeros(2, spec.prototypes, device=place)
    parts = {"student": student, "teacher": teacher, "optimiser": optimiser, "centre": centre}
    state = State(state_file, run_digest(spec), parts)
    for step in range(state.load(), spec.steps):
        index = batch_index(len(images), spec.batch_size, step, spec.seed)
        loss = _loss(student, teacher, images[index], centre, spec, step_generator(spec.seed, step))
        set_rate(optimiser, spec.learning_rate * cosine(step, spec.steps, spec.steps // 20 + 1))
        value = require_finite(loss, step)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 3.0)
        optimiser.step()
        momentum = 1 - (1 - spec.momentum) * cosine(step, spec.steps, 0)
        for slow, fast in zip(teacher.parameters(), student.parameters(), strict=True):
            slow.lerp_(fast.detach(), 1 - momentum)
        if (step + 1) % spec.save_every == 0:
            state.save(step + 1)
        if progress:
            progress(step + 1, spec.steps, value)
    vit.load_state_dict(teacher.vit.state_dict())
    _fuse_attention(vit, True)
    vit.eval()


def _fuse_attention(vit: VisionTransformer, fused: bool) -> None:
    for block in vit.blocks:
        block.attn.fused_attn = fused


def _loss(
    student: MaskedViT,
    teacher: MaskedViT,
    images: Tensor,
    centre: Tensor,
    spec: DinoTraining,
    generator: torch.Generator,
) -> Tensor:
    n, size = len(images), spec.image_size
    place = centre.device
    views = torch.cat([random_view(images, size, (0.4, 1.0), generator) for _ in range(2)]).to(place)
    local = [random_view(images, size // 2, (0.1, 0.4), generator).to(place) for _ in range(spec.n_local)]
    n_tokens = (size // student.vit.patch_embed.patch_size[0]) ** 2
    hidden = (torch.rand(2 * n, n_tokens, generator=generator) < spec.mask_ratio).to(place)
    with autocast("auto", place):
        with torch.no_grad():
            target_class, target_patch = teacher(views)
        scores_class, scores_patch = student(views, hidden)
        scores_local = [student(view)[0] for view in local]
    target = _sharpen(target_class.float(), centre[0], spec)
    first, second = target.chunk(2)
    crosswise = torch.cat([second, first])
    terms = [_cross_entropy(scores_class, crosswise, spec)]
    terms += [_cross_entropy(scores, half, spec) for scores in scores_local for half in (first, second)]
    patch_target = _sharpen(target_patch[hidden].float(), centre[1], spec)
    patch = _cross_entropy(scores_patch[hidden], patch_target, spec)
    return torch.stack(terms).mean() + spec.patch_weight * patch


def _sharpen(scores: Tensor, centre: Tensor, spec: DinoTraining) -> Tensor:
    """Softmax of the centred scores; the running centre is updated in place."""
    target = ((scores - centre) / spec.teacher_temperature).softmax(-1)
    centre.lerp_(scores.flatten(0, -2).mean(0), 0.1)
    return target


def _cross_entropy(scores: Tensor, target: Tensor, spec: DinoTraining) -> Tensor:
    return -(target * (scores.float() / spec.student_temperature).log_softmax(-1)).sum(-1).mean()
