"""Episodes as tensors: augmented ones for training, exact ones for evaluation, and the images of stage 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wilss.data.images import ImageTable, MaskedImages
from wilss.data.room import Room
from wilss.data.source import VOID, Source
from wilss.device import to_device
from wilss.errors import DataError
from wilss.fewshot.episodes.augment import EpisodeView, draw_episode_view
from wilss.fewshot.episodes.canvas import canvas_images, canvas_labels, pad_masks
from wilss.fewshot.episodes.draw import Episode, Sampler, base_labels, episode_labels
from wilss.fewshot.episodes.lists import EpisodeList
from wilss.fewshot.episodes.spec import EpisodeAugmentSpec, Novel
from wilss.fewshot.heads.contract import EpisodeBatch
from wilss.learn.base import MaskedBatch
from wilss.parallel.rows import Rows

DrawEpisodes = Callable[[list[int]], EpisodeBatch]
"""Positions of query images -> their episodes, on the model's device."""
EVERY_LABEL = tuple(range(256))


class EpisodeImages:
    """Images of a list with their original labels on a canvas, decoded once.

    Args:
        canvas: longer sides above it are shrunk to it, as far as training goes. room: for what is kept in memory.
    """

    def __init__(self, source: Source, ids: Sequence[str], canvas: int, room: Room | None = None) -> None:
        self.images = ImageTable(source, tuple(ids), canvas, room or Room())
        self.labelled = MaskedImages(self.images, EVERY_LABEL, source)
        self.position = {image_id: position for position, image_id in enumerate(ids)}

    def read(self, ids: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        """Canvases uint8 ``(N, 3, S, S)``, true sizes ``(N, 2)``, labels uint8 ``(N, S, S)`` (255 outside)."""
        rows = [self.position[image_id] for image_id in ids]
        canvases, sizes = self.images.batch(rows)
        return canvases, sizes, self.labelled.masks(rows)


@dataclass(frozen=True)
class Augmented:
    """Draws augmented training batches on the model's device, of a batch that several processes share the own rows.

    How often a crop is drawn again hangs on the labels, so that each of them reads the whole batch and warps its rows.

    Args:
        crop: side of the result. base: class ids of the training classes. generator: on the CPU.
        outside: colour of what a view brings in from outside an image: the mean of the network's input, which is 0 once
            it is normalised.
    """

    data: EpisodeImages
    augment: EpisodeAugmentSpec
    crop: int
    base: tuple[int, ...]
    outside: tuple[float, ...]
    generator: torch.Generator
    device: torch.device

    def of(self, sampler: Sampler) -> DrawEpisodes:
        """What draws episodes with the queries at given positions of the sampler's list."""
        return lambda positions: self._batch([sampler.about(position, self._number()) for position in positions])

    def base_classes(self, positions: list[int], novel: Novel) -> MaskedBatch:
        """Images with labels of the base classes, for stage 1."""
        ids = [self.data.images.ids[position] for position in positions]
        canvases, sizes, labels = self.data.read(ids)
        labels = base_labels(labels, self.base, novel)
        own = Rows.of_rank(len(positions)).own
        view = self._draw(sizes, labels).of(own)
        return MaskedBatch(self._images(view, canvases[own]), to_device(view.labels(labels[own]), self.device))

    def _batch(self, episodes: Sequence[Episode]) -> EpisodeBatch:
        shots = len(episodes[0].supports)
        ids = [e.query for e in episodes] + [s for e in episodes for s in e.supports]
        classes = torch.tensor([e.class_id for e in episodes])
        canvases, sizes, labels = self.data.read(ids)
        labels = _of_class(labels, torch.cat([classes, classes.repeat_interleave(shots)]))
        own = Rows.of_rank(len(episodes)).own
        rows = torch.cat([own, (len(episodes) + own[:, None] * shots + torch.arange(shots)).flatten()])
        view = self._draw(sizes, labels).of(rows)
        pad = view.labels(pad_masks(sizes[rows], canvases.shape[-1]).to(torch.uint8)) != 0
        images, labels = self._images(view, canvases[rows]), view.labels(labels[rows])
        return _as_batch(images, labels, pad, classes[own], self.base, self.device)

    def _draw(self, sizes: Tensor, labels: Tensor) -> EpisodeView:
        return draw_episode_view(self.augment, sizes, labels, self.crop, self.generator)

    def _images(self, view: EpisodeView, canvases: Tensor) -> Tensor:
        scaled = to_device(canvases, self.device).float() / 255
        return view.images(scaled, to_device(torch.tensor(self.outside), self.device))

    def _number(self) -> int:
        return int(torch.randint(2**31, (), generator=self.generator))


def mix_episodes(
    usual: DrawEpisodes, other: DrawEpisodes, n_other: int, share: float, generator: torch.Generator
) -> DrawEpisodes:
    """Replace, at random, a share of the batches by as many episodes of another list.

    Args:
        n_other: images of the other list; its queries are drawn from all of them. share: of the batches, in [0, 1).
        generator: on the CPU; its state alone decides.
    """

    def draw(positions: list[int]) -> EpisodeBatch:
        if float(torch.rand((), generator=generator)) >= share:
            return usual(positions)
        return other(torch.randint(n_other, (len(positions),), generator=generator).tolist())

    return draw


def evaluation_batch(
    source: Source,
    episodes: Sequence[Episode],
    side: int,
    legacy: bool,
    device: torch.device,
    base: tuple[int, ...] = (),
) -> EpisodeBatch:
    """Episodes as they are, every image fitted to the canvas (see `wilss.fewshot.episodes.canvas`).

    Args:
        base: base classes, for episodes that are about them: a base learner must not vote against the episode's own.

    Raises DataError for a support whose label holds no pixel of the class, and for a query that is all void.
    """
    shots = len(episodes[0].supports)
    ids = [e.query for e in episodes] + [s for e in episodes for s in e.supports]
    classes = torch.tensor([e.class_id for e in episodes])
    of_class = [*classes.tolist(), *classes.repeat_interleave(shots).tolist()]
    masks = [episode_labels(source.mask(i), c, i) for i, c in zip(ids, of_class, strict=True)]
    canvases, sizes = canvas_images([source.image(i) for i in ids], side, legacy)
    images = canvases.to(device).float() / 255
    labels, pad = canvas_labels(masks, side, legacy), pad_masks(sizes, side)
    for place in range(len(episodes), len(ids)):
        if not bool((labels[place] == 1).any()):
            raise DataError(
                f"support '{ids[place]}' has no pixel of class {of_class[place]} at {side} pixels; draw the episodes "
                "anew, or with a larger min_area"
            )
    return _as_batch(images, labels, pad, classes, base, device)


def require_visible(source: Source, lists: EpisodeList, side: int, legacy: bool) -> None:
    """Look at the least object of each class of a list, before anything is trained.

    Raises DataError when nothing of it is left on the canvas: `evaluation_batch` would refuse it as a support.
    """
    areas = {image.image_id: image.areas for image in lists.images}
    for class_id, ids in lists.by_class.items():
        least = min(ids, key=lambda image_id: areas[image_id][class_id])
        if not bool((canvas_labels([source.mask(least)], side, legacy) == class_id).any()):
            area = areas[least][class_id]
            raise DataError(
                f"class {lists.name_of(class_id)} has an area of {area} in '{least}', and no pixel is left of it at "
                f"{side} pixels: a support would be empty. Take a min_area above {area}, or a larger size"
            )


def _of_class(labels: Tensor, classes: Tensor) -> Tensor:
    """uint8 ``(N, S, S)``: 1 the row's class, 255 void, else 0."""
    found = (labels == classes[:, None, None]).to(torch.uint8)
    return found.masked_fill(labels == VOID, VOID)


def _as_batch(
    images: Tensor, labels: Tensor, pad: Tensor, classes: Tensor, base: tuple[int, ...], device: torch.device
) -> EpisodeBatch:
    """Split what was read together: queries first, then the supports episode by episode."""
    n = len(classes)
    labels, pad = to_device(labels, device), to_device(pad, device)
    place = torch.tensor([base.index(c) if c in base else -1 for c in classes.tolist()])
    return EpisodeBatch(
        query=images[:n],
        query_mask=labels[:n],
        query_pad=pad[:n],
        support=images[n:].unflatten(0, (n, -1)),
        support_mask=labels[n:].unflatten(0, (n, -1)),
        support_pad=pad[n:].unflatten(0, (n, -1)),
        class_id=to_device(classes, device),
        base_class=to_device(place, device),
    )
