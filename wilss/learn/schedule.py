"""Optimiser, learning-rate schedule and batches shared by all training runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from wilss.data.order import Reading
from wilss.learn.spec import TrainSpec

ANY = Reading()
"""Any order, and nothing is brought."""
FUSED = ("cpu", "cuda")
"""Devices whose optimisers are one pass over the memory: on a CPU a quarter of the time. Gradients must lie as their
parameters do, which is so of all that ``backward`` leaves."""


@dataclass(frozen=True)
class Rule:
    """An optimiser with its schedule; a training may have several, each with parameters of its own."""

    optimizer: torch.optim.Optimizer
    schedule: LRScheduler


@dataclass(frozen=True)
class Part:
    """Parameters that share a learning rate; those that need no gradient are left out."""

    parameters: Iterable[nn.Parameter]
    rate: float
    decay: float


def rules_of(
    spec: TrainSpec, backbone: Iterable[nn.Parameter], heads: Iterable[nn.Parameter], total: int
) -> list[Rule]:
    """SGD or AdamW with one learning rate for the backbone and one for all heads.

    Factors on singular values start at 1 and must not decay to 0.

    Args:
        total: iterations of the training; an epoch's length follows from it.
    """
    decay = 0.0 if spec.tuning == "svf" else spec.weight_decay
    parts = [Part(backbone, spec.lr_backbone, decay), Part(heads, spec.lr_head, spec.weight_decay)]
    constant = spec.constant_epochs * (total // spec.epochs)
    return [make_rule(spec, parts, spec.optimizer, lambda k: poly_factor(k, total, constant, spec.poly_power))]


def make_rule(
    spec: TrainSpec, parts: Iterable[Part], optimizer: Literal["sgd", "adamw"], factor: Callable[[int], float]
) -> Rule:
    """An optimiser over ``parts``, with ``factor`` of the iteration on every learning rate."""
    chosen = [([p for p in part.parameters if p.requires_grad], part) for part in parts]
    groups = [{"params": p, "lr": part.rate, "weight_decay": part.decay} for p, part in chosen if p]
    fused = all(p.device.type in FUSED for learnt, _ in chosen for p in learnt)
    if optimizer == "adamw":
        rule: torch.optim.Optimizer = torch.optim.AdamW(groups, fused=fused)
    else:
        nesterov = spec.nesterov and spec.momentum > 0
        rule = torch.optim.SGD(groups, momentum=spec.momentum, nesterov=nesterov, fused=fused)
        if spec.momentum > 0:
            _rest(rule)
    return Rule(rule, LambdaLR(rule, factor))


def _rest(rule: torch.optim.SGD) -> None:
    """No momentum yet, for every parameter.

    Torch starts it with the first gradient, which is the same, for there is no dampening; but fused, it wants all
    parameters to get their first one together, and after a warm-up they do not.
    """
    for group in rule.param_groups:
        for parameter in group["params"]:
            rule.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


def poly_factor(iteration: int, total: int, constant: int, power: float) -> float:
    """Factor on the learning rate: 1 for ``constant`` iterations, then (1 - iteration / total) ** power.

    As in WILSON's code the global iteration counts, so the rate steps down at the end of the constant part.
    """
    return 1.0 if iteration < constant else max(0.0, 1 - iteration / total) ** power


def epoch_batches(
    count: int, batch_size: int, generator: torch.Generator, reading: Reading = ANY
) -> Iterator[list[int]]:
    """Shuffled positions; a last batch smaller than two is dropped (BatchNorm needs two), smaller data repeat."""
    order = reading.order(count, generator)
    if count < batch_size:
        order = (order * math.ceil(batch_size / count))[:batch_size]
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        if len(batch) >= min(batch_size, 2):
            yield batch


def batches_per_epoch(count: int, batch_size: int) -> int:
    """How many batches `epoch_batches` yields."""
    if count < batch_size:
        return 1
    return count // batch_size + (count % batch_size >= 2)


def passes_of(count: int, spec: TrainSpec) -> int:
    """How often an epoch passes ``count`` images: once, or so often that there are ``min_iterations`` in all.

    Warm-up and constant rates are counted in epochs, so that they grow with it.
    """
    return max(1, math.ceil(spec.min_iterations / (spec.epochs * batches_per_epoch(count, spec.batch_size))))


def iterations_of(count: int, spec: TrainSpec) -> int:
    """Iterations of a whole training on ``count`` images."""
    return spec.epochs * passes_of(count, spec) * batches_per_epoch(count, spec.batch_size)
