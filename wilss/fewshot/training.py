"""How episodes are trained: effective values of the published codes, and optimisers by the parts of a model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field
from torch import nn

from wilss.learn.schedule import MOST_BATCH, MOST_EPOCHS, Part, Rule, TrainSpec, make_rule, poly_factor
from wilss.nets.svf import Form

Schedule = Literal["poly", "cosine", "constant"]


class NetTrainSpec(TrainSpec):
    """What trainings over episodes and of stage 1 share; an epoch meets every image once."""

    constant_epochs: Literal[0] = 0
    use_nesterov: bool = Field(False, description="CWT's stages use it, the others do not")
    schedule: Schedule = "cosine"

    @property
    def nesterov(self) -> bool:
        """Whether momentum looks ahead."""
        return self.use_nesterov


class EpisodicTrainSpec(NetTrainSpec):
    """One training over episodes; an epoch meets every query image once.

    The defaults are the effective values of SVF's released code with singular values tuned: batch 8, SGD 0.9, heads
    0.015, singular values a tenth of it, with the cosine schedule that it creates but never steps.
    """

    epochs: int = Field(200, ge=1, le=MOST_EPOCHS)
    batch_size: int = Field(8, ge=2, le=MOST_BATCH)
    lr_backbone: float = Field(0.0015, gt=0, description="singular values, or the weights when all are tuned")
    lr_head: float = Field(0.015, gt=0)
    svf_stages: int = Field(3, ge=1, le=4, description="stages whose singular values are tuned, from the last")
    svf_form: Form = Field("factor", description="factor on the values (paper), or the values themselves (its code)")
    svf_decay: float = Field(0.0, ge=0, description="weight decay of the trained vectors (released code: 1e-4)")
    lr_transformer: float = Field(1e-4, gt=0, description="AdamW at constant rate, IPMT's transformer only")
    decay_transformer: float = Field(1e-2, ge=0, description="of its matrices; biases and LayerNorm have none")


def rate_factor(spec: NetTrainSpec, iteration: int, total: int) -> float:
    """Factor on the learning rate at an iteration, from 1 on; poly and cosine end at 0."""
    if spec.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * min(iteration, total) / total))
    return poly_factor(iteration, total, 0, spec.poly_power) if spec.schedule == "poly" else 1.0


def net_rule(spec: NetTrainSpec, parts: Mapping[str, Sequence[nn.Parameter]], decay: float, total: int) -> Rule:
    """The optimiser of backbone and head.

    Args:
        parts: parameters of "backbone" and of "head".
        decay: weight decay of the backbone.
        total: iterations of the whole training.
    """
    groups = [
        Part(parts["backbone"], spec.lr_backbone, decay),
        Part(parts["head"], spec.lr_head, spec.weight_decay),
    ]
    return make_rule(spec, groups, spec.optimizer, lambda k: rate_factor(spec, k, total))


def episodic_rules(spec: EpisodicTrainSpec, parts: Mapping[str, Sequence[nn.Parameter]], total: int) -> list[Rule]:
    """Optimisers of a few-shot model: every parameter that is trained is in exactly one group.

    Args:
        parts: parameters by part: "backbone", "head", and "transformer" with an AdamW of its own.
        total: iterations of the whole training.
    """
    decay = spec.svf_decay if spec.tuning == "svf" else spec.weight_decay
    rules = [net_rule(spec, parts, decay, total)]
    if transformer := parts.get("transformer"):
        own = [
            Part([p for p in transformer if p.ndim > 1], spec.lr_transformer, spec.decay_transformer),
            Part([p for p in transformer if p.ndim <= 1], spec.lr_transformer, 0.0),
        ]
        rules.append(make_rule(spec, own, "adamw", lambda _: 1.0))
    return rules
