"""Contract suite of data sets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import get_args

import pytest
import torch

from wilss.data.source import VOID, Source, Split
from wilss.errors import DataError, DataNotFoundError
from wilss.members import SOURCE, require_members

SPLITS: tuple[Split, ...] = get_args(Split)
MOST = 8
"""Images of a split that are looked at."""


class SourceContract(ABC):
    """What every `wilss.data.source.Source` promises.

    tags_of_masks: whether the image-level labels are just the classes of the masks.
    """

    tags_of_masks = True

    @abstractmethod
    def make(self) -> Source:
        """The data set, opened anew."""

    @pytest.fixture(scope="class")
    @classmethod
    def source(cls) -> Source:
        return cls().make()

    def shown(self, source: Source) -> list[str]:
        """Images to look at, of all splits."""
        further = [image_id for ids in source.further_eval.values() for image_id in ids[:MOST]]
        return [image_id for split in SPLITS for image_id in source.ids(split)[:MOST]] + further

    def test_it_has_all_members(self, source: Source) -> None:
        require_members(source, SOURCE, "the source")
        source.check()
        assert source.skipped >= 0

    def test_classes_have_names_and_words_of_their_own(self, source: Source) -> None:
        assert 0 < len(source.classes) == len(set(source.classes)) < VOID
        for name in source.classes:
            words = source.prompts[name]
            assert not isinstance(words, str), "a list of words"
            assert words
            assert all(word.strip() for word in words)

    def test_there_are_training_images_that_are_never_scored(self, source: Source) -> None:
        train, scored = (
            source.ids("train"),
            [*source.ids("eval"), *(i for s in source.further_eval.values() for i in s)],
        )
        assert train
        assert len(train) == len(set(train))
        assert len(scored) == len(set(scored))
        assert not set(train) & set(scored)

    @pytest.mark.parametrize("split", SPLITS)
    def test_every_image_has_a_row_of_tags(self, source: Source, split: Split) -> None:
        tags = source.tags(split)
        assert len(tags) == len(source.ids(split))
        for row in tags:
            assert list(row) == sorted(set(row))
            assert all(1 <= class_id <= len(source.classes) for class_id in row)

    def test_images_are_rgb_and_masks_lie_on_them(self, source: Source) -> None:
        for image_id in self.shown(source):
            image = source.image(image_id)
            assert (image.dtype, image.ndim, image.shape[0]) == (torch.uint8, 3, 3), image_id
            if not source.has_mask(image_id):
                continue
            mask = source.mask(image_id)
            assert (mask.dtype, mask.shape) == (torch.uint8, image.shape[1:]), image_id
            values = set(mask.unique().tolist())
            assert values <= {*range(len(source.classes) + 1), VOID}, image_id

    def test_what_is_scored_has_a_mask(self, source: Source) -> None:
        scored = [*source.ids("eval")[:MOST], *(i for ids in source.further_eval.values() for i in ids[:MOST])]
        assert all(source.has_mask(image_id) for image_id in scored)

    def test_tags_are_those_of_the_masks(self, source: Source) -> None:
        if not self.tags_of_masks:
            pytest.skip("its image-level labels come from elsewhere")
        for split in SPLITS:
            for image_id, row in zip(source.ids(split)[:MOST], source.tags(split)[:MOST], strict=True):
                if source.has_mask(image_id):
                    values = source.mask(image_id).unique().tolist()
                    assert tuple(row) == tuple(c for c in values if 0 < c < VOID), image_id

    def test_opened_again_it_is_the_same(self, source: Source) -> None:
        again = self.make()
        assert again.fingerprint == source.fingerprint
        for split in SPLITS:
            assert again.ids(split) == source.ids(split)
            assert again.tags(split) == source.tags(split)
        part = source.ids("train")[:2]
        assert again.fingerprint_of(part, (1,)) == source.fingerprint_of(part, (1,))
        for image_id in self.shown(source)[:3]:
            assert torch.equal(again.image(image_id), source.image(image_id))

    def test_an_image_that_is_not_there_is_named(self, source: Source) -> None:
        image_id = f"{source.ids('train')[0]}-none"
        with pytest.raises((DataNotFoundError, DataError), match="-none"):
            source.image(image_id)
