"""The memory bank after a step t >= 1: instances of its classes, which have tags and no masks.

SSUL keeps exemplars of later classes with labels of the model that learnt them, where its score is 0.7 or more; EIR
takes instances only from images in which the class is one connected component (both with pixel labels).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from wilss.data.images import TaggedImages
from wilss.foundation.label import batches_of
from wilss.learn.incremental import MaskLayers
from wilss.learn.memory import Instance, Made, MemoryBank, Origin, components, cut_out, stack_instances, within_budget
from wilss.learn.spec import MemorySpec
from wilss.nets.segmenter import Segmenter


@dataclass(frozen=True)
class Taught:
    """What a step learnt from and what came of it.

    images: with the tags that were taught. labels: their pseudo-masks; None for a method that makes its own.
    student: after the step. step: its number. parents: digests of label set ("" for none) and student.
    """

    images: TaggedImages
    labels: MaskLayers | None
    student: Segmenter
    step: int
    parents: tuple[str, str]


def grow_bank(bank: MemoryBank, taught: Taught, spec: MemorySpec) -> tuple[MemoryBank, dict[int, float]]:
    """The bank with up to ``per_class`` instances of every class of a step, the surest first.

    An instance is the one connected component of its class in an image (specks below ``min_pixels`` apart), does not
    touch the border, and has a score of ``min_quality`` or more. A class without any is left out.

    Returns:
        the bank within its budget, and the best score of each output channel that got no instance (0 where the class
        was seen nowhere).
    """
    first = 1 + sum(taught.student.step_sizes[:-1])
    found: dict[int, list[Instance]] = {first + c: [] for c in range(taught.images.tags.shape[1])}
    best = dict.fromkeys(found, 0.0)
    for instance in candidates(taught, spec):
        score, channel = instance.origin.score, instance.channel
        best[channel] = max(best[channel], score)
        if score >= spec.min_quality:
            found[channel].append(instance)
        if len(found[channel]) >= 2 * spec.per_class:  # so that memory does not grow with the images
            found[channel] = surest(found[channel], spec.per_class)
    kept = [instance for some in found.values() for instance in surest(some, spec.per_class)]
    lacking = {channel: best[channel] for channel, some in found.items() if not some}
    return (within_budget(bank.joined(stack_instances(kept, spec.side)), spec.budget) if kept else bank), lacking


def surest(instances: list[Instance], n: int) -> list[Instance]:
    """The ``n`` of the highest scores, the surest first; of equal ones those that came first."""
    return sorted(instances, key=lambda instance: -instance.origin.score)[:n]


def candidates(taught: Taught, spec: MemorySpec) -> Iterator[Instance]:
    """The one whole instance of each tagged class in each image that has one, with its score, whatever that is."""
    made: Made = "labels" if spec.cut_by == "labels" and taught.labels is not None else "student"
    parent = taught.parents[0 if made == "labels" else 1]
    table, tags = taught.images.images, taught.images.tags
    for positions, images in batches_of(table, range(len(table))):
        probability, masks = _seen(taught, spec, positions, images)
        for row, position in enumerate(positions):
            for c in tags[position].nonzero()[:, 0].tolist():
                whole = list(components(masks[row, c].numpy(), spec.min_pixels))
                if len(whole) != 1 or whole[0][2]:
                    continue
                box, own, _ = whole[0]
                score = float(probability[row, c][box][own].mean())
                origin = Origin(made, score, taught.step, parent)
                channel = 1 + sum(taught.student.step_sizes[:-1]) + c
                cut = cut_out(table.image(position), box, own, spec.margin)
                yield Instance(*cut, channel, table.ids[position], False, origin)


@torch.inference_mode()
def _seen(taught: Taught, spec: MemorySpec, positions: list[int], images: Tensor) -> tuple[Tensor, Tensor]:
    """The student's probability of the step's classes and what cuts instances out, float and bool ``(N, C, h, w)``."""
    student, size = taught.student, images.shape[-2:]
    device = next(student.parameters()).device
    logits = student.eval()(images.to(device)).float()
    large = F.interpolate(logits, size, mode="bilinear", align_corners=False).cpu()
    n_new = student.step_sizes[-1]
    first = large.shape[1] - n_new
    masks = large.argmax(1)[:, None] == torch.arange(first, large.shape[1])[:, None, None]
    if spec.cut_by != "student" and taught.labels is not None:
        labels = taught.labels.layers(positions)[..., : size[0], : size[1]].bool()
        masks = labels if spec.cut_by == "labels" else labels & masks
    return large[:, first:].sigmoid(), masks
