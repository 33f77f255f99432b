"""Training episodes as tensors: what is drawn, cropped and mixed."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from tests.wilss.boxes import Boxes
from tests.wilss.tiny_heads import batch_of
from wilss.data.scenes.source import ScenesSource
from wilss.data.source import Source
from wilss.data.spec import World
from wilss.fewshot.episodes.augment import draw_episode_view
from wilss.fewshot.episodes.batches import Augmented, DrawEpisodes, EpisodeImages, evaluation_batch, mix_episodes
from wilss.fewshot.episodes.draw import Episode, Sampler
from wilss.fewshot.episodes.lists import build_list, read_areas
from wilss.fewshot.episodes.spec import EpisodeAugmentSpec
from wilss.fewshot.heads.contract import EpisodeBatch


def test_a_share_of_the_batches_is_about_other_episodes_and_repeats() -> None:
    def draw(share: float) -> list[tuple[str, list[int]]]:
        calls: list[tuple[str, list[int]]] = []

        def note(name: str) -> DrawEpisodes:
            def remember(positions: list[int]) -> EpisodeBatch:
                calls.append((name, positions))
                return batch_of()

            return remember

        mixed = mix_episodes(note("usual"), note("other"), 7, share, torch.Generator().manual_seed(3))
        for _ in range(400):
            mixed([100, 101, 102])
        return calls

    assert draw(0.0) == [("usual", [100, 101, 102])] * 400
    some = draw(0.25)
    assert some == draw(0.25)
    others = [positions for name, positions in some if name == "other"]
    assert 70 <= len(others) <= 130
    assert {len(positions) for positions in others} == {3}
    assert {position for positions in others for position in positions} == set(range(7))
    assert all(positions == [100, 101, 102] for name, positions in some if name == "usual")


def test_training_episodes_keep_classes_supports_and_padding_apart() -> None:
    source = ScenesSource(World(image_size=48), 160, 0)  # smaller than the crop: a part is padding
    areas = read_areas(source, source.ids("train"))
    base = (2, 3, 5, 7)
    lists = build_list(areas, base, 20)
    ids = tuple(image.image_id for image in lists.images)

    def draw(void: bool = False) -> EpisodeBatch:
        data = EpisodeImages(source, ids, 48)
        if void:
            plain = data.labelled.masks
            data.labelled.masks = lambda rows: plain(rows).masked_fill(plain(rows) == 0, 255)  # type: ignore[method-assign]
        generator = torch.Generator().manual_seed(0)
        augmented = Augmented(data, EpisodeAugmentSpec(), 65, base, DIM, generator, torch.device("cpu"))
        return augmented.of(Sampler(lists, "image", 3, 0))(list(range(6)))

    batch = draw()
    assert batch.support.shape == (6, 3, 3, 65, 65)
    assert len(set(batch.class_id.tolist())) > 1
    assert [base[place] for place in batch.base_class.tolist()] == batch.class_id.tolist()
    assert (batch.support_mask == 1).flatten(2).any(2).all(), "every support shows its episode's class"
    assert batch.query_mask is not None
    for mask, pad in ((batch.query_mask, batch.query_pad), (batch.support_mask, batch.support_pad)):
        assert 0.1 < pad.float().mean() < 0.9
        assert (mask[pad] == 255).all()
        assert set(mask[~pad].tolist()) == {0, 1, 255}, "void has its own pixels"
    far = batch.query_pad[:, :4, :4].all(2).all(1)
    assert far.any()
    assert (batch.query[far, :, 0, 0] == torch.tensor(DIM)).all(), "what lies outside has its own colour"
    assert torch.equal(draw(void=True).support_pad, batch.support_pad), "padding comes from sizes, not from labels"
    assert torch.equal(draw(void=True).query_pad, batch.query_pad)


def test_crops_keep_their_foreground_and_views_agree() -> None:
    gen = torch.Generator().manual_seed(0)
    labels = torch.zeros(16, 96, 96, dtype=torch.uint8)
    labels[:, 60:70, 4:20] = 1
    sizes = torch.full((16, 2), 96)
    view = draw_episode_view(EpisodeAugmentSpec(scale=(1.5, 1.5), blur=0.0), sizes, labels, 64, gen)
    kept = (view.labels(labels) == 1).sum((1, 2)) / (labels == 1).sum((1, 2)) / 1.5**2
    assert (kept > 0.8).float().mean() > 0.9, "redrawn until the object is in the crop"
    twelfth = draw_episode_view(EpisodeAugmentSpec(scale=(1.5, 1.5)), sizes, 12 * labels, 64, gen).labels(12 * labels)
    assert ((twelfth == 12).sum((1, 2)) > 300).float().mean() > 0.7, "whatever the number of its class"
    image = (labels == 1).float()[:, None].expand(-1, 3, -1, -1)
    agree = (view.images(image, torch.tensor(DIM))[:, 0] > 0.5) == (view.labels(labels) == 1)
    assert agree.float().mean() > 0.99
    small = draw_episode_view(EpisodeAugmentSpec(), sizes, labels, 128, gen)
    assert (small.labels(labels) == 255).any(), "what lies outside is void"


IDS = tuple(str(k) for k in range(15))
CLASSES = (1, 2, 3, 4, 5)
PLAIN = EpisodeAugmentSpec(blur=0.0)
DIM = (0.4, 0.3, 0.2)
"""Colour of what lies outside an image."""


def boxes() -> Source:
    return cast(Source, Boxes())


def augmented(base: tuple[int, ...] = CLASSES) -> Augmented:
    data = EpisodeImages(boxes(), IDS, 128)
    return Augmented(data, PLAIN, 129, base, DIM, torch.Generator().manual_seed(0), torch.device("cpu"))


def shows(images: Tensor, masks: Tensor) -> bool:
    """Whether what is bright in every image ``(..., 3, H, W)`` is the object of its own mask."""
    bright, found, known = images[..., 0, :, :] > 0.5, masks == 1, masks != 255
    both, either = (bright & found).flatten(-2).sum(-1), ((bright | found) & known).flatten(-2).sum(-1)
    return bool((both / either > 0.93).all())


def test_training_images_show_what_their_masks_say() -> None:
    lists = build_list(read_areas(boxes(), IDS), CLASSES, 20)
    batch = augmented().of(Sampler(lists, "image", 2, 0))(list(range(12)))
    assert batch.query_mask is not None
    assert shows(batch.query, batch.query_mask)
    assert shows(batch.support, batch.support_mask)
    assert not shows(batch.query.flip(0), batch.query_mask)
    assert not shows(batch.support.flip(1), batch.support_mask)


def test_images_of_stage_1_show_what_their_labels_say() -> None:
    order = [7, 2, 11, 0, 5, 8]
    drawn = augmented().base_classes(order, "ignore")
    objects = (drawn.labels > 0).to(torch.uint8).masked_fill(drawn.labels == 255, 255)
    assert shows(drawn.images, objects)
    for row, position in enumerate(order):
        assert set(drawn.labels[row].unique().tolist()) - {0, 255} == {position % 5 + 1}
    base = (2, 4)
    kept, hidden = (augmented(base).base_classes(order, novel).labels for novel in ("background", "ignore"))
    novel, within = torch.tensor([position % 5 + 1 not in base for position in order]), objects == 1
    assert set(kept[novel][within[novel]].tolist()) == {0}
    assert set(hidden[novel][within[novel]].tolist()) == {255}
    assert torch.equal(kept[~novel], hidden[~novel])
    assert {position % 5 + 1 for position in order} & set(base) == {2, 4}
    assert set(kept[~novel][within[~novel]].tolist()) == {1, 2}


def test_scored_images_show_what_their_masks_say_and_void_is_no_padding() -> None:
    episodes = [Episode(str(k), k % 5 + 1, (str((k + 5) % 15), str((k + 10) % 15))) for k in range(15)]

    def read(source: Any, legacy: bool = False) -> EpisodeBatch:
        return evaluation_batch(source, episodes, 129, legacy, torch.device("cpu"), CLASSES)

    batch = read(boxes())
    assert batch.query_mask is not None
    assert shows(batch.query, batch.query_mask)
    assert shows(batch.support, batch.support_mask)
    assert not shows(batch.support.flip(1), batch.support_mask)
    assert batch.base_class.tolist() == [k % 5 for k in range(15)]

    class Void(Boxes):
        def mask(self, image_id: str) -> Tensor:
            mask = super().mask(image_id)
            return mask.masked_fill(mask == 0, 255)

    for legacy in (False, True):
        plain, ringed = read(boxes(), legacy), read(Void(), legacy)
        for mask, pad in ((plain.query_mask, plain.query_pad), (plain.support_mask, plain.support_pad)):
            assert mask is not None
            assert (mask[pad] == 255).all()
            assert ((mask == 255) & ~pad).flatten(-2).any(-1).all(), "void at the lower edge of every image"
        assert torch.equal(plain.query_pad, ringed.query_pad)
        assert torch.equal(plain.support_pad, ringed.support_pad)
