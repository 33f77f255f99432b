"""Child label sets: other masks than their parent's, or a part of its rows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stores.artefacts import ArtefactRef, Manifest, Recipe, Store
from stores.labels.filling import ShardFill
from stores.labels.index import LabelIndex
from stores.labels.sets import LabelSet
from stores.labels.stats import mean_quality
from stores.labels.writer import LabelWriter
from wilss.digest import ALGORITHM_VERSION
from wilss.errors import DataError
from wilss.measure.columns import COLUMNS
from wilss.measure.quality import mask_quality, row_iou

Correct = Callable[[str, Tensor], Tensor]
"""Image id, and its parent's masks uint8 ``(C, S, S)`` -> the child's, of the same shape."""


def make_child(store: Store, parent: ArtefactRef, ids: Sequence[str], correct: Correct | None = None) -> Manifest:
    """Publish a label set with these rows of another one, in this order.

    Its digest is that of its content, so that the same corrections give the same set; it is read once for the digest
    and once more to be written.

    Args:
        correct: makes the child's masks out of the parent's last stage; None takes them as they are.

    Raises ArtefactNotFoundError for a parent that is not there, DataError for an image that it lacks, and for a mask of
    a class that the image is not tagged with.
    """
    of, labels = store.find(parent), LabelSet.open(store.folder(parent))
    assert of is not None
    positions = [labels.position(image_id) for image_id in ids]
    content = hashlib.sha256(repr(list(ids)).encode())
    for position in positions:
        content.update(_dense(labels, position, correct).tobytes())
    facts = {"version": ALGORITHM_VERSION, "stage": "child", "rows": len(ids), "content": content.hexdigest()}
    recipe = Recipe("labels", facts, {"parent": parent})
    if found := store.find(recipe):
        return found
    index = labels.index.of(positions, labels.index.stages[-1:])
    with store.build(recipe) as folder:
        _write(folder, index, labels, positions, correct)
        counts = {"images": len(ids), "rows": index.n_rows, "shards": index.n_shards}
        kept = {name: note for name, note in of.notes.items() if name != "review"}  # which made the parent
        notes = {**kept, "quality": mean_quality(LabelSet.open(folder))}
        return store.publish(recipe, folder, counts, notes)


def _write(folder: Path, index: LabelIndex, labels: LabelSet, positions: list[int], correct: Correct | None) -> None:
    writer = LabelWriter.begin(folder, index)
    for shard in range(index.n_shards):
        fill, images = ShardFill(index, shard), index.images(shard)
        for image, position in zip(images, positions[images.start : images.stop], strict=True):
            _add(fill, image, labels, position, correct)
        of = positions[images.start : images.stop]
        fill.sizes[:], fill.pixels[:] = labels.sizes[of], labels.pixels[of]
        writer.write(shard, fill.content())


def _add(fill: ShardFill, image: int, labels: LabelSet, position: int, correct: Correct | None) -> None:
    """One image's rows: the parent's numbers where the masks are, else numbers of their own."""
    height, width = labels.true_size(position)
    masks = _rows(labels, position, correct)[:, :height, :width]
    if correct is None:
        first, last = labels.index.starts[position : position + 2]
        unknown = np.full(last - first, np.nan, np.float32)
        known = {name: values[first:last] for name, values in labels.quality.items()}
        told = np.stack([known.get(name, unknown) for name in COLUMNS], 1)
    else:
        before = torch.from_numpy(_rows(labels, position, None)[:, :height, :width]).bool()
        told = mask_quality(torch.from_numpy(masks), row_iou(torch.from_numpy(masks).bool(), before))
    fill.add([image], {labels.stage: torch.from_numpy(masks)}, told)


def _rows(labels: LabelSet, position: int, correct: Correct | None) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Masks of the tagged classes, uint8 ``(R, S, S)``."""
    return _dense(labels, position, correct)[labels.index.tags[position]]


def _dense(labels: LabelSet, position: int, correct: Correct | None) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Masks of all classes, uint8 ``(C, S, S)``. Raises DataError for one of a class that is not tagged."""
    masks = labels.read(labels.stage, position, position + 1)[0]
    if correct is None:
        return masks.numpy()
    image_id = labels.index.ids[position]
    found = correct(image_id, masks).numpy()
    untagged = found[~labels.index.tags[position]]
    if untagged.any():
        names = [name for name in labels.index.classes if name not in labels.index.tagged(position)]
        shown = names[int(untagged.any((1, 2)).argmax())]
        raise DataError(
            f"the mask of image '{image_id}' shows {shown}, which is not among its tags "
            f"({', '.join(labels.index.tagged(position)) or 'none'}); tag the image with it, or erase it"
        )
    return found
