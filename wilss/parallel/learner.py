"""Who computes the losses of a training: the objective alone, or under torch's DistributedDataParallel."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from wilss.parallel.objective import Objective

B = TypeVar("B")


@dataclass(frozen=True)
class Learner(Generic[B]):
    """losses: as an objective's. summing: whether the gradients of a part of a batch, the last, are summed over ranks.

    scale: that the loss takes before it goes backwards: gradients are averaged over ranks and are to be summed.
    """

    losses: Callable[[B, int], dict[str, Tensor]]
    summing: Callable[[bool], AbstractContextManager[Any]] = lambda last: nullcontext()
    scale: float = 1.0


class _Everything(nn.Module):
    """All that is trained, as the one module that torch wraps."""

    def __init__(self, student: nn.Module, objective: Objective[Any]) -> None:
        super().__init__()
        self.parts = nn.ModuleList([student, *objective.heads()])
        self._losses = objective.losses

    def forward(self, batch: Any, epoch: int) -> dict[str, Tensor]:
        return self._losses(batch, epoch)


def alone(objective: Objective[B]) -> Learner[B]:
    """One process."""
    return Learner(objective.losses)


def together(student: nn.Module, objective: Objective[B]) -> Learner[B]:
    """One of several processes; all take the weights of rank 0.

    BatchNorm keeps its statistics alike by itself. A loss may leave parameters out, as in a warm-up: they are looked
    for, and get no gradient, as in one process.
    """
    wrapped = DistributedDataParallel(
        _Everything(student, objective), broadcast_buffers=False, find_unused_parameters=True
    )

    def summing(last: bool) -> AbstractContextManager[Any]:
        return nullcontext() if last else wrapped.no_sync()

    return Learner(wrapped, summing, float(torch.distributed.get_world_size()))
