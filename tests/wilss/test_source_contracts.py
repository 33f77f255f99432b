"""Our data sets keep the contract of sources, and the suite notices those that do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.flows.test_cli import voc_folder
from tests.wilss.sharded import shards_of
from tests.wilss.test_coco import coco_folder
from tests.wilss.test_folder import CLASSES, own_folder
from wilss.data.coco.objects import CocoSource
from wilss.data.coco.source import CocoToVocSource
from wilss.data.coco.split import CocoSplit
from wilss.data.folder import FolderSource
from wilss.data.places.opening import known_of
from wilss.data.scenes.source import ScenesSource
from wilss.data.source import Source, Split
from wilss.data.spec import World
from wilss.data.voc import VocSource
from wilss.testing import SourceContract


class OnDisk(SourceContract):
    """A source whose files are written once for the class."""

    folder: Path

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _written(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        cls.folder = tmp_path_factory.mktemp("data")
        cls.write(cls.folder)

    @classmethod
    def write(cls, folder: Path) -> None: ...

    @pytest.fixture(scope="class")
    @classmethod
    def source(cls, _written: None) -> Source:
        return cls().make()


class TestScenes(SourceContract):
    def make(self) -> Source:
        return ScenesSource(World(image_size=32), 6, 4)


class TestRandomSilhouettes(SourceContract):
    def make(self) -> Source:
        return ScenesSource(World(image_size=32), 6, 4, (9, 3))


class TestVoc(OnDisk):
    @classmethod
    def write(cls, folder: Path) -> None:
        voc_folder(folder / "voc")

    def make(self) -> Source:
        return VocSource(self.folder / "voc", "train_aug", "dev")


class TestCoco(OnDisk):
    @classmethod
    def write(cls, folder: Path) -> None:
        coco_folder(folder / "coco")
        coco = folder / "coco"
        for part in ("annotations/instances_{}2017.json", "{}2017"):
            (coco / part.format("val")).symlink_to(coco / part.format("train"))
        voc_folder(folder / "voc")

    def make(self) -> Source:
        return CocoSource(*(CocoSplit(self.folder / "coco", split) for split in ("train2017", "val2017")))


class TestCocoToVoc(TestCoco):
    def make(self) -> Source:
        splits = (CocoSplit(self.folder / "coco", split) for split in ("train2017", "val2017"))
        return CocoToVocSource(*splits, VocSource(self.folder / "voc", "train_aug", "dev"))


class TestFolder(OnDisk):
    tags_of_masks = False

    @classmethod
    def write(cls, folder: Path) -> None:
        own_folder(folder / "own")
        (folder / "own" / "eval.txt").write_text("e\n")

    def make(self) -> Source:
        return FolderSource(self.folder / "own", CLASSES, (1, 2))


class TestShards(OnDisk):
    tags_of_masks = False

    @classmethod
    def write(cls, folder: Path) -> None:
        (own_folder(folder / "own") / "eval.txt").write_text("e\n")
        shards_of(folder / "own", folder / "shards", 2, "json")

    def make(self) -> Source:
        root = self.folder / "shards"
        return FolderSource(root, CLASSES, (1, 2), stamps=known_of(root, None))


class Good(ScenesSource):
    def __init__(self) -> None:
        super().__init__(World(image_size=32), 6, 4)


class MaskElsewhere(Good):
    def mask(self, image_id: str) -> Tensor:
        return super().mask(image_id)[1:]


class TagsOfOthers(Good):
    def tags(self, split: Split) -> tuple[tuple[int, ...], ...]:
        return super().tags(split)[::-1]


class ScoresWhatItTrains(Good):
    def ids(self, split: Split) -> tuple[str, ...]:
        return super().ids("train")


class Shuffled(Good):
    def image(self, image_id: str) -> Tensor:
        image = super().image(image_id)
        return image[:, torch.randperm(32)]


class OneWord(Good):
    @property
    def prompts(self) -> Any:
        return {name: name for name in self.classes}


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (MaskElsewhere, lambda suite, source: suite.test_images_are_rgb_and_masks_lie_on_them(source)),
        (TagsOfOthers, lambda suite, source: suite.test_tags_are_those_of_the_masks(source)),
        (ScoresWhatItTrains, lambda suite, source: suite.test_there_are_training_images_that_are_never_scored(source)),
        (Shuffled, lambda suite, source: suite.test_opened_again_it_is_the_same(source)),
        (OneWord, lambda suite, source: suite.test_classes_have_names_and_words_of_their_own(source)),
    ],
)
def test_the_suite_notices_a_source_that_breaks_the_contract(broken: Any, check: Callable[[Any, Source], None]) -> None:
    check(type("Kept", (SourceContract,), {"make": lambda self: Good()})(), Good())
    with pytest.raises(AssertionError):
        check(type("Broken", (SourceContract,), {"make": lambda self: broken()})(), broken())
