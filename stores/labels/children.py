"""Child label sets: other masks than their parent's, or a part of its rows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from stores.artefacts import ArtefactRef, Manifest, Recipe, Store
from stores.labels.sets import LabelSet, LabelWriter
from wilss.digest import ALGORITHM_VERSION

Correct = Callable[[str, Tensor], Tensor]
"""Image id, and its parent's masks uint8 ``(C, S, S)`` -> the child's, of the same shape."""


def make_child(store: Store, parent: ArtefactRef, ids: Sequence[str], correct: Correct | None = None) -> Manifest:
    """Publish a label set with these rows of another one, in this order.

    Its digest is that of its content, so that the same corrections give the same set; it is read once for the digest
    and once more to be written.

    Args:
        correct: makes the child's masks out of the parent's last stage; None takes them as they are.

    Raises ArtefactNotFoundError for a parent that is not there, DataError for an image that it lacks.
    """
    of, labels = store.find(parent), LabelSet.open(store.folder(parent))
    assert of is not None
    content = hashlib.sha256(repr(list(ids)).encode())
    for image_id in ids:
        content.update(_masks(labels, image_id, correct).numpy().tobytes())
    facts = {"version": ALGORITHM_VERSION, "stage": "child", "rows": len(ids), "content": content.hexdigest()}
    recipe = Recipe("labels", facts, {"parent": parent})
    if found := store.find(recipe):
        return found
    rows = [labels.position(image_id) for image_id in ids]
    tags = tuple(labels.index.tags[row] for row in rows)
    index = labels.index.model_copy(update={"ids": tuple(ids), "tags": tags, "stages": labels.index.stages[-1:]})
    with store.build(recipe) as folder:
        writer = LabelWriter.begin(folder, index)
        for shard in range(index.n_shards):
            part = slice(index.rows(shard).start, index.rows(shard).stop)
            masks = torch.stack([_masks(labels, image_id, correct) for image_id in ids[part]])
            sizes, originals = (_read(labels, name, rows[part]) for name in ("size", "original"))
            writer.write(shard, {index.stages[0]: masks}, sizes, originals)
        return store.publish(recipe, folder, {"images": len(ids), "shards": index.n_shards}, of.notes)


def _masks(labels: LabelSet, image_id: str, correct: Correct | None) -> Tensor:
    row = labels.position(image_id)
    masks = labels.read(labels.index.stages[-1], row, row + 1)[0]
    return masks if correct is None else correct(image_id, masks)


def _read(labels: LabelSet, name: str, rows: Sequence[int]) -> Tensor:
    return torch.cat([labels.read(name, row, row + 1) for row in rows])
