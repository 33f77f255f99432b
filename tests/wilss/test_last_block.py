"""What the last block of a ViT tower may do, against slow transcriptions (`tests.wilss.slow_blocks`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import QuickGELU, VisionTransformer
from torch import Tensor, nn

from tests.wilss import slow_blocks
from wilss.errors import SpecError
from wilss.foundation.attention import before_last_block
from wilss.foundation.clip_towers import dense_features, require_block
from wilss.foundation.last_block import Proxy, neighbourhood, proxy_of
from wilss.foundation.loading import _accept_any_size
from wilss.foundation.spec import Block

BLOCKS: tuple[Block, ...] = get_args(Block)[1:]
SIZE = (24, 40)
"""Other than the towers': position embeddings are resized, and rows are not columns."""


def lively(visual: nn.Module) -> Any:
    """A frozen tower whose norms, biases and scales are not those of the start, which would hide a missing one."""
    with torch.no_grad():
        for name, value in visual.named_parameters():
            if value.ndim == 1 or "class_embedding" in name:
                value.add_(0.3 * torch.randn_like(value))
    return visual.eval().requires_grad_(False)


def native(**changes: Any) -> tuple[Any, slow_blocks.Weights]:
    torch.manual_seed(0)
    how = {"image_size": 32, "patch_size": 8, "width": 32, "layers": 3, "heads": 4, "mlp_ratio": 2.0, **changes}
    visual = lively(VisionTransformer(output_dim=16, **how))
    quick = changes.get("act_layer") is QuickGELU
    return visual, slow_blocks.of_open_clip(visual, slow_blocks.quick_gelu if quick else slow_blocks.gelu)


def of_timm(**changes: Any) -> tuple[Any, slow_blocks.Weights]:
    torch.manual_seed(0)
    name = changes.get("name", "test_vit")
    visual = lively(TimmModel(name, 16, image_size=160, pool="token", proj="linear"))
    _accept_any_size(visual.trunk)
    return visual, slow_blocks.of_timm(visual, slow_blocks.gelu)


def tokens_of(visual: Any, images: Tensor) -> tuple[Tensor, int, tuple[int, int]]:
    """Tokens that enter the last block, by the tower's own modules."""
    if isinstance(visual, TimmModel):
        grid = (images.shape[-2] // 16, images.shape[-1] // 16)
        return before_last_block(visual.trunk, images)[0], visual.trunk.num_prefix_tokens, grid
    grid = (images.shape[-2] // 8, images.shape[-1] // 8)
    patches = visual.conv1(images).flatten(2).transpose(1, 2)
    places = visual.positional_embedding
    square = places[1:].unflatten(0, (4, 4)).permute(2, 0, 1)[None]
    moved = nn.functional.interpolate(square, grid, mode="bicubic", antialias=True)[0].flatten(1).T
    x = visual.ln_pre(torch.cat([(visual.class_embedding + places[0]).expand(len(images), 1, -1), patches + moved], 1))
    for block in visual.transformer.resblocks[:-1]:
        x = block(x)
    return x, 1, grid


TOWERS: dict[str, Callable[[], tuple[Any, slow_blocks.Weights]]] = {
    "open_clip": native,
    "QuickGELU": lambda: native(act_layer=QuickGELU),
    "layer scale": lambda: native(ls_init_value=0.5),
    "timm": of_timm,
}


@torch.inference_mode()
@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("tower", TOWERS)
def test_every_block_equals_its_slow_transcription(tower: str, block: Block) -> None:
    visual, weights = TOWERS[tower]()
    factor = 2 if tower == "timm" else 1
    images = torch.randn(2, 3, SIZE[0] * factor, SIZE[1] * factor)
    other = torch.randn(2, 7, 4, 3) + 0.5
    tokens, prefix, grid = tokens_of(visual, images)
    found = dense_features(visual, images, block, proxy_of(other)).features
    assert found.shape == (2, 16, *((4, 3) if block == "proxy" else grid))
    for image in range(2):
        expected = slow_blocks.patches(block, tokens[image], weights, prefix, grid, other[image])
        torch.testing.assert_close(found[image].flatten(1).T.double(), expected, atol=2e-5, rtol=2e-5)


@torch.inference_mode()
@pytest.mark.parametrize("tower", ["open_clip", "timm"])
def test_keys_are_those_of_the_patches(tower: str) -> None:
    visual, weights = TOWERS[tower]()
    images = torch.randn(1, 3, 32, 48)
    tokens, prefix, grid = tokens_of(visual, images)
    found = dense_features(visual, images, "value").keys
    assert found is not None
    width = tokens.shape[-1]
    own = slice(width, 2 * width)
    for place, token in enumerate(tokens[0, prefix:].double()):
        expected = weights.qkv[0][own] @ slow_blocks.normed(token, weights.norm1, weights.eps) + weights.qkv[1][own]
        key = found[0, :, place // grid[1], place % grid[1]].double()
        torch.testing.assert_close(key, expected, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("block", BLOCKS)
def test_blocks_differ_and_no_image_sees_another(block: Block) -> None:
    visual, _ = native()
    images, proxy = torch.randn(3, 3, *SIZE), proxy_of(torch.randn(3, 7, 3, 5))
    together = dense_features(visual, images, block, proxy).features
    for k in range(3):
        own = Proxy(proxy.attention[k : k + 1], proxy.grid)
        alone = dense_features(visual, images[k : k + 1], block, own).features
        torch.testing.assert_close(together[k : k + 1], alone, atol=1e-5, rtol=1e-5)
    others = [dense_features(visual, images, name, proxy).features for name in BLOCKS if name != block]
    assert all((together - features).abs().max() > 1e-2 for features in others)


@torch.inference_mode()
def test_auto_is_the_value_path_of_open_clips_vit_and_a_timm_trunk_as_it_is() -> None:
    images = torch.randn(1, 3, 32, 64)
    visual, _ = native()
    assert torch.equal(dense_features(visual, images).features, dense_features(visual, images, "value").features)
    trunk, _ = of_timm()
    whole = trunk.head(trunk.trunk.forward_features(images)[:, 1:])
    torch.testing.assert_close(dense_features(trunk, images).features.flatten(2).transpose(1, 2), whole)


def test_the_neighbourhood_knows_rows_from_columns_and_leaves_the_class_token_alone() -> None:
    near = neighbourhood((2, 3), 1)
    assert near.shape == (6, 7)
    assert near[:, 0].tolist() == [0.0] * 6
    assert near[torch.arange(6), torch.arange(6) + 1].tolist() == [1.0] * 6
    far = torch.exp(torch.tensor(-(1 + 4) / 50))
    torch.testing.assert_close(near[0, 1 + 5], far)  # from (0, 0) to (1, 2)


def test_an_image_that_looks_the_same_everywhere_attends_to_itself() -> None:
    attention = proxy_of(torch.ones(1, 4, 2, 2)).attention[0]
    assert torch.equal(attention, torch.eye(4))


def test_a_proxy_takes_the_mean_of_each_image() -> None:
    features = torch.randn(2, 5, 3, 3)
    alone = proxy_of(features[:1]).attention
    features[1] = 1.0
    torch.testing.assert_close(proxy_of(features).attention[:1], alone)


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "convolutional trunk": (lambda: TimmModel("test_convnext", 16, pool="avg"), "is a ConvNeXt without one"),
    "attention pool": (
        lambda: ModifiedResNet(layers=(1, 1, 1, 1), output_dim=16, heads=4, image_size=32, width=8),
        "is a ModifiedResNet without one",
    ),
    "block of another kind": (
        lambda: VisionTransformer(32, 8, 32, 1, 4, 2.0, output_dim=16, block_type="custom"),
        "is a VisionTransformer without one",
    ),
}


@pytest.mark.parametrize("tower", REFUSED)
def test_a_block_that_the_tower_cannot_do_is_refused(tower: str) -> None:
    make, message = REFUSED[tower]
    visual = make().eval()
    require_block(visual, "auto")
    with pytest.raises(SpecError, match=rf"foundation\.block=naclip changes the last attention.*{message}"):
        require_block(visual, "naclip")
    with pytest.raises(SpecError, match=r"foundation\.block=naclip"):
        dense_features(visual, torch.zeros(1, 3, 32, 32), "naclip")


def test_proxy_without_features_is_refused() -> None:
    visual, _ = native()
    with pytest.raises(SpecError, match="needs the features of a grouper; name a dino:"):
        dense_features(visual, torch.zeros(1, 3, 16, 16), "proxy")
