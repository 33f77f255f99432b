"""The quality of label sets where truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from stores.artefacts import Recipe, Store
from stores.labels.index import LabelIndex
from stores.labels.quality import label_quality
from stores.labels.sets import LabelSet
from tests.stores.labels.sets import from_dense
from wilss.report.records import percent

CANVAS = 8
CLASSES = ("cat", "dog")


def quality(
    root: Path, masks: Sequence[Tensor | None], tags: Sequence[tuple[bool, ...]], layers: Tensor
) -> dict[str, float | None]:
    """IoU of one stage of a label set of cats (1) and dogs (2)."""
    ids = tuple(str(number) for number in range(len(tags)))
    store, recipe = Store(root), Recipe("labels", {})
    index = LabelIndex(ids, CLASSES, np.array(tags), CANVAS, (1, 1), ("final",))
    with store.build(recipe) as folder:
        from_dense(folder, index, layers)
        manifest = store.publish(recipe, folder, {})
    source: Any = SimpleNamespace(
        classes=CLASSES, has_mask=lambda i: masks[int(i)] is not None, mask=lambda i: masks[int(i)]
    )
    return label_quality(source, LabelSet.open(store.folder(manifest.ref)))["final"]


def truth(*rows: int) -> Tensor:
    """A mask of the given rows of class ids."""
    return torch.tensor(rows, dtype=torch.uint8).repeat_interleave(CANVAS // len(rows))[:, None].expand(-1, CANVAS)


def layer(*rows: int) -> Tensor:
    return torch.stack([truth(*rows) == class_id for class_id in (1, 2)]).to(torch.uint8)


def test_a_class_that_no_mask_shows_has_no_iou_and_is_not_in_the_mean(tmp_path: Path) -> None:
    both = ((True, True),) * 2
    found = quality(tmp_path, [truth(1, 0), truth(1, 1)], both, torch.stack([layer(1, 2), layer(1, 2)]))
    assert found == {"cat": pytest.approx(8 / 12), "dog": None, "mean": pytest.approx(8 / 12)}
    assert percent(found["dog"]) == "–"


def test_a_mask_without_a_class_of_the_images_tags_says_nothing_about_it(tmp_path: Path) -> None:
    tags = ((True, True), (True, True), (True, False))
    masks = [truth(1, 2), truth(1, 0), truth(2, 0)]  # the second was drawn for cats alone
    layers = torch.stack([layer(1, 2), layer(1, 2), layer(1, 0)])
    found = quality(tmp_path, masks, tags, layers)
    assert found["cat"] == 1.0, "the third says nothing about cats"
    assert found["dog"] == pytest.approx(1 / 2), "but has a dog that no mask covers"


def test_a_class_that_is_shown_and_not_found_has_an_iou_of_zero(tmp_path: Path) -> None:
    found = quality(tmp_path, [truth(2, 0)], [(False, True)], layer(0, 0)[None])
    assert found == {"cat": None, "dog": 0.0, "mean": 0.0}


def test_a_mask_of_a_class_that_is_neither_tagged_nor_shown_makes_no_zero(tmp_path: Path) -> None:
    found = quality(tmp_path, [truth(2, 0)], [(False, True)], layer(2, 1)[None])
    assert found == {"cat": None, "dog": 1.0, "mean": 1.0}


def test_without_any_mask_nothing_is_known_and_no_layer_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(LabelSet, "read")
    assert quality(tmp_path, [None], [(True, True)], layer(1, 2)[None]) == {"cat": None, "dog": None, "mean": None}


def test_an_object_that_the_canvas_loses_is_shown_by_its_mask(tmp_path: Path) -> None:
    large = torch.zeros(64, 64, dtype=torch.uint8)
    large[1, 1] = 1
    found = quality(tmp_path, [large], [(True, False)], layer(1, 0)[None])
    assert found["cat"] == 0.0
