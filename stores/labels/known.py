"""Rows that another label set has already: of the same recipe but for its list of images, of the same image and tags.

So one photograph that is added to a folder is one that is labelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from stores.labels.filling import ShardFill
from stores.labels.index import LabelIndex
from stores.labels.rows import SparseRows
from stores.labels.sets import LabelSet
from stores.manifests import Manifest
from stores.plans.run import Run
from wilss.errors import FormatError
from wilss.measure.columns import COLUMNS


@dataclass(frozen=True)
class KnownRows:
    """The sets that rows may be taken from, newest first."""

    sets: tuple[LabelSet, ...]

    def fill(self, fill: ShardFill) -> list[int]:
        """Copy what is known into a shard whose images were looked at; returns positions of the other images."""
        return [image for place, image in enumerate(fill.images) if not self._copied(fill, place, image)]

    def _copied(self, fill: ShardFill, place: int, image: int) -> bool:
        for labels in self.sets:
            position = labels.rows.get(fill.index.ids[image])
            if position is None or not np.array_equal(labels.index.tags[position], fill.index.tags[image]):
                continue
            try:
                if np.array_equal(labels.pixels[position], fill.pixels[place]):
                    _copy(fill, image, labels, position)
                    return True
            except FormatError:
                continue  # damaged: it is labelled anew
        return False


def known_rows(run: Run, step: int, index: LabelIndex) -> KnownRows:
    """Label sets of this benchmark that were made for a step as this one is, from another list of images."""
    node = run.node("labels", step)
    if node.is_in(run.settings.again):
        return KnownRows(())
    return run.session.once(("known rows", node.recipe.digest), lambda: KnownRows(tuple(_sets(run, step, index))))


def _sets(run: Run, step: int, index: LabelIndex) -> list[LabelSet]:
    recipe, found = run.node("labels", step).recipe, []
    for manifest in reversed(run.store.all("labels")):
        same = _but_images(manifest.recipe) == _but_images(recipe.facts) and not manifest.parents
        if not same or manifest.digest == recipe.digest or manifest.notes.get("benchmark") != run.protocol.name:
            continue
        labels = _opened(run, manifest)
        if (
            labels
            and labels.columns == COLUMNS
            and _layout(labels.index) == _layout(index)
            and {*index.stages} == {*labels.index.stages}
        ):
            found.append(labels)
    return found


def _opened(run: Run, manifest: Manifest) -> LabelSet | None:
    try:
        labels = LabelSet.open(run.store.folder(manifest.ref))
    except FormatError:
        return None
    return labels if isinstance(labels.stored, SparseRows) else None  # format 1 has no digests of images


def _but_images(facts: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in facts.items() if key != "data"}


def _layout(index: LabelIndex) -> Sequence[object]:
    return index.classes, index.canvas, index.grid


def _copy(fill: ShardFill, image: int, labels: LabelSet, position: int) -> None:
    first, last = (int(row) for row in labels.index.starts[position : position + 2])
    masks = {stage: torch.from_numpy(labels.image_masks(stage, position)) for stage in fill.index.stages}
    soft = torch.from_numpy(labels.stored.read("soft", first, last)) if fill.soft is not None else None
    quality = np.stack([labels.quality[name][first:last] for name in labels.columns], 1)
    fill.add([image], masks, quality, soft)
