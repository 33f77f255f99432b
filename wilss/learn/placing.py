"""Which instances are pasted and where, beyond plain chance: the rules of EIR (CVPR 2025), each for itself."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from wilss.learn.memory import MemoryBank
from wilss.parallel.rows import Rows

PLACES = 8
"""Random places among which the one with most background is taken."""
SHOWN = 0.01
"""Share of an image that the old model gives to a class which it sees there."""


@dataclass
class Scene:
    """What is known of the images that get instances.

    occupied: bool ``(n, H, W)``, pixels that are not background, as the old model, the pseudo-labels and earlier pastes
    say. wanted: bool ``(n, O)``, old classes that the old model sees and that were not pasted yet; column 0 is False.
    """

    occupied: Tensor
    wanted: Tensor

    @classmethod
    def of(cls, seen_Nhw: Tensor, layers: Tensor | None, bank: MemoryBank, size: tuple[int, int]) -> Scene:
        """From the old model's outputs with the highest score, int64 on any grid, and pseudo-label layers."""
        large = F.interpolate(seen_Nhw[:, None].float(), size, mode="nearest")[:, 0]
        occupied = large > 0
        if layers is not None:
            occupied |= layers.amax(1) > 0
        n_outputs = 1 + max(int(seen_Nhw.max()), int(bank.channels.max()))
        wanted = F.one_hot(seen_Nhw.flatten(1), n_outputs).float().mean(1) >= SHOWN
        wanted[:, 0] = False
        return cls(occupied, wanted.cpu())

    @classmethod
    def of_none(cls, bank: MemoryBank, size: tuple[int, int], device: torch.device) -> Scene:
        """Where all images that get instances are other processes'."""
        occupied = torch.zeros(0, *size, dtype=torch.bool, device=device)
        return cls(occupied, torch.zeros(0, 1 + int(bank.channels.max())).bool())

    def note(self, pasted_NHW: Tensor, channels_N: Tensor) -> None:
        """Instances of these classes lie on these pixels now; on none where one was left out."""
        self.occupied |= pasted_NHW
        there = pasted_NHW.flatten(1).any(1).cpu().nonzero()[:, 0]
        self.wanted[there, channels_N[there]] = False


def draw_instances(
    bank: MemoryBank,
    n: int,
    wanted_NO: Tensor | None,
    by_class: bool,
    generator: torch.Generator,
    rows: Rows | None = None,
) -> Tensor:
    """Rows of the bank for ``n`` images, int64 ``(n,)``.

    Args:
        wanted_NO: bool; an image with classes of the bank among these gets one of them. None wants nothing.
        by_class: all other images get a class of the bank, then one of its instances; else any instance.
        rows: of a larger batch, which these images are; numbers are drawn for all of it.
    """
    rows = rows or Rows.all(n)
    anyone = torch.randint(len(bank), (rows.whole,), generator=generator)[rows.own]
    if not by_class and wanted_NO is None:
        return anyone
    order = bank.channels.argsort(stable=True)
    classes, counts = bank.channels.unique(return_counts=True)
    weights = (torch.ones_like(counts) if by_class else counts).float().expand(rows.whole, -1).clone()
    chosen = torch.full((n,), by_class)
    if wanted_NO is not None:
        known = F.pad(wanted_NO, (0, max(0, int(classes.max()) + 1 - wanted_NO.shape[1])))[:, classes]
        has = known.any(1)
        weights[rows.own[has]], chosen = known[has].float(), chosen | has
    column = torch.multinomial(weights, 1, generator=generator)[rows.own, 0]
    place = (rows.rand(generator=generator) * counts[column]).long().clamp(max=counts[column] - 1)
    starts = counts.cumsum(0) - counts
    return torch.where(chosen, order[starts[column] + place], anyone)


def background_centres(
    occupied_NHW: Tensor, box_N2: Tensor, generator: torch.Generator, rows: Rows | None = None
) -> Tensor:
    """Centre pixels ``(n, 2)`` as (y, x): of `PLACES` random windows the one whose part inside has most background.

    Args:
        occupied_NHW: bool. box_N2: height and width of each instance in the image, float32.
        rows: see `draw_instances`.
    """
    n, height, width = occupied_NHW.shape
    frame = torch.tensor([height, width]).float()
    centres = (rows or Rows.all(n)).rand(PLACES, 2, generator=generator) * frame - 0.5
    first = (centres - box_N2[:, None] / 2).round().long().clamp(min=0)
    last = torch.minimum((centres + box_N2[:, None] / 2).round().long() + 1, frame.long())
    first = torch.minimum(first, last - 1)
    sums = F.pad(occupied_NHW.float().cumsum(1).cumsum(2), (1, 0, 1, 0)).cpu()
    row = torch.arange(n)[:, None]
    (top, left), (bottom, right) = first.unbind(2), last.unbind(2)
    taken = sums[row, bottom, right] - sums[row, top, right] - sums[row, bottom, left] + sums[row, top, left]
    area = (bottom - top) * (right - left)
    best = (taken / area).argmin(1)
    return centres[torch.arange(n), best]


def hides_too_much(inside_N1HW: Tensor, whole_NCHW: Tensor, left_NCHW: Tensor, most: float) -> Tensor:
    """Whether pasting would hide more than ``most`` of a new object, bool ``(n,)``.

    Args:
        inside_N1HW: bool, pixels of the instance and its surroundings. whole_NCHW: pseudo-label layers before anything
            was pasted. left_NCHW: what earlier pastes left of them.
    """
    whole = whole_NCHW.float().sum((2, 3))
    after = (left_NCHW * ~inside_N1HW).float().sum((2, 3))
    touched = (left_NCHW * inside_N1HW).float().sum((2, 3)) > 0
    return (touched & (whole - after > most * whole)).any(1)
