"""Published label sets for tests of reviews, and masks to paint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from stores.artefacts import Manifest, Recipe, Store
from stores.labels.review import Change, Review, RowState
from stores.labels.sets import LabelSet
from tests.stores.labels.sets import index, whole_set

SIZE = (12, 16)
"""Of every image on the canvas."""
NOTES: dict[str, Any] = {"format": 2, "benchmark": "scenes-15-5", "spec": {}, "class_ids": [16, 17], "step": 1}


def published(root: Path, name: str = "a", **changes: Any) -> tuple[Store, Manifest]:
    """Nine images: cats, dogs, both and neither, one after the other."""
    store, recipe = Store(root), Recipe("labels", {"scorer": name})
    of = replace(index(images=4), **changes)
    with store.build(recipe) as folder:
        whole_set(folder, of)
        return store, store.publish(recipe, folder, {"images": len(of.ids), "rows": of.n_rows}, NOTES)


def opened(store: Store, manifest: Manifest) -> LabelSet:
    return LabelSet.open(store.folder(manifest.ref))


def square(size: tuple[int, int] = SIZE) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[2:7, 3:9] = True
    return mask


def say(review: Review, rows: dict[tuple[str, str], RowState], who: str = "ada") -> None:
    changes = [Change(*key, state, review.version(*key)) for key, state in rows.items()]
    review.act(who, "note", changes)
