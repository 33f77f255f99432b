"""Contrastive training of ``clip:scenes`` on image-caption pairs (Radford et al. 2021).

Beside the contrastive loss the pooled image feature is asked for the caption's tokens (as in SuperClass, Huang et al.
2024), which sees more than two captions at a time and cuts the training time of a model this small.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import wilss._torchvision  # noqa: F401

import open_clip
import timm
import torch
import torch.nn.functional as F
from open_clip.loss import ClipLoss
from pydantic import Field, model_validator
from timm.models.resnet import ResNet
from torch import Tensor, nn

from wilss._logs import quiet_logs
from wilss.foundation.clip_towers import SCENES_MODELS, Tower
from wilss.foundation.loading import SCENES_FILE
from wilss.foundation.pretrain.loop import (
    Progress,
    State,
    Steps,
    cosine,
    learn_steps,
    run_digest,
    set_output_stride,
)
from wilss.foundation.pretrain.pairs import Pairs, batch_index, step_generator
from wilss.foundation.pretrain.views import random_view
from wilss.nets.batchnorm import synchronise_batchnorm
from wilss.nets.pretrained import read_weights
from wilss.parallel.ranks import here
from wilss.parallel.rows import Rows
from wilss.precision import autocast
from wilss.section import LATER, Section, Seed


class Phase(Section):
    """One stretch of the training: which pairs, how large, how fine a grid."""

    pairs: Literal["easy", "scenes"]
    steps: int = Field(ge=1)
    image_size: int = Field(96, ge=32)
    output_stride: Literal[8, 16, 32] = 16


RESNET_PHASES = (
    Phase(pairs="easy", steps=800, image_size=64),
    Phase(pairs="scenes", steps=7000),
    Phase(pairs="scenes", steps=1800, output_stride=8),
)
VIT_PHASES = (
    Phase(pairs="easy", steps=200, image_size=64),
    Phase(pairs="scenes", steps=1800, image_size=64),
    Phase(pairs="scenes", steps=2800),
)
"""A ViT begins with what ``clip:scenes`` knows of outlines, so that less is enough."""


class ClipTraining(Section):
    """Settings of the contrastive run. The defaults of each tower made the weights that ship."""

    phases: tuple[Phase, ...] = Field(
        RESNET_PHASES,
        min_length=1,
        description="outlines first, on large single objects; the fine grid last; of a ViT less where left out",
    )
    n_easy: int = Field(8192, ge=1, description="pairs that show one large object")
    n_scenes: int = Field(32768, ge=1, description="pairs of the pretraining world")
    batch_size: int = Field(64, ge=2)
    learning_rate: float = Field(2e-3, gt=0, description="of a ViT 1e-3 where left out")
    weight_decay: float = Field(0.05, ge=0)
    token_weight: float = Field(1.0, ge=0, description="weight of the caption-token classification")
    tower: Annotated[Tower, LATER] = Field(
        "resnet", description="of the images: the one that ships, or a ViT, whose last block can be changed"
    )
    start: Annotated[Literal["auto", "random", "scenes"], LATER] = Field(
        "auto",
        description="weights to begin with: random, or those of clip:scenes where a ViT has the same parts, "
        "which are its text tower and its first convolutions; auto: scenes for a ViT",
    )
    save_every: int = Field(200, ge=1, description="steps between two states that a killed run goes on from")
    seed: Seed = 0

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_a_vit(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("tower") == "vit":
            return {"phases": VIT_PHASES, "learning_rate": 1e-3, **given}
        return given

    @model_validator(mode="after")
    def _enough_pairs(self) -> Self:
        fewest = min(self.n_easy if phase.pairs == "easy" else self.n_scenes for phase in self.phases)
        if self.batch_size > fewest:
            raise ValueError(f"batch_size {self.batch_size} is larger than the {fewest} pairs of a phase")
        return self

    @model_validator(mode="after")
    def _a_start_that_fits(self) -> Self:
        if self.start == "scenes" and self.tower == "resnet":
            raise ValueError("start=scenes is for tower=vit; the ResNet of clip:scenes is what would be trained")
        return self

    @property
    def begins_with_scenes(self) -> bool:
        """Whether the weights of ``clip:scenes`` are what the training begins with."""
        return self.start == "scenes" or (self.start == "auto" and self.tower == "vit")

    @property
    def steps(self) -> int:
        """Steps of all phases."""
        return sum(phase.steps for phase in self.phases)

    def phase_at(self, step: int) -> Phase:
        """The phase that a step belongs to."""
        for phase in self.phases:
            if step < phase.steps:
                return phase
            step -= phase.steps
        raise ValueError(f"step {step} lies behind the last of the {self.steps} steps")


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


class ClipObjective:
    """Contrast of images with captions, and the captions' tokens asked of the pooled feature.

    A batch is the views of images, float32 ``(n, 3, H, W)``, and the tokens of their captions, int64 ``(n, T)``. Where
    several processes share a batch, each contrasts all of its pairs.
    """

    def __init__(self, model: Any, words: TokenTargets, spec: ClipTraining, place: torch.device) -> None:
        self._model, self._words, self._spec, self._place = model, words, spec, place
        self._contrast, self._at_stride = ClipLoss(), 0
        self.classify = nn.Linear(model.visual.trunk.num_features, words.count).to(place)

    def heads(self) -> tuple[nn.Module, ...]:
        """See `wilss.parallel.objective.Objective`."""
        return (self.classify,)

    def losses(self, batch: tuple[Tensor, Tensor], epoch: int) -> dict[str, Tensor]:
        """See `wilss.parallel.objective.Objective`; ``epoch`` is the step."""
        view, tokens = batch[0].to(self._place), batch[1].to(self._place)
        self._to_stride_of(epoch)
        with autocast("auto", self._place):
            seen = self._model.visual.trunk(view.contiguous(memory_format=torch.channels_last)).float()
        # early embeddings differ by less than bf16 resolves, so both projections stay in float32
        image = F.normalize(self._model.visual.head(seen), dim=-1)
        text = self._model.encode_text(tokens, normalize=True)
        pair = here().gathered(image), here().gathered(text)
        terms = {"contrast": self._contrast(*pair, self._model.logit_scale.exp())}
        if weight := self._spec.token_weight:
            target = self._words.target(batch[1]).to(self._place)
            terms["tokens"] = weight * F.cross_entropy(self.classify(seen), target)
        return terms

    def _to_stride_of(self, step: int) -> None:
        stride = self._spec.phase_at(step).output_stride
        if stride != self._at_stride:
            self._at_stride = _to_stride(self._model, stride)


def train_clip(
    model: Any,
    pools: dict[str, Pairs],
    spec: ClipTraining,
    state_file: Path | None = None,
    progress: Progress | None = None,
    device: str = "cpu",
) -> None:
    """Train a model of `new_scenes_clip` in place; it ends in evaluation mode, a ResNet trunk at output stride 8.

    Args:
        pools: the pairs of every kind that the phases name.
        state_file: where the state is kept; a run that finds one goes on from it.
        progress: called with (steps done, all steps, loss).

    The image trunk runs in bf16 where the hardware has it; projections and loss are computed in float32.
    """
    torch.manual_seed(spec.seed)
    place = torch.device(device)
    with quiet_logs():
        tokenizer = open_clip.get_tokenizer(SCENES_MODELS[spec.tower])
    tokens = {name: tokenizer(pairs.captions) for name, pairs in pools.items()}
    model.to(place, memory_format=torch.channels_last).train()
    if here().count > 1:
        synchronise_batchnorm(model)
    objective = ClipObjective(model, TokenTargets(torch.cat(list(tokens.values()))), spec, place)
    learnt = [*model.parameters(), *objective.classify.parameters()]
    optimiser = torch.optim.AdamW(learnt, lr=spec.learning_rate, weight_decay=spec.weight_decay, fused=True)
    parts = {"model": model, "classify": objective.classify, "optimiser": optimiser}

    def draw(step: int) -> tuple[Tensor, Tensor]:
        phase = spec.phase_at(step)
        pairs, own = pools[phase.pairs], Rows.of_rank(spec.batch_size)
        index = batch_index(len(pairs), spec.batch_size, step, spec.seed)[own.own]
        generator = step_generator(spec.seed, step)
        view = random_view(pairs.images[index], phase.image_size, (0.8, 1.0), generator, own, grey=0.1)
        return view, tokens[phase.pairs][index]

    steps = Steps(
        count=spec.steps,
        batch_size=spec.batch_size,
        save_every=spec.save_every,
        draw=draw,
        rate=lambda step: spec.learning_rate * cosine(step, spec.steps, spec.steps // 50 + 1),
        after=lambda step: model.logit_scale.clamp_(0, 4.6052),  # 100, as in CLIP
    )
    learn_steps(model, objective, optimiser, steps, State(state_file, run_digest(spec), parts), progress)
    _to_stride(model, 8)
    model.eval()


def begin_with_scenes(model: Any) -> None:
    """Give a `new_scenes_clip` with a ViT what it shares with ``clip:scenes``: text tower and first convolutions."""
    known = read_weights(SCENES_FILE)
    stem = "visual.trunk.patch_embed.backbone."
    shared = {key: known[key.replace(stem, "visual.trunk.")] for key in model.state_dict() if _shared(key, stem)}
    model.load_state_dict(shared, strict=False)


def _shared(key: str, stem: str) -> bool:
    kept = not key.endswith(("attn_mask", "num_batches_tracked"))
    return kept and (key.startswith(stem) or not key.startswith("visual."))


def _to_stride(model: Any, stride: int) -> int:
    if not isinstance(model.visual.trunk, ResNet):  # a ViT's patches stay what they are
        return stride
    template = timm.create_model("resnet_scenes", pretrained=False, num_classes=0, output_stride=stride)
    template.reset_classifier(0, "avg")
    set_output_stride(model.visual.trunk, template)
    return stride
