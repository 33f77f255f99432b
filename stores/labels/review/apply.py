"""Applying a review: the child of a label set that people corrected."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from stores.artefacts import Manifest, Recipe, Store
from stores.labels.filling import ShardFill
from stores.labels.index import LabelIndex
from stores.labels.review.outcome import Outcome, note_applied, outcome_of
from stores.labels.review.review import Review
from stores.labels.sets import LabelSet
from stores.labels.stats import mean_quality
from stores.labels.writer import LabelWriter
from wilss.digest import ALGORITHM_VERSION
from wilss.errors import DamagedArtefactError, DataError, SpecError
from wilss.measure.columns import COLUMNS
from wilss.measure.quality import mask_quality, row_iou

Masks = NDArray[np.uint8]
Numbers = NDArray[np.float32]


def apply_review(store: Store, named: str) -> tuple[Manifest, Outcome]:
    """Publish what a label set becomes by its review, which stays as it is; the same review gives the same child.

    Args:
        named: the set's digest, or the first digits of it.

    Raises SpecError for a set of which nobody said anything, DataError where no image is left or a painted mask has
    another size than its image, ArtefactNotFoundError for a set that is not there.
    """
    manifest = store.get("labels", named)
    review = Review.open(store.root, manifest.digest)
    if not review.states:
        raise SpecError(
            f"nobody said anything of label set {manifest.digest[:12]} yet; look at it with 'wilss inspect', or say it "
            f"with 'wilss labels review {manifest.digest[:12]}'"
        )
    labels = LabelSet.open(store.path("labels", manifest.digest))
    outcome = outcome_of(labels.index, review)
    if not len(outcome.positions):
        raise DataError(
            f"the review of label set {manifest.digest[:12]} leaves no image ({outcome.notes.sentence}); correct some "
            "masks, or take something back"
        )
    child = _publish(store, manifest, _Child(labels, review, outcome))
    note_applied(review, child, outcome.notes)
    return child, outcome


@dataclass(frozen=True)
class _Child:
    """Rows of the child, image by image."""

    parent: LabelSet
    review: Review
    outcome: Outcome

    @property
    def index(self) -> LabelIndex:
        of = self.parent.index
        ids = tuple(of.ids[position] for position in self.outcome.positions)
        return LabelIndex(ids, of.classes, self.outcome.tags, of.canvas, of.grid, of.stages[-1:])

    @property
    def content(self) -> str:
        """Checksum of its images, tags and masks."""
        found = hashlib.sha256(repr([self.index.ids, self.index.classes]).encode("utf-8", "surrogateescape"))
        found.update(self.outcome.tags.tobytes())
        for image in range(len(self.outcome.positions)):
            found.update(np.packbits(self.rows(image)[0], axis=-1).tobytes())
        return found.hexdigest()

    def rows(self, image: int) -> tuple[Masks, Numbers]:
        """Masks of an image in its size on the canvas, uint8 ``(R, h, w)``, and their numbers, ``(R, Q)``.

        The numbers of masks that nobody painted are the parent's.
        """
        position = int(self.outcome.positions[image])
        before = dict(zip(self._channels(position), self.parent.image_masks(self.parent.stage, position), strict=True))
        known = dict(zip(before, self._numbers(position), strict=True))
        masks, told = [], []
        for channel in self.outcome.tags[image].nonzero()[0].tolist():
            digest = self.outcome.painted.get((position, channel))
            mask = self._painted(position, digest) if digest else before[channel]
            masks.append(mask)
            told.append(_told(mask, before.get(channel)) if digest else known[channel])
        empty = np.zeros((0, *self.parent.true_size(position)), np.uint8)
        return np.stack(masks) if masks else empty, np.stack(told) if told else np.zeros((0, len(COLUMNS)), np.float32)

    def _channels(self, position: int) -> list[int]:
        channels: list[int] = self.parent.index.tags[position].nonzero()[0].tolist()
        return channels

    def _numbers(self, position: int) -> Numbers:
        first, last = self.parent.index.starts[position : position + 2]
        unknown = np.full(last - first, np.nan, np.float32)
        kept = {name: values[first:last] for name, values in self.parent.quality.items()}
        return np.stack([kept.get(name, unknown) for name in COLUMNS], 1)

    def _painted(self, position: int, digest: str) -> Masks:
        mask, size = self.review.mask(digest), self.parent.true_size(position)
        if mask.shape != size:
            seen, wanted = (f"{height} x {width}" for height, width in (mask.shape, size))
            raise DataError(
                f"the mask painted for image '{self.parent.index.ids[position]}' is {seen}, the image is {wanted} on "
                "the canvas; paint it again"
            )
        return mask.astype(np.uint8)


def _told(mask: Masks, before: Masks | None) -> Numbers:
    """Numbers of a painted mask; its agreement is with the one that it replaces."""
    masks = torch.from_numpy(mask)[None]
    agreement = torch.full((1,), torch.nan)
    if before is not None:
        agreement = row_iou(masks.bool(), torch.from_numpy(before)[None].bool())
    return mask_quality(masks, agreement)[0]


def _publish(store: Store, parent: Manifest, child: _Child) -> Manifest:
    facts = {"version": ALGORITHM_VERSION, "stage": "review", "rows": len(child.index.ids), "content": child.content}
    recipe = Recipe("labels", facts, {"parent": parent.ref})
    with suppress(DamagedArtefactError):  # it is moved out of the way and made anew
        if found := store.find(recipe):
            return found
    with store.build(recipe) as folder:
        _write(folder, child)
        counts = {"images": len(child.index.ids), "rows": child.index.n_rows, "shards": child.index.n_shards}
        notes = {"quality": mean_quality(LabelSet.open(folder)), "review": child.outcome.notes.model_dump()}
        return store.publish(recipe, folder, counts, {**parent.notes, **notes, "own_tags": True})


def _write(folder: Path, child: _Child) -> None:
    index, parent = child.index, child.parent
    writer = LabelWriter.begin(folder, index)
    for shard in range(index.n_shards):
        fill, images = ShardFill(index, shard), index.images(shard)
        for image in images:
            masks, told = child.rows(image)
            fill.add([image], {index.stages[-1]: torch.from_numpy(masks)}, told)
        of: Sequence[int] = child.outcome.positions[images.start : images.stop].tolist()
        fill.sizes[:], fill.pixels[:] = parent.sizes[of], parent.pixels[of]
        writer.write(shard, fill.content())
