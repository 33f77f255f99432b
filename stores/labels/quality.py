"""How good a label set is where the truth is known. For reports only: no training code calls this."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stores.labels.index import LabelIndex
from stores.labels.sets import LabelSet
from wilss.data.images import to_canvas
from wilss.data.source import VOID, Source
from wilss.measure.confusion import mask_iou, mask_ratio

PART_BYTES = 8 << 20
"""Of dense masks that are compared together; what is computed of them takes some five times as much."""
Table = dict[str, float | None]


def label_quality(source: Source, labels: LabelSet) -> dict[str, Table]:
    """IoU of every stage of a label set against the true masks: stage -> class name -> value, and "mean".

    None for a class that no mask shows: masks of a folder may be drawn for the base classes only. For the same reason
    an image whose mask lacks a class of its tags says nothing about that class.
    """
    class_ids = tuple(source.classes.index(name) + 1 for name in labels.index.classes)
    sums = {stage: torch.zeros(len(class_ids), 2, dtype=torch.int64) for stage in labels.index.stages}
    known = torch.zeros(len(class_ids), dtype=torch.bool)
    for images in parts_of(labels.index):
        if not any(source.has_mask(labels.index.ids[image]) for image in images):
            continue
        truth, shown = _truth(source, labels, images, class_ids)
        counted = shown | ~torch.from_numpy(labels.index.tags[images.start : images.stop])
        known |= shown.any(0)
        for stage in sums:
            sums[stage] += mask_iou(labels.read(stage, images.start, images.stop), truth, class_ids, counted)
    return {stage: _by_class(labels.index.classes, mask_ratio(values), known) for stage, values in sums.items()}


def row_truth(source: Source, labels: LabelSet, stage: str) -> NDArray[np.float32]:
    """IoU of every mask of a stage with the true one, float32 ``(R,)``; NaN where the truth is not known or not shown.

    Void pixels are left out.
    """
    return np.concatenate([np.zeros(0), *image_truths(source, labels, stage)]).astype(np.float32)


def image_truths(source: Source, labels: LabelSet, stage: str) -> Iterator[NDArray[np.float64]]:
    """The same image by image, float64 ``(rows of the image,)``."""
    class_ids = [source.classes.index(name) + 1 for name in labels.index.classes]
    for image, image_id in enumerate(labels.index.ids):
        own = [class_ids[channel] for channel in labels.index.tags[image].nonzero()[0]]
        if not source.has_mask(image_id):
            yield np.full(len(own), np.nan)
            continue
        whole = source.mask(image_id)
        truth = to_canvas(whole[None], labels.index.canvas, nearest=True)[0].numpy()
        masks, shown = labels.image_masks(stage, image).astype(bool), truth[None] == np.array(own)[:, None, None]
        hits = (masks & shown).sum((1, 2))
        union = ((masks | shown) & (truth != VOID)).sum((1, 2))
        known = np.isin(own, whole.numpy()) & (union > 0)
        yield np.where(known, hits / np.maximum(union, 1), np.nan)


def parts_of(index: LabelIndex) -> Iterator[range]:
    """Positions of images, a few at a time: at most `PART_BYTES` of dense masks, and never of two shards."""
    step = max(1, PART_BYTES // (len(index.classes) * index.canvas**2))
    for shard in range(index.n_shards):
        images = index.images(shard)
        for start in range(images.start, images.stop, step):
            yield range(start, min(start + step, images.stop))


def _truth(source: Source, labels: LabelSet, rows: range, class_ids: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """True masks on the canvas, uint8 ``(N, S, S)``, and which classes they show, bool ``(N, C)``, at any size."""
    canvas, wanted = labels.index.canvas, torch.tensor(class_ids)
    truth = torch.full((len(rows), canvas, canvas), VOID, dtype=torch.uint8)
    shown = torch.zeros(len(rows), len(class_ids), dtype=torch.bool)
    for place, row in enumerate(rows):
        if not source.has_mask(labels.index.ids[row]):
            continue  # void: nothing to compare with
        whole_mask = source.mask(labels.index.ids[row])
        shown[place] = (whole_mask.flatten() == wanted[:, None]).any(1)
        mask = to_canvas(whole_mask[None], canvas, nearest=True)[0]
        truth[place, : mask.shape[0], : mask.shape[1]] = mask
    return truth, shown


def _by_class(classes: tuple[str, ...], ratio: Tensor, known: Tensor) -> Table:
    ratio = ratio.where(known, torch.nan)
    table: Table = {
        name: None if torch.isnan(value) else float(value) for name, value in zip(classes, ratio, strict=True)
    }
    return {**table, "mean": None if torch.isnan(ratio.nanmean()) else float(ratio.nanmean())}
