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
    positions = base_positions(source, protocol, scenario)
    images = _table(source, protocol, 0, scenario, canvas, positions)
    channels = output_channels(protocol.steps[0], len(source.classes), VOID if void == "ignore" else 0)
    return MaskedImages(images, tuple(channels))


def base_positions(source: Source, protocol: Benchmark, scenario: Scenario) -> tuple[int, ...]:
    """Positions of the images of step 0 in the training list: those of the protocol that have a mask."""
    ids = source.ids("train")
    found = step_images(source.tags("train"), protocol, 0, scenario)
    return tuple(p for p in found if source.has_mask(ids[p]))


def step_data(source: Source, protocol: Benchmark, step: int, scenario: Scenario, canvas: int) -> TaggedImages:
    """Images and image-level labels of the classes of step t >= 1; no mask and no tag of any other class.

    Raises ValueError for step 0, which has masks (`base_data`).
    """
    if step < 1:
        raise ValueError(f"step {step} is the base step; its data come from base_data")
    positions = step_images(source.tags("train"), protocol, step, scenario)
    images = _table(source, protocol, step, scenario, canvas, positions)
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


def _table(
    source: Source, protocol: Benchmark, step: int, scenario: Scenario, canvas: int, positions: tuple[int, ...]
) -> ImageTable:
    if not positions:
        raise DataError(no_images(source, protocol, step, scenario))
    ids = source.ids("train")
    return ImageTable(source, tuple(ids[p] for p in positions), canvas)


def no_images(source: Source, protocol: Benchmark, step: int, scenario: Scenario) -> str:
    """What to say when a step has no image."""
    names = ", ".join(source.classes[c - 1] for c in protocol.steps[step])
    masks = " with a mask" if step == 0 else ""
    alone = " and no class unknown by then" if scenario == "disjoint" and not protocol.keeps_empty else ""
    return (
        f"no training image{masks} for step {step} of {protocol.name} ({scenario}): none holds {names}{alone}; "
        f"check the list{', or take the scenario overlap' if alone else ''}"
    )
