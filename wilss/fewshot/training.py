"""How episodes are trained: effective values of the published codes, and optimisers by the parts of a model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torch import nn

from wilss.fewshot.sections import EpisodicTrainSpec, NetTrainSpec
from wilss.learn.schedule import Part, Rule, make_rule, poly_factor


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
