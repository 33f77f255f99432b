"""What each step may see, cut out of a data set by its protocol."""

from __future__ import annotations

import torch

from wilss.data.images import ImageTable, MaskedImages, TaggedImages
from wilss.data.source import VOID, Source
from wilss.errors import DataError
from wilss.protocol import Benchmark, Scenario, output_channels, step_images, visible_tags


def base_data(
    source: Source, protocol: Benchmark, scenario: Scenario, canvas: int, void: str = "background"
) -> MaskedImages:
    """Images and masks of step 0; every class but the base classes becomes background (0).

    Args:
        void: "background" maps 255 to 0 as WILSON's code does, "ignore" keeps it.
    """
    images = _table(source, protocol, 0, scenario, canvas)
    channels = output_channels(protocol.steps[0], len(source.classes), VOID if void == "ignore" else 0)
    return MaskedImages(images, tuple(channels))


def step_data(source: Source, protocol: Benchmark, step: int, scenario: Scenario, canvas: int) -> TaggedImages:
    """Images and image-level labels of the classes of step t >= 1; no mask and no tag of any other class.

    Raises ValueError for step 0, which has masks (`base_data`).
    """
    if step < 1:
        raise ValueError(f"step {step} is the base step; its data come from base_data")
    images = _table(source, protocol, step, scenario, canvas)
    tags = dict(zip(source.ids("train"), source.tags("train"), strict=True))
    rows = [visible_tags(tags[image_id], protocol.steps[step]) for image_id in images.ids]
    return TaggedImages(images, torch.tensor(rows, dtype=torch.bool))


def evaluation_data(source: Source, protocol: Benchmark, step: int, canvas: int, part: str = "") -> MaskedImages:
    """All evaluation images; classes not yet learnt at ``step`` count as background, void stays 255.

    Args:
        part: one of the source's further evaluation sets; "" is the main one.
    """
    channels = output_channels(protocol.seen(step), len(source.classes), VOID)
    ids = source.further_eval[part] if part else source.ids("eval")
    return MaskedImages(ImageTable(source, ids, canvas), tuple(channels))


def _table(source: Source, protocol: Benchmark, step: int, scenario: Scenario, canvas: int) -> ImageTable:
    positions = step_images(source.tags("train"), protocol, step, scenario)
    if not positions:
        names = ", ".join(source.classes[c - 1] for c in protocol.steps[step])
        raise DataError(
            f"no training image for step {step} of {protocol.name} ({scenario}): none holds {names}; check the list"
        )
    ids = source.ids("train")
    return ImageTable(source, tuple(ids[p] for p in positions), canvas)
