"""The processes of one training: which of them this one is, and what they do together. Alone, all of it costs nothing.

Every process (rank) learns from its rows of every batch. What a loss or BatchNorm takes over a whole batch is summed
over the ranks, so that loss and gradient are those of one process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast
from zlib import crc32

import torch
import torch.distributed as dist
from torch import Tensor

from wilss.errors import SpecError, TrainingError

SEED_STRIDE = 1_000_003


@dataclass
class Ranks:
    """This process among ``count``; ``rank`` 0 writes and tells. batch: images of the batch that is learnt from now.

    A batch with fewer images than ranks is learnt from by all of them alike.
    """

    rank: int = 0
    count: int = 1
    batch: int = 0

    def splits(self, n: int) -> bool:
        """Whether a batch of ``n`` images is divided among the ranks."""
        return 1 < self.count <= n

    def rows(self, n: int) -> range:
        """Which of ``n`` images are this rank's: a contiguous part, whose size differs by one at most."""
        return self._rows(n, self.rank)

    def _rows(self, n: int, rank: int) -> range:
        return range(n * rank // self.count, n * (rank + 1) // self.count) if self.splits(n) else range(n)

    def share(self, n: int) -> float:
        """Weight of this rank's loss on ``n`` images: so weighted, the losses of all ranks sum up to the batch's."""
        return len(self.rows(n)) / n if self.splits(n) else 1 / self.count

    def evened(self, count: Tensor, at_least: float) -> Tensor:
        """What this rank's part of a loss is divided by, where that is a count over the batch: of pixels, say.

        Args:
            count: of this rank, a scalar. at_least: the batch's count is taken for so much.
        """
        if not self.splits(self.batch):
            return count.clamp(min=at_least)
        total = count.detach().float()
        dist.all_reduce(total)
        return total.clamp(min=at_least) * self.share(self.batch)

    def gathered(self, values: Tensor) -> Tensor:
        """Rows ``(n, ...)`` of this rank -> those of the whole batch ``(N, ...)``, in its order, on every rank."""
        return cast(Tensor, _Gather.apply(values, self)) if self.splits(self.batch) else values  # type: ignore[no-untyped-call]

    def summed(self, values: Tensor) -> Tensor:
        """The sum over the ranks, without gradient."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def meet(self) -> None:
        """Wait until all ranks are here."""
        self.summed(torch.zeros(1))

    @contextmanager
    def learning_from(self, n: int) -> Iterator[None]:
        """A batch of ``n`` images is what losses inside are of."""
        before, self.batch = self.batch, n
        try:
            yield
        finally:
            self.batch = before

    def agree_on(self, generators: Sequence[torch.Generator], device: torch.device) -> None:
        """Have every rank draw what rank 0 draws; noise inside of a network (dropout) is each rank's own.

        The state of rank 0 is that of one process, so that any number of devices may go on from it.
        """
        if self.count == 1:
            return
        for generator in generators:
            state = generator.get_state().to(device)
            dist.broadcast(state, 0)
            generator.set_state(state.cpu())
        if self.rank:
            torch.manual_seed(crc32(generators[0].get_state().numpy().tobytes()) + SEED_STRIDE * self.rank)

    def require_same(self, digest: str, device: torch.device) -> None:
        """Raise TrainingError unless all ranks have the same digest, hexadecimal."""
        if self.count == 1:
            return
        mine = torch.tensor(list(bytes.fromhex(digest)), dtype=torch.int32, device=device)
        of_first = mine.clone()
        dist.broadcast(of_first, 0)
        differs = self.summed((mine != of_first).any().int())
        if int(differs):
            raise TrainingError(
                "the processes of a training see different images: the data changed while they began. Start again"
            )


class _Gather(torch.autograd.Function):
    """All rows on every rank; backwards, what all ranks want of one's rows."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, ranks: Ranks) -> Tensor:
        ctx.rows = ranks.rows(ranks.batch)
        whole = values.new_zeros(ranks.batch, *values.shape[1:])
        whole[ctx.rows.start : ctx.rows.stop] = values
        dist.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        whole = gradients[0].contiguous().clone()
        dist.all_reduce(whole)
        return whole[ctx.rows.start : ctx.rows.stop], None


_HERE = [Ranks()]


def here() -> Ranks:
    """This process among those of its training."""
    return _HERE[-1]


@contextmanager
def joined(ranks: Ranks) -> Iterator[Ranks]:
    """Be one of several inside; the process group of torch.distributed has been made."""
    _HERE.append(ranks)
    try:
        yield ranks
    finally:
        _HERE.pop()


def require_even(named: str, batch_size: int, devices: int) -> None:
    """Raise SpecError for a batch that several devices cannot share.

    Args:
        named: the setting of its size, as people give it.
    """
    if batch_size % devices:
        below = batch_size // devices * devices
        sizes = f"{below} or {below + devices}" if below > 1 else f"{below + devices}"
        raise SpecError(
            f"{named} is {batch_size}, which {devices} devices cannot share alike; take --set {named}={sizes}, or "
            "another number with --devices"
        )
