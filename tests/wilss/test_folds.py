"""Folds: published class ids, COCO's numbering, and which fold may start which incremental benchmark."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from wilss.data.coco import names as coco_names
from wilss.data.coco.split import CocoSplit
from wilss.errors import SpecError
from wilss.fewshot.episodes.folds import CROSS, TEST_CLASSES, Variant, fold_of, may_feed
from wilss.protocol import Benchmark, benchmark, benchmarks


@pytest.mark.parametrize("name", ["pascal-5i", "scenes-5i"])
def test_twenty_classes_are_dealt_five_at_a_time(name: str) -> None:
    assert [fold_of(name, k).novel for k in range(4)] == [tuple(range(5 * k + 1, 5 * k + 6)) for k in range(4)]
    assert fold_of(name, 1).base == (*range(1, 6), *range(11, 21))
    assert fold_of(name, 1).held_out == fold_of(name, 1).novel
    assert fold_of(name, 1, "stride") == fold_of(name, 1, "contiguous")


def test_names_of_pascal_folds() -> None:
    names = [[TEST_CLASSES["pascal-5i"][c - 1] for c in fold_of("pascal-5i", k).novel] for k in range(4)]
    assert names[0] == ["aeroplane", "bicycle", "bird", "boat", "bottle"]
    assert names[2] == ["diningtable", "dog", "horse", "motorbike", "person"]


def test_coco_is_dealt_in_strides_or_in_a_row() -> None:
    strides = [fold_of("coco-20i", k).novel for k in range(4)]
    assert strides == [tuple(range(k + 1, 81, 4)) for k in range(4)]
    assert strides[0][-1] == 77
    rows = [fold_of("coco-20i", k, "contiguous").novel for k in range(4)]
    assert rows == [tuple(range(20 * k + 1, 20 * k + 21)) for k in range(4)]
    assert fold_of("coco-20i", 0).test_classes[0] == "person"


@pytest.mark.parametrize("name", TEST_CLASSES)
@pytest.mark.parametrize("variant", ["stride", "contiguous"])
def test_base_and_novel_classes_share_nothing(name: str, variant: Variant) -> None:
    for k in range(4):
        fold = fold_of(name, k, variant)
        names = [{fold.train_classes[c - 1] for c in fold.base}, {fold.test_classes[c - 1] for c in fold.novel}]
        assert not names[0] & names[1]
        assert sorted((*fold.base, *fold.held_out)) == list(range(1, len(fold.train_classes) + 1))
        assert (fold.wanted("train"), fold.wanted("eval")) == (fold.base, fold.novel)


def test_coco_to_pascal_keeps_the_published_classes() -> None:
    legacy = [fold_of(CROSS, k, table="legacy").novel for k in range(4)]
    assert legacy == [(1, 4, 9, 11, 12, 15), (2, 6, 13, 18), (3, 8, 16, 17, 19, 20), (5, 7, 10, 14)]
    correct = [fold_of(CROSS, k).novel for k in range(4)]
    assert correct == [(1, 4, 9, 11, 12, 15), (2, 6, 13, 18), (3, 7, 16, 17, 19, 20), (5, 8, 10, 14)]
    voc = TEST_CLASSES[CROSS]
    assert {voc[c - 1] for c in correct[2]} == {"bird", "car", "pottedplant", "sheep", "train", "tvmonitor"}
    assert {voc[c - 1] for c in correct[3]} == {"bottle", "cat", "cow", "motorbike"}
    assert fold_of(CROSS, 2).base == fold_of("coco-20i", 2).base


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pascal5i", 0), "unknown few-shot benchmark 'pascal5i'. Did you mean 'pascal-5i'"),
        (("coco-20i", 0, "strided"), "unknown variant 'strided'. Did you mean 'stride'"),
        ((CROSS, 0, "stride", "swapped"), "unknown name table 'swapped'. Known: correct, legacy"),
        (("coco-20i", 4), "coco-20i has no fold 4; its folds are 0 to 3"),
        (("coco-20i", -1), "coco-20i has no fold -1"),
    ],
)
def test_what_does_not_exist_is_told(arguments: tuple[str, int], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        fold_of(*arguments)


def test_only_fold_three_may_start_a_benchmark_and_only_those_of_fifteen_base_classes() -> None:
    allowed = set()
    for few_shot in TEST_CLASSES:
        for k in range(4):
            for name, incremental in benchmarks().items():
                try:
                    may_feed(fold_of(few_shot, k), incremental)
                except SpecError:
                    continue
                allowed.add((few_shot, k, name))
    scenes = {("scenes-5i", 3, "scenes-15-5"), ("scenes-5i", 3, "scenes-15-1")}
    assert allowed == scenes | {("pascal-5i", 3, "voc-15-5"), ("pascal-5i", 3, "voc-15-1")}


def test_a_leak_is_told_by_its_classes() -> None:
    message = (
        "pascal-5i fold 1 has seen masks of pottedplant, sheep, sofa, train, tvmonitor, but voc-15-5 .* use fold 3$"
    )
    with pytest.raises(SpecError, match=message):
        may_feed(fold_of("pascal-5i", 1), benchmark("voc-15-5"))
    with pytest.raises(SpecError, match=r"diningtable, dog, .* no fold is free of this"):
        may_feed(fold_of("pascal-5i", 3), benchmark("voc-10-10"))
    with pytest.raises(SpecError, match=r"do not number the same classes; .* family 'voc'"):
        may_feed(fold_of("scenes-5i", 3), benchmark("voc-15-5"))


def test_coco_classes_are_compared_by_name_not_by_number() -> None:
    fold = fold_of("coco-20i", 0)
    with pytest.raises(SpecError, match=r"fold 0 \(stride\) has seen masks of bicycle, car, motorcycle, bus, train,"):
        may_feed(fold, benchmark("coco-to-voc"))
    ids = tuple(coco_names.CLASSES.index(fold.train_classes[c - 1]) + 1 for c in fold.base)
    rest = tuple(c for c in range(1, 81) if c not in ids)
    own = Benchmark("own", "coco-voc", (ids, rest), keeps_empty=True)
    may_feed(fold, own)
    may_feed(fold_of(CROSS, 0), own)


def test_coco_masks_get_few_shot_ids(real_data: Path) -> None:
    table = torch.tensor(coco_names.coco_lookup(), dtype=torch.uint8)
    assert sorted(table.tolist()) == sorted([*range(81), 255] + [0] * 174)
    split = CocoSplit(real_data / "coco128", "train2017")
    for image_id in split.ids[:4]:
        own = split.mask(image_id)
        ours = table[own.long()]
        assert torch.equal(own == 255, ours == 255)
        for value in set(own.unique().tolist()) - {0, 255}:
            renamed = ours[own == value].unique()
            assert fold_of("coco-20i", 0).train_classes[int(renamed) - 1] == coco_names.CLASSES[value - 1]
