"""Which images and labels a step sees; counts of the real VOC lists."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from wilss.data.listing import TaggedList, list_steps
from wilss.data.scenes.source import ScenesSource
from wilss.data.spec import World
from wilss.data.steps import StepLists
from wilss.data.tags import read_labels
from wilss.data.voc_names import VOC_PROMPTS
from wilss.errors import DataError, SpecError
from wilss.protocol import SPLITS, Benchmark, benchmark, output_channels, step_images, visible_tags

TAGS = [(1,), (1, 16), (16, 17), (2, 3), (), (20,)]


def test_overlap_disjoint_and_later_steps() -> None:
    voc = benchmark("voc-15-5")
    assert step_images(TAGS, voc, 0, "overlap") == (0, 1, 3)
    assert step_images(TAGS, voc, 0, "disjoint") == (0, 3)
    assert step_images(TAGS, voc, 1, "overlap") == step_images(TAGS, voc, 1, "disjoint") == (1, 2, 5)


@pytest.mark.parametrize(
    ("name", "scenario", "expected"),
    [
        ("voc-15-5", "disjoint", (8437, 2145)),
        ("voc-15-5", "overlap", (9568, 2145)),
        ("voc-10-10", "disjoint", (3706, 6876)),
        ("voc-10-10", "overlap", (6139, 6876)),
    ],
)
def test_published_counts(real_data: Path, name: str, scenario: str, expected: tuple[int, int]) -> None:
    table = read_labels(real_data / "protocol" / "voc2012_train_aug_labels.csv", tuple(VOC_PROMPTS))
    tags = list(table.values())
    assert len(tags) == 10582
    protocol = benchmark(name)
    counts = tuple(len(step_images(tags, protocol, t, scenario)) for t in (0, 1))  # type: ignore[arg-type]
    assert counts == expected
    old = set(protocol.steps[0])
    images = TaggedList(tuple(table), tuple(tags), tuple(VOC_PROMPTS))
    overlap, disjoint = (list_steps(images, protocol, scenario)[1] for scenario in ("overlap", "disjoint"))
    assert overlap.ids == disjoint.ids
    shown = tuple(overlap.images_by_labels.values())
    assert shown == {"voc-15-5": (1973, 164, 8), "voc-10-10": (5067, 1651, 147, 11)}[name]
    assert overlap.with_old_class == overlap.in_earlier_step == {"voc-15-5": 1131, "voc-10-10": 2433}[name]
    assert disjoint.in_earlier_step == 0
    both = sum(bool(old & set(tags[i])) for i in step_images(tags, protocol, 1, "overlap"))
    assert both == {"voc-15-5": 1131, "voc-10-10": 2433}[name]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("voc-15-1", (8437, 378, 299, 420, 500, 548)),
        ("voc-10-5-5", (3706, 4731, 2145)),
        ("voc-10-2", (3706, 1056, 428, 3625, 719, 1048)),
    ],
)
def test_disjoint_steps_hide_images_with_a_class_that_is_not_known_yet(
    real_data: Path, name: str, expected: tuple[int, ...]
) -> None:
    table = read_labels(real_data / "protocol" / "voc2012_train_aug_labels.csv", tuple(VOC_PROMPTS))
    images = TaggedList(tuple(table), tuple(table.values()), tuple(VOC_PROMPTS))
    steps = list_steps(images, benchmark(name), "disjoint")
    assert tuple(step.images for step in steps) == expected
    assert sum(expected) == len(table)
    assert not any(step.in_earlier_step for step in steps)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("family", ["voc", "scenes"])
def test_every_split_has_each_class_once_and_disjoint_steps_know_all_that_they_show(family: str, split: str) -> None:
    protocol = benchmark(f"{family}-{split}")
    assert [c for classes in protocol.steps for c in classes] == list(range(1, 21))
    first, *more = (int(part) for part in split.split("-"))
    assert protocol.sizes(len(protocol.steps) - 1)[: 1 + len(more)] == (first, *more)
    assert len(set(protocol.sizes(len(protocol.steps) - 1)[1:])) == 1
    tags = [tuple(sorted({1 + k % 20, 1 + (k // 20 + k) % 20})) for k in range(400)]  # every pair of classes
    for step, classes in enumerate(protocol.steps):
        overlap, disjoint = (step_images(tags, protocol, step, scenario) for scenario in ("overlap", "disjoint"))
        assert overlap == tuple(i for i, own in enumerate(tags) if set(own) & set(classes))
        last = max(classes)  # classes come in the order of their ids
        assert disjoint == tuple(i for i in overlap if max(tags[i]) <= last)
        assert (disjoint == overlap) == (last == 20)


def test_coco_to_voc_knows_no_scenarios() -> None:
    protocol = Benchmark("own", "coco-voc", ((1, 2), (3,), (4,)), keeps_empty=True)
    tags = [(1,), (), (3, 4), (1, 3), (2, 4)]
    for scenario in ("overlap", "disjoint"):
        assert [step_images(tags, protocol, t, scenario) for t in (0, 1, 2)] == [(0, 1), (2, 3), (2, 4)]


def test_visible_tags_hold_nothing_of_other_classes() -> None:
    assert visible_tags((1, 16, 20), (16, 17, 18, 19, 20)) == (True, False, False, False, True)


def test_channels_turn_unlisted_classes_and_void_into_background() -> None:
    table = output_channels((16, 3), 20)
    assert table[16] == 1
    assert table[3] == 2
    assert table[1] == table[255] == 0
    assert output_channels((16, 3), 20, 255)[255] == 255


@pytest.mark.parametrize(("name", "hint"), [("scenes-15-6", "scenes-15-5"), ("voc15-5", "voc-15-5")])
def test_unknown_benchmark_names_the_closest(name: str, hint: str) -> None:
    with pytest.raises(SpecError, match=f"Did you mean '{hint}'"):
        benchmark(name)


@pytest.fixture(scope="module")
def source() -> ScenesSource:
    return ScenesSource(World(image_size=32), 96, 8)


def test_a_later_step_carries_no_mask_and_no_tag_of_another_class(source: ScenesSource) -> None:
    protocol = benchmark("scenes-15-5")
    data = StepLists.open(source, protocol, "overlap").tagged(1, 32)
    assert set(vars(data)) == {"images", "tags"}
    assert data.tags.shape == (len(data), 5)
    assert data.tags.any(1).all()
    assert not any("mask" in name for name in dir(data.images))
    truth = dict(zip(source.ids("train"), source.tags("train"), strict=True))
    for image_id, row in zip(data.images.ids, data.tags, strict=True):
        assert {16 + k for k in row.nonzero()[:, 0].tolist()} == {c for c in truth[image_id] if c >= 16}


def test_no_evaluation_image_is_ever_trained_on(source: ScenesSource) -> None:
    protocol = benchmark("scenes-15-5")
    train = {i for t in (0,) for i in StepLists.open(source, protocol, "overlap").base(32).images.ids}
    train |= set(StepLists.open(source, protocol, "overlap").tagged(1, 32).images.ids)
    assert not train & set(StepLists.open(source, protocol, "overlap").evaluation(1, 32).images.ids)


def test_base_masks_know_base_classes_only(source: ScenesSource) -> None:
    data = StepLists.open(source, benchmark("scenes-15-5"), "overlap").base(32, "ignore")
    values = set(torch.cat([data.mask(p).flatten() for p in range(len(data))]).unique().tolist())
    assert values <= {*range(16), 255}
    assert 255 in values


def test_step_zero_has_no_tagged_data(source: ScenesSource) -> None:
    with pytest.raises(ValueError, match="base step"):
        StepLists.open(source, benchmark("scenes-15-5"), "overlap").tagged(0, 32)


def test_a_step_that_the_scenario_leaves_empty_says_so(source: ScenesSource) -> None:
    protocol = Benchmark("own", "scenes", ((1,), (2,), tuple(range(3, 21))))
    assert len(StepLists.open(source, protocol, "overlap").tagged(1, 32))
    words = r"step 1 of own \(disjoint\): none holds .* and no class unknown by then; .*the scenario overlap"
    with pytest.raises(DataError, match=words):
        StepLists.open(source, protocol, "disjoint").tagged(1, 32)
