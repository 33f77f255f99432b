"""Lists, sampling rules, frozen files and labels of few-shot episodes."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from wilss.data.scenes.source import ScenesSource
from wilss.data.spec import World
from wilss.data.voc import VocSource
from wilss.data.voc_names import VOC_PROMPTS
from wilss.errors import DataError, DataNotFoundError, FormatError, SpecError
from wilss.fewshot.episodes.areas import load_areas, write_areas
from wilss.fewshot.episodes.draw import Episode, Sampler, base_labels, episode_labels
from wilss.fewshot.episodes.files import EpisodeFile, check_episodes, freeze_episodes, read_episodes, write_episodes
from wilss.fewshot.episodes.folds import fold_of
from wilss.fewshot.episodes.lists import (
    EpisodeList,
    ImageClasses,
    build_list,
    class_areas,
    eval_list,
    read_areas,
    train_list,
)

FOLD = fold_of("pascal-5i", 0)
areas_of_images = st.lists(st.dictionaries(st.integers(1, 20), st.integers(1, 60), max_size=4), max_size=30)


def named(areas: Sequence[dict[int, int]]) -> tuple[ImageClasses, ...]:
    return tuple(ImageClasses(f"i{k}", a) for k, a in enumerate(areas))


def literal_list(
    masks: dict[str, Tensor], wanted: Sequence[int], filtered: bool, min_area: int
) -> tuple[list[str], dict[int, list[str]]]:
    """The rule as it is written down, pixel sets and all."""
    images: list[str] = []
    of_class: dict[int, list[str]] = {c: [] for c in wanted}
    for image_id, mask in masks.items():
        label = mask.numpy()
        classes = [int(c) for c in np.unique(label) if c not in (0, 255)]
        if filtered and not set(classes) <= set(wanted):
            continue
        large = [c for c in classes if c in wanted and len(np.argwhere(label == c)) >= min_area]
        if large:
            images.append(image_id)
        for c in large:
            of_class[c].append(image_id)
    return images, of_class


def same_as_literal(found: EpisodeList, expected: tuple[list[str], dict[int, list[str]]]) -> None:
    assert [image.image_id for image in found.images] == expected[0]
    assert {c: list(ids) for c, ids in found.by_class.items()} == expected[1]


def test_areas_of_a_label_leave_background_and_void_out() -> None:
    mask = torch.tensor([[0, 255, 7], [7, 3, 255]], dtype=torch.uint8)
    assert class_areas(mask) == {3: 1, 7: 2}
    assert class_areas(torch.full((4, 4), 255, dtype=torch.uint8)) == {}


def test_an_object_counts_from_the_least_area_on() -> None:
    images = named([{1: 2047}, {1: 2048}, {1: 3000, 2: 5}, {2: 9}, {}])
    found = build_list(images, (2, 1))
    assert found.by_class == {1: ("i1", "i2"), 2: ()}
    assert [image.image_id for image in found.images] == ["i1", "i2"]
    assert found.present(1) == (1, 2)  # the size is not asked for again
    assert build_list(images, (1, 2), min_area=5).by_class[2] == ("i2", "i3")


def test_areas_come_back_from_a_file_as_they_were(tmp_path: Path) -> None:
    images = (*named([{1: 2047}, {2: 0, 1: 3000}, {}]), ImageClasses("i0", {7: 1}))  # listed twice: told later
    write_areas(images, tmp_path / "areas.json")
    assert load_areas(tmp_path / "areas.json") == images
    for damaged in ("[", '{"a": 1}', '[["a", 3]]', "7", '[["a", {"1": 2.5}]]', '[["a", {"0": 2}]]'):
        (tmp_path / "areas.json").write_text(damaged)
        with pytest.raises(FormatError, match=r"areas.json' is damaged"):
            load_areas(tmp_path / "areas.json")
    with pytest.raises(FormatError, match=r"No such file .*; take its folder anew, or delete it and run again"):
        load_areas(tmp_path / "none.json")


def test_filtered_lists_drop_an_image_for_one_novel_pixel() -> None:
    images = named([{6: 3000, 1: 1}, {6: 3000, 7: 1}, {7: 5000}])
    assert train_list(images, FOLD, "filtered").by_class[6] == ("i1",)
    assert train_list(images, FOLD, "unfiltered").by_class[6] == ("i0", "i1")
    assert eval_list(named([{6: 9, 1: 2048}]), FOLD).by_class[1] == ("i0",)


@pytest.fixture(scope="module")
def photographs(real_data: Path) -> tuple[dict[str, Tensor], tuple[ImageClasses, ...]]:
    """200 real labels, and the classes read from them."""
    source = VocSource(real_data / "voc2012", eval_list="dev")
    ids = (*source.ids("train")[:120], *source.ids("eval")[:80])
    return {i: source.mask(i) for i in ids}, read_areas(source, ids)


@pytest.mark.parametrize("kind", ["filtered", "unfiltered"])
@pytest.mark.parametrize("fold", range(4))
def test_real_lists_follow_the_written_rule(
    photographs: tuple[dict[str, Tensor], tuple[ImageClasses, ...]], fold: int, kind: Any
) -> None:
    (masks, images), that = photographs, fold_of("pascal-5i", fold)
    for min_area in (2048, 300):
        expected = literal_list(masks, that.base, kind == "filtered", min_area)
        assert len(expected[0]) > 30
        same_as_literal(train_list(images, that, kind, min_area), expected)
        same_as_literal(eval_list(images, that, min_area), literal_list(masks, that.novel, False, min_area))


def test_voc_val_has_the_published_numbers_of_images() -> None:
    """PFENet's lists for testing; its lists for training are of 5,953 images that VOC does not name."""
    folder = os.environ.get("WILSS_VOC2012")
    if folder is None:
        pytest.skip("whole PASCAL VOC 2012: set WILSS_VOC2012 to the folder that holds JPEGImages")
    source = VocSource(Path(folder), train_list="train", eval_list="val")
    images = read_areas(source, source.ids("eval"))
    found = [eval_list(images, fold_of("pascal-5i", number)) for number in range(4)]
    assert [len(that.images) for that in found] == [364, 445, 592, 336]
    assert [[len(ids) for _, ids in sorted(that.by_class.items())] for that in found] == [
        [81, 63, 89, 61, 71],
        [70, 100, 118, 110, 69],
        [73, 125, 76, 74, 386],
        [63, 53, 90, 82, 69],
    ]


def test_scenes_have_lists_and_episodes_too() -> None:
    source = ScenesSource(World(image_size=32), 96, 256)
    masks = {i: source.mask(i) for i in source.ids("eval")}
    fold = fold_of("scenes-5i", 3)
    found = eval_list(read_areas(source, source.ids("eval")), fold, min_area=24)
    same_as_literal(found, literal_list(masks, fold.novel, False, 24))
    episode = Sampler(found, shots=3).episode(7)
    assert all((masks[i] == episode.class_id).sum() >= 24 for i in episode.supports)


@settings(deadline=None)
@given(areas_of_images, st.integers(0, 3), st.integers(1, 60))
def test_lists_hold_what_they_promise(areas: list[dict[int, int]], number: int, min_area: int) -> None:
    fold, images = fold_of("pascal-5i", number), named(areas)
    truth = {image.image_id: image.areas for image in images}
    filtered, unfiltered = (train_list(images, fold, kind, min_area) for kind in ("filtered", "unfiltered"))
    assert {i.image_id for i in filtered.images} <= {i.image_id for i in unfiltered.images}
    assert all(set(image.areas) <= set(fold.base) for image in filtered.images)
    for found in (filtered, unfiltered, eval_list(images, fold, min_area)):
        assert {i for ids in found.by_class.values() for i in ids} == {image.image_id for image in found.images}
        assert all(truth[i][c] >= min_area for c, ids in found.by_class.items() for i in ids)
        assert all(found.present(k) for k in range(len(found.images)))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"wanted": ()}, SpecError, "no class is wanted"),
        ({"wanted": (0, 3)}, SpecError, "class id 0 is wanted"),
        ({"wanted": (3, 255)}, SpecError, "class id 255 is wanted"),
        ({"drop": (1,)}, SpecError, "class id 1 is both wanted and dropped"),
        ({"min_area": 0}, SpecError, "min_area is 0"),
        ({"images": named([{1: 9}]) * 2}, DataError, "image 'i0' is listed twice"),
    ],
)
def test_lists_that_cannot_be_built(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build_list(**{"images": named([{1: 9}]), "wanted": (1,), **changes})
    with pytest.raises(SpecError, match=r"unknown kind of list 'filter'\. Did you mean 'filtered'"):
        train_list((), FOLD, "filter")  # type: ignore[arg-type]


CROWD = eval_list(named([{1 + (k + k // 5) % 5: 30, 1 + k % 5: 5000, 9: 4000} for k in range(60)]), FOLD)


def test_by_image_every_image_is_the_query_once_a_pass_and_classes_are_uniform_in_it() -> None:
    sampler = Sampler(CROWD, shots=2)
    episodes = [sampler.episode(k) for k in range(20 * len(sampler))]
    passes = [[e.query for e in episodes[k : k + 60]] for k in range(0, len(episodes), 60)]
    assert all(len(set(queries)) == 60 for queries in passes)
    assert len({tuple(queries) for queries in passes}) == 20
    of_one = Counter(e.class_id for e in episodes if e.query == "i6")  # large 2, small 3: both may be asked for
    assert set(of_one) == {2, 3}
    assert min(of_one.values()) >= 4


def test_by_class_classes_are_uniform_though_their_images_are_not() -> None:
    images = named([{1: 3000}] * 300 + [{2: 3000}] * 4)
    sampler = Sampler(build_list(images, (1, 2)), rule="class", shots=5)
    episodes = [sampler.episode(k) for k in range(400)]
    assert 160 < sum(e.class_id == 1 for e in episodes) < 240
    rare = [e for e in episodes if e.class_id == 2]
    assert {e.query for e in rare} == {"i300", "i301", "i302", "i303"}
    assert all(len(set(e.supports)) < 5 for e in rare)  # three other images for five supports
    by_image = Sampler(sampler.lists)
    assert sum(by_image.episode(k).class_id == 2 for k in range(304)) == 4


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**40), st.integers(0, 500), st.integers(1, 6), st.sampled_from(["image", "class"]))
def test_supports_are_nested_listed_and_never_the_query(seed: int, index: int, shots: int, rule: Any) -> None:
    more, one = (Sampler(CROWD, rule, k, seed).episode(index) for k in (shots, 1))
    assert more == Sampler(CROWD, rule, shots, seed).episode(index)
    assert (one.query, one.class_id, one.supports) == (more.query, more.class_id, more.supports[:1])
    assert set(more.supports) <= set(CROWD.by_class[more.class_id]) - {more.query}
    assert rule == "class" or len(set(more.supports)) == shots


def test_episodes_about_one_image() -> None:
    sampler = Sampler(CROWD, shots=3)
    episodes = [sampler.about(6, number) for number in range(40)]
    assert {e.query for e in episodes} == {CROWD.images[6].image_id}
    assert {e.class_id for e in episodes} == set(CROWD.present(6))
    assert len({e.supports for e in episodes}) > 30
    assert all(e.query not in e.supports and len(set(e.supports)) == 3 for e in episodes)
    assert episodes[3] == Sampler(CROWD, shots=3).about(6, 3)


def test_seeds_differ() -> None:
    assert len({tuple(Sampler(CROWD, seed=s).episode(k) for k in range(10)) for s in range(5)}) == 5


def test_classes_with_too_few_images_are_named() -> None:
    images = named([{1: 3000}] * 5 + [{2: 3000}] * 9)
    lists = build_list(images, (1, 2), names=tuple(VOC_PROMPTS))
    with pytest.raises(DataError, match=r"class 1 \('aeroplane'\) has 5 images .* 2048 .*; K = 5 needs 6"):
        Sampler(lists, shots=5)
    Sampler(lists, shots=4)
    Sampler(lists, rule="class", shots=5)
    with pytest.raises(DataError, match=r"class 3 has 0 images .*; K = 1 needs 2"):
        Sampler(build_list(images, (1, 3)))
    with pytest.raises(DataError, match="class 3 has 0 images"):
        Sampler(build_list((), (3,)))
    with pytest.raises(SpecError, match=r"unknown rule 'images'\. Did you mean 'image'"):
        Sampler(lists, "images")  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="shots is 0"):
        Sampler(lists, shots=0)


def frozen(shots: int = 2, count: int = 12) -> EpisodeFile:
    return freeze_episodes(Sampler(CROWD, shots=shots, seed=3), count, FOLD, "eval", "f00d")


def test_a_frozen_file_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "episodes.json"
    write_episodes(frozen(), path)
    assert read_episodes(path, FOLD, "f00d") == read_episodes(path) == frozen()
    assert [p.name for p in path.parent.iterdir()] == ["episodes.json"]
    assert (frozen().lists, frozen().rule) == ("unfiltered", "image")
    pairs = zip(frozen(5).episodes, frozen(1).episodes, strict=True)
    assert all(five.supports[:1] == one.supports and five.query == one.query for five, one in pairs)
    legacy = fold_of("coco-to-pascal", 3, table="legacy")
    lists = eval_list(named([{c: 5000} for c in legacy.novel] * 3), legacy)
    write_episodes(freeze_episodes(Sampler(lists, "class"), 3, legacy, "eval", ""), path)
    assert read_episodes(path, legacy).of_fold() == legacy
    with pytest.raises(SpecError, match=r"\(stride, legacy names\), asked for is .* \(stride, correct names\)"):
        read_episodes(path, fold_of("coco-to-pascal", 3))


def test_only_lists_of_the_fold_are_frozen() -> None:
    images = named([{c: 5000} for c in range(1, 21)] * 2)
    for kind in ("filtered", "unfiltered"):
        file = freeze_episodes(Sampler(train_list(images, FOLD, kind)), 9, FOLD, "train", "", kind)
        assert (file.lists, file.split) == (kind, "train")
        check_episodes(file, [image.image_id for image in images])
    with pytest.raises(SpecError, match="a list that is unfiltered, asked for is filtered; build"):
        freeze_episodes(Sampler(CROWD), 3, FOLD, "eval", "", "filtered")
    with pytest.raises(SpecError, match=r"the list holds classes \(1, 2, 3, 4, 5\), pascal-5i fold 1 has \(6, 7"):
        freeze_episodes(Sampler(CROWD), 3, fold_of("pascal-5i", 1), "eval", "")
    with pytest.raises(SpecError, match="0 episodes cannot be frozen"):
        freeze_episodes(Sampler(CROWD), 0, FOLD, "eval", "")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "wilss-episodes-9"}, "has the format 'wilss-episodes-9', this version reads 'wilss-episodes-2'"),
        ({"format": None}, "has the format None"),
        ({"shots": "2"}, "'shots' is '2'"),
        ({"shots": 0}, "'shots' is 0 .* greater than or equal to 1"),
        ({"colour": 1}, "'colour' is 1 .*not permitted"),
        ({"episodes": []}, "'episodes' is"),
        ({"episodes": [{"query": "a", "class_id": 1}]}, r"'episodes.0.supports' \("),
        ({"rule": "images"}, "'rule' is 'images'"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = tmp_path / "episodes.json"
    path.write_text(json.dumps({**frozen().model_dump(mode="json"), **changes}))
    with pytest.raises(FormatError, match=f"episodes.json'.*{message}.*delete it and run again"):
        read_episodes(path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"3", b'{"format": "wilss-epi'])
def test_damaged_files_are_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "episodes.json"
    with pytest.raises(DataNotFoundError, match="does not exist; freeze"):
        read_episodes(path)
    path.write_bytes(content)
    with pytest.raises(FormatError, match="delete it and run again"):
        read_episodes(path)


def test_files_of_other_folds_or_data_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "episodes.json"
    write_episodes(frozen(), path)
    with pytest.raises(SpecError, match="holds episodes of pascal-5i fold 0, asked for is pascal-5i fold 2"):
        read_episodes(path, fold_of("pascal-5i", 2))
    with pytest.raises(DataError, match=r"fingerprint f00d, these have beef; use .*, or delete"):
        read_episodes(path, FOLD, "beef")
    path.write_text(path.read_text().replace('"fold":0', '"fold":7'))
    with pytest.raises(SpecError, match="pascal-5i has no fold 7"):
        read_episodes(path)


@pytest.mark.parametrize(
    ("episode", "message"),
    [
        (Episode("i0", 1, ("i5", "i0")), "query 'i0' is its own support"),
        (Episode("i0", 1, ("i5",)), "it has 1 supports; the file is about 2 shots"),
        (Episode("i0", 1, ("i5", "i5")), "a support comes twice"),
        (Episode("i0", 6, ("i5", "i10")), r"class 6 is none of pascal-5i fold 0 in split 'eval': \(1, 2, 3, 4, 5\)"),
    ],
)
def test_episodes_that_break_a_rule_are_named(tmp_path: Path, episode: Episode, message: str) -> None:
    file = frozen().model_copy(update={"episodes": (frozen().episodes[0], episode)})
    path = tmp_path / "episodes.json"
    with pytest.raises(DataError, match=message):
        write_episodes(file, path)
    path.write_text(file.model_dump_json())
    with pytest.raises(DataError, match=f"episodes.json', episode 1: .*{message}.*; delete"):
        read_episodes(path)


def test_episodes_are_held_against_the_data() -> None:
    file, ids = frozen(), [image.image_id for image in CROWD.images]
    check_episodes(file, ids)
    support = file.episodes[0].supports[0]
    without = [image_id for image_id in ids if image_id != support]
    with pytest.raises(DataError, match=rf"episode \d+: image '{support}' is not among the 59 images of the data"):
        check_episodes(file, without)


def test_labels_of_an_episode() -> None:
    mask = torch.tensor([[0, 3, 7], [255, 3, 20]], dtype=torch.uint8)
    before = mask.clone()
    assert episode_labels(mask, 3, "a").tolist() == [[0, 1, 0], [255, 1, 0]]
    assert episode_labels(mask, 3, "a").dtype == torch.uint8
    assert torch.equal(mask, before)
    with pytest.raises(DataError, match=r"label of 'a', of size \(2, 3\), is void"):
        episode_labels(torch.full_like(mask, 255), 3, "a")
    with pytest.raises(SpecError, match="class id 255 has no labels"):
        episode_labels(mask, 255, "a")


def test_labels_of_stage_one() -> None:
    mask = torch.tensor([[0, 3, 7], [255, 5, 20]], dtype=torch.uint8)
    assert base_labels(mask, (7, 3)).tolist() == [[0, 2, 1], [255, 0, 0]]
    assert base_labels(mask[None], (7, 3), "ignore").tolist() == [[[0, 2, 1], [255, 255, 255]]]
    with pytest.raises(SpecError, match="unknown treatment of novel classes 'void'"):
        base_labels(mask, (7, 3), "void")  # type: ignore[arg-type]
    for wrong in ((3, 3), (0, 3), (255,)):
        with pytest.raises(SpecError, match="each is a class id of 1 to 254, listed once"):
            base_labels(mask, wrong)
