"""IPMT against a slow, literal float64 transcription that shares no code with it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.wilss.ipmt_reference import (
    enlarged,
    feed_forward,
    head_reference,
    masked_attention,
    nearest,
    transformer_reference,
)
from tests.wilss.test_attention import randomise
from wilss.fewshot.heads.contract import HeadInput, HeadOutput
from wilss.fewshot.heads.ipmt import IpmtHead, dice_loss, masks_loss, support_attention_masks
from wilss.fewshot.heads.ipmt_transformer import FeedForward, MaskedAttention, Tokens
from wilss.fewshot.heads.spec import IpmtSpec
from wilss.fewshot.model import FewShotModel
from wilss.fewshot.pyramid import Features, MiddleFeatures
from wilss.nets.normalise import Normalise
from wilss.testing.episodes import make_batch, make_input

CHANNELS = (3, 4, 5, 6)
SMALL = {"dim": 8, "layers": 2, "hidden": 12, "points": 4, "reduction_ratio": 2}
KINDS = ("spatial-reduction", "deformable")


def make_head(seed: int = 0, **changes: Any) -> IpmtHead:
    """Small and in evaluation mode, no parameter at a special value."""
    torch.manual_seed(seed)
    head = IpmtHead(CHANNELS, IpmtSpec(**{**SMALL, **changes}))
    randomise(head, seed, 0.1)
    return head.double().eval()


def run(head: IpmtHead, inputs: HeadInput) -> HeadOutput:
    with torch.no_grad():
        return head(inputs)


def maps_of(output: HeadOutput) -> list[Tensor]:
    return [output.logits, *output.aux, *output.query_masks, *output.support_masks]


@pytest.mark.parametrize(
    ("shots", "changes"),
    [
        (1, {"attention": "spatial-reduction"}),
        (2, {"attention": "spatial-reduction", "prior_masks": "twice", "deep_channels": 3}),
        (2, {"attention": "deformable"}),
    ],
)
def test_head_is_that_of_the_loops(shots: int, changes: dict[str, Any]) -> None:
    inputs = make_input(shots=shots, size=(5, 7), image=(33, 49))
    # more padding than the masks know of, so that it counts whatever a mask says
    inputs.query_pad[0, :, 20:] = inputs.query_pad[1, 15:] = inputs.support_pad[:, :, 15:] = True
    head = make_head(**changes)
    found = maps_of(run(head, inputs))
    for b in range(2):
        # the prior mask is float32
        for mine, expected in zip(found, head_reference(head, inputs, b), strict=True):
            torch.testing.assert_close(mine[b], expected, rtol=1e-4, atol=1e-5)
    assert 0 < float((found[2] >= 0).double().mean()) < 1  # the masks are no trivial ones


@pytest.mark.parametrize("kind", KINDS)
def test_one_layer_is_that_of_the_loops(kind: str) -> None:
    gen = torch.Generator().manual_seed(2)
    head = make_head(attention=kind, layers=1)
    query = torch.randn(2, 8, 5, 4, generator=gen, dtype=torch.float64)
    tokens = torch.randn(2, 40, 8, generator=gen, dtype=torch.float64)  # of two supports
    mask, pad, seen, hidden = (torch.rand(n, generator=gen) < 0.4 for n in ((2, 5, 4), (2, 5, 4), (2, 40), (2, 40)))
    mask[1] = False  # looks everywhere but at padding
    with torch.no_grad():
        out = head.transformer(query, mask, pad, Tokens(tokens, seen, hidden))
    for b in range(2):
        support = (tokens[b], seen[b], hidden[b])
        expected, query_masks, support_masks = transformer_reference(head, query[b], mask[b], pad[b], support)
        torch.testing.assert_close(out.query[b], expected, rtol=1e-5, atol=1e-5)  # positions are float32
        torch.testing.assert_close(out.query_masks[0][b, 0], query_masks[0], rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(out.support_masks[0][b].flatten(), support_masks[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("share", [0.4, 0.0, 1.0])
def test_masked_attention_is_that_of_the_loops(share: float) -> None:
    gen = torch.Generator().manual_seed(3)
    layer = MaskedAttention(8, 0.1).double().eval()
    prototype = torch.randn(2, 1, 8, generator=gen, dtype=torch.float64)
    features = torch.randn(2, 9, 8, generator=gen, dtype=torch.float64)
    mask, pad = torch.rand(2, 9, generator=gen) < share, torch.rand(2, 9, generator=gen) < 0.3
    out = layer(prototype, Tokens(features, mask, pad))
    for b in range(2):
        expected = masked_attention(layer, prototype[b, 0], features[b], mask[b], pad[b])
        torch.testing.assert_close(out[b, 0], expected, rtol=1e-9, atol=1e-9)
    hidden = torch.where(pad[:, :, None], features + 100, features)
    torch.testing.assert_close(layer(prototype, Tokens(hidden, mask, pad)), out, rtol=0, atol=0)


def test_feed_forward_is_that_of_the_loops() -> None:
    layer = FeedForward(8, 12, 0.1).double().eval()
    tokens = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    expected = torch.stack([torch.stack([feed_forward(layer, t) for t in row]) for row in tokens])
    torch.testing.assert_close(layer(tokens), expected, rtol=1e-9, atol=1e-9)
    assert all(p.ndim == 2 for p in layer.parameters())


def test_dice_is_that_of_the_loops() -> None:
    gen = torch.Generator().manual_seed(6)
    logits = torch.randn(2, 2, 3, 4, generator=gen)
    labels = torch.tensor([0, 1, 255], dtype=torch.uint8)[torch.randint(3, (2, 7, 9), generator=gen)]
    total = 0.0
    for b in range(2):
        large = enlarged(logits[b].double(), (7, 9))
        for channel in range(2):
            both = squares = 0.0
            for y in range(7):
                for x in range(9):
                    p = 1 / (1 + math.exp(-float(large[channel, y, x])))
                    t = 1.0 if int(labels[b, y, x]) == channel else 0.0
                    both, squares = both + p * t, squares + p * p + t * t
            total += 1 - 2 * both / squares
    assert float(dice_loss(logits, labels)) == pytest.approx(total / 2, rel=1e-5)


def test_dice_is_finite_where_nothing_is_and_nothing_is_predicted() -> None:
    logits = torch.full((1, 2, 2, 2), -300.0, requires_grad=True)
    loss = dice_loss(logits, torch.full((1, 4, 4), 255, dtype=torch.uint8))
    loss.backward()
    assert loss.item() == 2
    assert torch.isfinite(logits.grad).all()


def test_masks_loss_is_that_of_the_loops() -> None:
    gen = torch.Generator().manual_seed(7)
    masks = [torch.randn(2, 3, 3, 4, generator=gen) for _ in range(2)]
    labels = torch.tensor([0, 1, 255], dtype=torch.uint8)[torch.randint(3, (2, 3, 7, 9), generator=gen)]
    total = 0.0
    for mask in masks:
        for b in range(2):
            for k in range(3):
                target = nearest(labels[b, k] == 1, (3, 4))
                for value, t in zip(mask[b, k].flatten().tolist(), target.flatten().tolist(), strict=True):
                    p = 1 / (1 + math.exp(-value))
                    total -= math.log(p if t else 1 - p) / (2 * 72)
    assert float(masks_loss(masks, labels)) == pytest.approx(total, rel=1e-5)


def test_losses_are_weighted_and_float32() -> None:
    inputs = make_input(shots=2)
    batch, head = make_batch(inputs), make_head(duplex_weight=2.0)
    output = run(head, inputs)
    losses = head.losses(output, batch)
    assert batch.query_mask is not None
    expected = {
        "final": 0.7 * dice_loss(output.logits, batch.query_mask),
        "init": 0.3 * dice_loss(output.aux[0], batch.query_mask),
        "query_masks": 2 * 0.3 * masks_loss(output.query_masks, batch.query_mask[:, None]),
        "support_masks": 2 * 0.7 * masks_loss(output.support_masks, batch.support_mask),
    }
    assert {k: v.item() for k, v in losses.items()} == pytest.approx({k: v.item() for k, v in expected.items()})
    assert {v.dtype for v in losses.values()} == {torch.float32}


def test_five_supports_count_alike() -> None:
    inputs = make_input(shots=5, size=(5, 7), image=(33, 49))
    head = make_head()
    order = torch.tensor([3, 0, 4, 1, 2])
    rows = torch.cat([order, 5 + order])
    other = replace(
        inputs,
        support=MiddleFeatures(*(m[rows] for m in inputs.support)),
        support_mask=inputs.support_mask[:, order],
        support_pad=inputs.support_pad[:, order],
    )
    output, changed = run(head, inputs), run(head, other)
    assert [m.shape for m in output.support_masks] == [(2, 5, 5, 7)] * 2
    assert [m.shape for m in output.query_masks] == [(2, 1, 5, 7)] * 2
    torch.testing.assert_close(changed.logits, output.logits, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(changed.support_masks[1], output.support_masks[1][:, order], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_features_of_641_pixels(kind: str) -> None:
    inputs = as_float(make_input(n=1, shots=5, size=(81, 81), image=(641, 641)))
    output = run(make_head(attention=kind, layers=1).float(), inputs)
    assert output.logits.shape == (1, 2, 81, 81)
    assert all(torch.isfinite(m).all() for m in maps_of(output))


def as_float(inputs: HeadInput) -> HeadInput:
    query = Features(*(m.float() for m in inputs.query))
    return replace(inputs, query=query, support=MiddleFeatures(*(m.float() for m in inputs.support)))


class Backbone(nn.Module):
    """Two maps at an eighth of the size and one at a quarter, of means of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.normalise = Normalise((0.5,) * 3, (0.25,) * 3)

    def last_stage(self, c4: Tensor) -> Tensor:
        return c4[:, [0, 1, 2, 3, 4, 0]].relu()

    def middle(self, images: Tensor) -> MiddleFeatures:
        c2 = nn.functional.avg_pool2d(images, 4)
        c4 = nn.functional.avg_pool2d(images, 7)[:, [0, 1, 2, 0, 1]]
        return MiddleFeatures(c2, c4[:, :4], c4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_query_s_mask_changes_no_prediction(kind: str) -> None:
    batch = make_batch(make_input(shots=2))
    model = FewShotModel(Backbone(), make_head(attention=kind).float(), None, False).eval()  # type: ignore[arg-type]
    gen = torch.Generator().manual_seed(8)
    assert batch.query_mask is not None
    noise = torch.randint(0, 2, batch.query_mask.shape, generator=gen, dtype=torch.uint8)
    with torch.no_grad():
        first, *others = (
            maps_of(model(replace(batch, query_mask=mask)))
            for mask in (batch.query_mask, None, noise, torch.full_like(noise, 255))
        )
    for other in others:
        assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_support_masks_at_the_size_of_features() -> None:
    masks = torch.zeros(1, 3, 48, 40, dtype=torch.uint8)
    masks[0, 0, :, :20] = 1
    masks[0, 0, :8] = 255
    masks[0, 2] = 1
    half, empty, full = support_attention_masks(masks, (6, 5))[0]
    assert torch.equal(half, nearest(masks[0, 0] == 1, (6, 5)))
    assert empty.nonzero().tolist() == [[2, 1], [2, 2], [3, 1], [3, 2]]
    assert (~full).nonzero().tolist() == [[0, 0], [0, 4], [5, 0], [5, 4]]
    assert support_attention_masks(masks, (1, 1))[0].flatten().tolist() == [True, True, False]


@pytest.mark.parametrize("value", [0, 1, 255])
@pytest.mark.parametrize("kind", KINDS)
def test_empty_and_full_support_masks_are_finite(value: int, kind: str) -> None:
    inputs = make_input(shots=2)
    mask = inputs.support_mask.clone()
    mask[0] = value  # both supports of the first episode, one of the second
    mask[1, 0] = value
    inputs, head = replace(inputs, support_mask=mask), make_head(attention=kind)
    output = head(inputs)
    batch = replace(make_batch(inputs), query_mask=torch.full((2, 49, 49), value, dtype=torch.uint8))
    sum(head.losses(output, batch).values()).backward()
    assert all(torch.isfinite(m).all() for m in maps_of(output))
    assert all(torch.isfinite(p.grad).all() for p in head.parameters())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("empty", [False, True])
def test_half_precision_is_finite_and_close(kind: str, empty: bool) -> None:
    inputs = as_float(make_input(shots=2))
    if empty:
        inputs = replace(inputs, support_mask=torch.zeros_like(inputs.support_mask))
    head = make_head(attention=kind).float()
    output = run(head, inputs)
    with torch.autocast("cpu", torch.bfloat16):
        half = run(head, inputs)
        losses = head.losses(half, make_batch(inputs))
    for a, b in zip(maps_of(half), maps_of(output), strict=True):
        assert torch.isfinite(a).all()
        assert float((a.float() - b).abs().mean() / b.std()) < 0.1
    assert {v.dtype for v in losses.values()} == {torch.float32}


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_learns(kind: str) -> None:
    inputs = make_input(shots=2)
    head = make_head(attention=kind)
    sum(head.losses(head(inputs), make_batch(inputs)).values()).backward()
    assert [name for name, p in head.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_level_of_deformable_attention_waits_for_the_second_step(kind: str) -> None:
    torch.manual_seed(0)
    head = IpmtHead(CHANNELS, IpmtSpec(**SMALL, attention=kind)).double().eval()
    inputs = make_input(shots=2)
    sum(head.losses(head(inputs), make_batch(inputs)).values()).backward()
    still = [name for name, p in head.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == (["transformer.level"] if kind == "deformable" else [])


def test_size_and_names_for_the_optimisers() -> None:
    head = IpmtHead((256, 512, 1024, 2048), IpmtSpec())
    inner = {id(p) for p in head.transformer_parameters()}
    assert inner == {id(p) for name, p in head.named_parameters() if "transformer" in name}
    assert head.stage1 == ""
    # 66 d^2 + 18 d in each of 5 layers, as hidden = 3 d; 2 d^2 + 4 d shared
    assert sum(p.numel() for p in head.transformer.parameters()) == (5 * 66 + 2) * 384**2 + (5 * 18 + 4) * 384


def test_unknown_settings_are_refused() -> None:
    for wrong in ({"depth": 3}, {"dim": 20}, {"attention": "full"}, {"layers": 0}):
        with pytest.raises(ValueError, match="validation error"):
            IpmtSpec(**wrong)
