"""Contrastive training of ``clip:scenes`` (Radford et al. 2021) with open_clip's own model and loss.

From a random start and with small batches the contrastive loss rests on a plateau for long. A second term, the
classification of the caption's tokens from the pooled image feature (SuperClass, Huang et al. 2024), lifts it off.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi
from typing import Any

import open_clip
import torch
import torch.nn.functional as F
from open_clip.loss import ClipLoss
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from wilss.foundation.pretrain.pairs import Pairs, batches
from wilss.foundation.pretrain.views import random_view

Progress = Callable[[int, int, float], None]


class ClipTraining(BaseModel):
    """Settings of the contrastive run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(1200, ge=1)
    batch_size: int = Field(192, ge=2)
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    token_weight: float = Field(1.0, ge=0, description="weight of the caption-token classification")
    image_size: int = Field(96, ge=32)
    seed: int = 0


class TokenTargets:
    """Distribution over the caption tokens that tell images apart, weighted by their rarity."""

    def __init__(self, tokens_NT: Tensor) -> None:
        ordered = tokens_NT.sort(1).values
        first = torch.cat([torch.ones_like(ordered[:, :1], dtype=torch.bool), ordered[:, 1:] != ordered[:, :-1]], 1)
        frequency = torch.bincount(ordered[first]) / len(tokens_NT)
        self.kept = ((frequency > 0) & (frequency < 0.9)).nonzero()[:, 0]
        self.weight = -frequency[self.kept].log()
        self.count = len(self.kept)

    def target(self, tokens_NT: Tensor) -> Tensor:
        """Rows that sum to 1, float32 ``(N, count)``."""
        present = (tokens_NT[:, :, None] == self.kept).any(1).float() * self.weight
        return present / present.sum(1, keepdim=True).clamp(min=1e-6)


def cosine(step: int, steps: int, warmup: int) -> float:
    """Linear warm-up then half a cosine to zero; factor in [0, 1]."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + cos(pi * (step - warmup) / max(1, steps - warmup)))


def train_clip(model: Any, pairs: Pairs, spec: ClipTraining, progress: Progress | None = None) -> None:
    """Train an open_clip model in place; ``progress`` is called with (step, steps, loss).

    bf16 autocast runs where the hardware has it; the loss is computed in float32.
    """
    torch.manual_seed(spec.seed)
    generator = torch.Generator().manual_seed(spec.seed)
    tokenizer = open_clip.get_tokenizer("clip_scenes")
    tokens = torch.cat([tokenizer(pairs.captions[k : k + 4096]) for k in range(0, len(pairs), 4096)])
    words = TokenTargets(tokens)
    classify = nn.Linear(model.visual.trunk.num_features, words.count)
    parameters = [*model.parameters(), *classify.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=spec.learning_rate, weight_decay=spec.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: cosine(step, spec.steps, spec.steps // 20 + 1))
    loss_of = ClipLoss()
    model.train().to(memory_format=torch.channels_last)
    for step, index in enumerate(batches(len(pairs), spec.batch_size, spec.steps, generator)):
        images = random_view(pairs.images[index], spec.image_size, (0.8, 1.0), generator, grey=0.1)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            pooled = model.visual.trunk(images.contiguous(memory_format=torch.channels_last))
        # early embeddings differ by less than bf16 resolves, so both projections stay in float32
        image = F.normalize(model.visual.head(pooled.float()), dim=-1)
        text = model.encode_text(tokens[index], normalize=True)
        loss = loss_of(image, text, model.logit_scale.exp())
        if spec.token_weight:
            loss = loss + spec.token_weight * F.cross_entropy(classify(pooled.float()), words.target(tokens[index]))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, 4.6052)  # 100, as in CLIP
        if progress:
            progress(step + 1, spec.steps, float(loss.detach()))
    model.eval()
