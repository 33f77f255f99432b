"""Random numbers of a batch that several processes share: each draws the whole batch's and takes its own rows'."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wilss.parallel.ranks import here


@dataclass(frozen=True)
class Rows:
    """The rows of a batch that are computed here. whole: how many it has. own: int64 ``(n,)``, which; on the CPU."""

    whole: int
    own: Tensor

    @classmethod
    def all(cls, n: int) -> Rows:
        """Every row."""
        return cls(n, torch.arange(n))

    @classmethod
    def of_rank(cls, n: int) -> Rows:
        """Those of this process among ``n``."""
        rows = here().rows(n)
        return cls(n, torch.arange(rows.start, rows.stop))

    def of(self, values: list[int]) -> list[int]:
        """Own ones of the whole batch's."""
        return [values[row] for row in self.own.tolist()]

    def rand(self, *shape: int, generator: torch.Generator) -> Tensor:
        """Uniform in [0, 1): float32 ``(n, *shape)``."""
        return torch.rand(self.whole, *shape, generator=generator)[self.own]

    def randn(self, *shape: int, generator: torch.Generator) -> Tensor:
        """Of the standard normal distribution: float32 ``(n, *shape)``."""
        return torch.randn(self.whole, *shape, generator=generator)[self.own]

    def uniform(self, low: float, high: float, *shape: int, generator: torch.Generator) -> Tensor:
        """Uniform between bounds: float32 ``(n, *shape)``."""
        return torch.empty(self.whole, *shape).uniform_(low, high, generator=generator)[self.own]

    def chosen(self, mask: Tensor) -> Rows:
        """The rows of the batch of those that a mask chooses, bool ``(whole,)``."""
        numbers = mask.cumsum(0) - 1
        return Rows(int(mask.sum()), numbers[self.own][mask[self.own]])
