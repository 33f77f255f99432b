"""More views of an episode's supports for heads that fit something to them: mirrored ones, turned ones. Ours."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from wilss.fewshot.episodes.augment import EpisodeView, turned_view
from wilss.fewshot.heads.contract import EpisodeBatch


@dataclass(frozen=True)
class SupportViews:
    """Which further views of every support a head meets.

    mirror: all are shown mirrored left to right too. turns: angles in degrees about the centre of the canvas.
    """

    mirror: bool = False
    turns: tuple[float, ...] = ()

    def add(self, batch: EpisodeBatch, outside_3: Tensor, turned: bool = True) -> EpisodeBatch:
        """Episodes with more supports: the K, then these turned by each angle in turn, then all of them mirrored.

        What a turn brings in from outside the canvas is 255 in masks and padding.

        Args:
            outside_3: its colour in images.
            turned: False leaves the turns out.
        """
        shown = [(batch.support, batch.support_mask, batch.support_pad)]
        shown += [_turned(batch, turn, outside_3) for turn in self.turns if turned]
        if self.mirror:
            shown += [(images.flip(-1), masks.flip(-1), pads.flip(-1)) for images, masks, pads in shown]
        if len(shown) == 1:
            return batch
        images, masks, pads = (torch.cat(views, 1) for views in zip(*shown, strict=True))
        return replace(batch, support=images, support_mask=masks, support_pad=pads)


def _turned(batch: EpisodeBatch, degrees: float, outside_3: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    images, masks, pads = (part.flatten(0, 1) for part in (batch.support, batch.support_mask, batch.support_pad))
    view: EpisodeView = turned_view(degrees, len(images), images.shape[-1])
    outside = view.labels(pads.to(torch.uint8)) != 0
    n = batch.support.shape[:2]
    return view.images(images, outside_3).unflatten(0, n), view.labels(masks).unflatten(0, n), outside.unflatten(0, n)
