"""Self-distillation without labels for ``dino:scenes``.

DINO's loss on the class token (Caron et al. 2021) plus iBOT's on masked patch tokens (Zhou et al. 2022), one shared
projection head, momentum teacher, centred and sharpened targets.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import wilss._torchvision  # noqa: F401

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from wilss.foundation.pretrain.loop import Progress, State, Steps, cosine, learn_steps, run_digest
from wilss.foundation.pretrain.pairs import batch_index, step_generator
from wilss.foundation.pretrain.views import random_view
from wilss.parallel.ranks import here
from wilss.parallel.rows import Rows
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


@dataclass(frozen=True)
class Views:
    """What is drawn of the n images of a step.

    large: first and second views of all, float32 ``(2n, 3, S, S)``. local: of half the side, ``(n, 3, S/2, S/2)`` each.
    hidden: which patches of the large ones the student does not see, bool ``(2n, T)``.
    """

    large: Tensor
    local: tuple[Tensor, ...]
    hidden: Tensor


class DinoObjective:
    """DINO's loss of class tokens across views, and iBOT's of hidden patches, against a teacher that follows.

    Where several processes share a batch, the centre is that of all its tokens.
    """

    def __init__(self, student: MaskedViT, spec: DinoTraining, place: torch.device) -> None:
        self.teacher = copy.deepcopy(student).requires_grad_(False).eval()
        self.centre = torch.zeros(2, spec.prototypes, device=place)
        self._student, self._spec, self._place = student, spec, place

    def heads(self) -> tuple[nn.Module, ...]:
        """See `wilss.parallel.objective.Objective`."""
        return ()

    def losses(self, batch: Views, epoch: int) -> dict[str, Tensor]:
        """See `wilss.parallel.objective.Objective`; ``epoch`` is the step."""
        views, hidden = batch.large.to(self._place), batch.hidden.to(self._place)
        with autocast("auto", self._place):
            with torch.no_grad():
                target_class, target_patch = self.teacher(views)
            scores_class, scores_patch = self._student(views, hidden)
            scores_local = [self._student(view.to(self._place))[0] for view in batch.local]
        first, second = self._sharpen(target_class.float(), self.centre[0]).chunk(2)
        terms = [self._cross_entropy(scores_class, torch.cat([second, first])).mean()]
        terms += [self._cross_entropy(scores, half).mean() for scores in scores_local for half in (first, second)]
        patch_target = self._sharpen(target_patch[hidden].float(), self.centre[1])
        patch = self._cross_entropy(scores_patch[hidden], patch_target).sum() / here().evened(hidden.sum(), 1)
        return {"class": torch.stack(terms).mean(), "patch": self._spec.patch_weight * patch}

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Move the teacher towards the student."""
        momentum = 1 - (1 - self._spec.momentum) * cosine(step, self._spec.steps, 0)
        for slow, fast in zip(self.teacher.parameters(), self._student.parameters(), strict=True):
            slow.lerp_(fast.detach(), 1 - momentum)

    def _sharpen(self, scores: Tensor, centre: Tensor) -> Tensor:
        """Softmax of the centred scores ``(n, prototypes)``; the running centre is updated in place."""
        target = ((scores - centre) / self._spec.teacher_temperature).softmax(-1)
        sums = here().summed(torch.cat([scores.sum(0), scores.new_full((1,), len(scores))]))
        centre.lerp_(sums[:-1] / sums[-1].clamp(min=1), 0.1)
        return target

    def _cross_entropy(self, scores: Tensor, target: Tensor) -> Tensor:
        return -(target * (scores.float() / self._spec.student_temperature).log_softmax(-1)).sum(-1)


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
    objective = DinoObjective(student, spec, place)
    optimiser = torch.optim.AdamW(student.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay)
    parts = {"student": student, "teacher": objective.teacher, "optimiser": optimiser, "centre": objective.centre}
    n_tokens = (spec.image_size // vit.patch_embed.patch_size[0]) ** 2
    steps = Steps(
        count=spec.steps,
        batch_size=spec.batch_size,
        save_every=spec.save_every,
        draw=lambda step: _draw(images, spec, n_tokens, step),
        rate=lambda step: spec.learning_rate * cosine(step, spec.steps, spec.steps // 20 + 1),
        after=objective.follow,
        clip=3.0,
    )
    learn_steps(student, objective, optimiser, steps, State(state_file, run_digest(spec), parts), progress)
    vit.load_state_dict(objective.teacher.vit.state_dict())
    _fuse_attention(vit, True)
    vit.eval()


def _draw(images: Tensor, spec: DinoTraining, n_tokens: int, step: int) -> Views:
    rows, generator = Rows.of_rank(spec.batch_size), step_generator(spec.seed, step)
    own = images[batch_index(len(images), spec.batch_size, step, spec.seed)[rows.own]]
    large = [random_view(own, spec.image_size, (0.4, 1.0), generator, rows) for _ in range(2)]
    local = [random_view(own, spec.image_size // 2, (0.1, 0.4), generator, rows) for _ in range(spec.n_local)]
    hidden = torch.rand(2, spec.batch_size, n_tokens, generator=generator) < spec.mask_ratio
    return Views(torch.cat(large), tuple(local), hidden[:, rows.own].flatten(0, 1))


def _fuse_attention(vit: VisionTransformer, fused: bool) -> None:
    for block in vit.blocks:
        block.attn.fused_attn = fused
