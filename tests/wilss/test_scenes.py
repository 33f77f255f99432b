"""The built-in world: reproducible, independent of the range asked for, and as described."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from wilss.data.scenes.outlines import CLASSES, N_BLOBS
from wilss.data.scenes.random_silhouettes import overlap_with_classes, random_shapes
from wilss.data.scenes.silhouettes import ATLAS_SIZE, class_shapes
from wilss.data.scenes.source import ScenesSource
from wilss.data.scenes.world import BLOCK, caption, draw
from wilss.data.spec import World
from wilss.errors import DataNotFoundError, SpecError
from wilss.foundation.pretrain.pairs import Pairs, draw_pairs


def test_a_scene_depends_on_its_index_alone() -> None:
    world = World(image_size=48)
    many = draw(world, "train", 0, 2 * BLOCK)
    few = draw(world, "train", BLOCK - 2, BLOCK + 3)
    assert torch.equal(few.images, many.images[BLOCK - 2 : BLOCK + 3])
    assert torch.equal(few.masks, many.masks[BLOCK - 2 : BLOCK + 3])
    assert not torch.equal(draw(world, "eval", 0, 4).images, many.images[:4])
    assert not torch.equal(draw(World(image_size=48, seed=1), "train", 0, 4).images, many.images[:4])


def test_every_class_occurs_objects_overlap_and_borders_are_void() -> None:
    scenes = draw(World(image_size=64), "train", 0, 256)
    tags = scenes.tags()
    assert {c for row in tags for c in row} == set(range(1, 21))
    assert {len(row) for row in tags} >= {1, 2, 3}
    assert 0.02 < float((scenes.masks == 255).float().mean()) < 0.2
    assert scenes.images.shape == (256, 3, 64, 64)
    assert scenes.images.dtype == scenes.masks.dtype == torch.uint8


def test_colours_do_not_give_the_class_away() -> None:
    """A linear classifier on colour histograms stays below 0.35 image-level recall."""
    train, test = (draw(World(image_size=48), split, 0, 1024) for split in ("train", "eval"))

    def histograms(images: torch.Tensor) -> torch.Tensor:
        bins = (images.long() // 64 * torch.tensor([16, 4, 1]).view(1, 3, 1, 1)).sum(1).flatten(1)
        counts = torch.zeros(len(images), 64).scatter_add_(1, bins, torch.ones_like(bins, dtype=torch.float32))
        return torch.cat([counts / counts.sum(1, keepdim=True), torch.ones(len(images), 1)], 1)

    def targets(masks: torch.Tensor) -> torch.Tensor:
        return torch.stack([(masks == c).flatten(1).any(1) for c in range(1, 21)], 1).float()

    x, y = histograms(train.images), targets(train.masks)
    weights = torch.linalg.solve(x.T @ x + 1e-3 * torch.eye(65), x.T @ y)
    scores, truth = histograms(test.images) @ weights, targets(test.masks).bool()
    recalls = [t[s.topk(int(t.sum())).indices].float().mean() for s, t in zip(scores, truth, strict=True) if t.any()]
    assert float(torch.stack(recalls).mean()) < 0.35


def test_random_silhouettes_are_reproducible_and_like_no_other() -> None:
    shapes = random_shapes(40, 3)
    assert shapes.coverage.shape == (40 + N_BLOBS, ATLAS_SIZE, ATLAS_SIZE)
    assert torch.equal(random_shapes(10, 3).coverage[:10], shapes.coverage[:10])  # each depends on its number alone
    assert not torch.equal(random_shapes(10, 4).coverage[:10], shapes.coverage[:10])
    inside = (shapes.coverage[:40] > 0.5).flatten(1).float()
    assert 0.1 < float(inside.mean(1).min()) <= float(inside.mean(1).max()) < 0.52
    both = inside @ inside.T
    assert float((both / (inside.sum(1)[:, None] + inside.sum(1) - both) - torch.eye(40)).max()) < 0.98


def test_no_random_silhouette_looks_like_a_class() -> None:
    def picture(coverage: torch.Tensor) -> Image.Image:
        return Image.fromarray((255 * coverage).to(torch.uint8).numpy())

    classes = [picture(coverage) for coverage in class_shapes().coverage[:20]]
    for turn in (0, 30, -17):  # as the world turns them
        seen = [image.rotate(turn, Image.Resampling.BILINEAR, expand=True) for image in classes]
        assert min(overlap_with_classes(image) for image in seen) > 0.8
    assert min(overlap_with_classes(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) for image in classes) > 0.8
    assert max(overlap_with_classes(picture(coverage)) for coverage in random_shapes(40, 3).coverage[:40]) < 0.83


def test_scenes_of_random_silhouettes() -> None:
    source = ScenesSource(World(image_size=48, seed=2), 64, 0, (30, 5))
    found = {c for tags in source.tags("train") for c in tags}
    assert len(found) > 20
    assert max(found) <= 30 == len(source.classes)
    assert source.fingerprint != ScenesSource(World(image_size=48, seed=2), 64, 0, (30, 6)).fingerprint
    assert not torch.equal(source.image("train-000000"), ScenesSource(source.world, 64, 0).image("train-000000"))
    for count in (2, 255):
        with pytest.raises(SpecError, match=f"{count} silhouettes were asked for; a world has 3 to 254"):
            random_shapes(count, 0)


def test_captions_name_exactly_the_classes() -> None:
    generator = torch.Generator().manual_seed(0)
    for tags in ((1,), (4, 9), (2, 13, 20)):
        words = set(caption(tags, generator).replace(",", " ").split())
        assert words & set(CLASSES) == {CLASSES[c - 1] for c in tags}


def test_pretraining_pairs_carry_no_mask() -> None:
    pairs = draw_pairs(World(image_size=32), 40, shard=32)
    assert set(vars(pairs)) == {"images", "captions"}
    assert len(pairs) == len(pairs.captions) == 40
    assert set(Pairs.__dataclass_fields__) == {"images", "captions"}


def test_empty_range_and_unknown_ids_are_refused() -> None:
    from wilss.data.scenes.source import ScenesSource

    with pytest.raises(ValueError, match="0 <= start < stop"):
        draw(World(), "train", 3, 3)
    with pytest.raises(DataNotFoundError, match="ids look like 'train-000007'"):
        ScenesSource(World(), 4, 4).image("nonsense")


def test_tags_are_read_off_the_masks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    source = ScenesSource(World(image_size=48), 6, 3)
    tags = {split: source.tags(split) for split in ("train", "eval")}
    assert [len(rows) for rows in tags.values()] == [6, 3]
    assert tags["train"] == tuple(draw(World(image_size=48), "train", 0, 6).tags())

    def read(self: ScenesSource, image_id: str) -> torch.Tensor:
        raise AssertionError("read again")

    monkeypatch.setattr(ScenesSource, "mask", read)
    assert {split: source.tags(split) for split in ("train", "eval")} == tags
