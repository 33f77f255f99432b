"""In which order a training reads its images, and what it has brought before they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Reading:
    """How the images of a training are read.

    shards: number of the shard that holds each image, by position; empty where each lies by itself. buffer: images that
    are drawn from at random, while shards come one after the other; 0 draws from all. bring: has images at hand by
    their positions, which are read next; None where reading takes no request.
    """

    shards: tuple[int, ...] = ()
    buffer: int = 0
    bring: Callable[[Sequence[int]], None] | None = None

    def order(self, count: int, generator: torch.Generator) -> list[int]:
        """All positions below ``count``, each once."""
        if not self.buffer:
            return torch.randperm(count, generator=generator).tolist()
        return buffered(_by_shard(self.shards or range(count), generator), self.buffer, generator)

    def ahead(self, parts: Iterable[list[int]], own: Callable[[list[int]], Sequence[int]]) -> Iterator[list[int]]:
        """The same parts; while one is worked on, a thread brings the next one.

        Args:
            own: what this process reads of a part.
        """
        if self.bring is None:
            yield from parts
            return
        with ThreadPoolExecutor(1) as pool:
            before: list[int] | None = None
            for part in parts:
                coming = pool.submit(self.bring, own(part))
                if before is not None:
                    yield before
                coming.result()
                before = part
            if before is not None:
                yield before


def _by_shard(shards: Sequence[int], generator: torch.Generator) -> list[int]:
    """Positions shard after shard, the shards in random order; within one as they are listed."""
    inside: dict[int, list[int]] = {}
    for position, shard in enumerate(shards):
        inside.setdefault(shard, []).append(position)
    listed = list(inside.values())
    return [p for shard in torch.randperm(len(listed), generator=generator).tolist() for p in listed[shard]]


def buffered(stream: Sequence[int], size: int, generator: torch.Generator) -> list[int]:
    """A stream in another order: each comes from the ``size`` that stand next and have not come, at random."""
    chances = torch.rand(len(stream), generator=generator, dtype=torch.float64).tolist()
    held, found = list(stream[:size]), []
    for at, chance in enumerate(chances, start=size):
        chosen = min(int(chance * len(held)), len(held) - 1)
        held[chosen], held[-1] = held[-1], held[chosen]
        found.append(held.pop())
        if at < len(stream):
            held.append(stream[at])
    return found
