"""The two query self-attentions against loops over positions, points and heads, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from wilss.fewshot.heads.attention import (
    DeformableAttention,
    SpatialReductionAttention,
    attend,
    pixel_centres,
    sine_positions,
)


def randomise(module: nn.Module, seed: int = 0, scale: float = 0.2) -> None:
    """Move all parameters, so that none is at a special value."""
    gen = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=gen, dtype=parameter.dtype))


def linear(layer: nn.Linear, x: Tensor) -> Tensor:
    rows = [sum(w * v for w, v in zip(row, x.tolist(), strict=True)) for row in layer.weight.tolist()]
    return torch.tensor(rows, dtype=torch.float64) + (0 if layer.bias is None else layer.bias.detach())


def layer_norm(layer: nn.LayerNorm, x: Tensor) -> Tensor:
    mean = x.sum() / len(x)
    variance = ((x - mean) ** 2).sum() / len(x)
    return (x - mean) / torch.sqrt(variance + 1e-5) * layer.weight.detach() + layer.bias.detach()


def mixed(query: Tensor, keys: list[Tensor], values: list[Tensor], penalties: list[float]) -> Tensor:
    """One query's attention."""
    logits = [float(query @ k) / math.sqrt(len(query)) - 1e4 * p for k, p in zip(keys, penalties, strict=True)]
    shares = [math.exp(logit - max(logits)) for logit in logits]
    return sum((s * v for s, v in zip(shares, values, strict=True)), torch.zeros_like(values[0])) / sum(shares)


def sine_reference(channels: int, height: int, width: int) -> Tensor:
    out = torch.zeros(channels, height, width, dtype=torch.float64)
    half = channels // 2
    for c in range(channels):
        i = c % half
        period = 10000 ** (2 * (i // 2) / half)
        for y in range(height):
            for x in range(width):
                angle = 2 * math.pi * ((y + 1) / height if c < half else (x + 1) / width) / period
                out[c, y, x] = math.sin(angle) if i % 2 == 0 else math.cos(angle)
    return out


def reduction_reference(layer: SpatialReductionAttention, maps: Tensor, positions: Tensor, pad: Tensor) -> Tensor:
    """One image: ``(C, h, w)`` -> ``(h * w, C)``."""
    maps = maps + positions
    channels, height, width = maps.shape
    side, weight = layer.ratio, layer.reduce.weight.detach()
    keys, values, penalties = [], [], []
    for top in range(0, height, side):
        for left in range(0, width, side):
            total, n_seen = layer.reduce.bias.detach().clone(), 0
            for y in range(top, min(top + side, height)):
                for x in range(left, min(left + side, width)):
                    if not pad[y, x]:
                        total, n_seen = total + weight[:, :, y - top, x - left] @ maps[:, y, x], n_seen + 1
            block = layer_norm(layer.norm, total)
            keys.append(linear(layer.key, block))
            values.append(linear(layer.value, block))
            penalties.append(0.0 if n_seen else 1.0)
    out, step = [], channels // layer.heads
    for y in range(height):
        for x in range(width):
            query = linear(layer.query, maps[:, y, x])
            parts = []
            for head in range(layer.heads):
                own = slice(head * step, (head + 1) * step)
                parts.append(mixed(query[own], [k[own] for k in keys], [v[own] for v in values], penalties))
            out.append(linear(layer.out, torch.cat(parts)))
    return torch.stack(out)


def bilinear(values: Tensor, x: float, y: float) -> Tensor:
    """Value at a point in pixels, where the centre of the first pixel is (0, 0); zero outside."""
    out = torch.zeros(values.shape[0], dtype=torch.float64)
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < values.shape[1] and 0 <= column < values.shape[2]:
                out = out + (1 - abs(y - row)) * (1 - abs(x - column)) * values[:, row, column]
    return out


def deformable_reference(layer: DeformableAttention, maps: Tensor, positions: Tensor, pad: Tensor) -> Tensor:
    """One image: ``(C, h, w)`` -> ``(h * w, C)``."""
    channels, height, width = maps.shape
    values = torch.zeros(channels, height, width, dtype=torch.float64)
    for y in range(height):
        for x in range(width):
            if not pad[y, x]:
                values[:, y, x] = linear(layer.value, maps[:, y, x])
    out = []
    for y in range(height):
        for x in range(width):
            token = maps[:, y, x] + positions[:, y, x]
            offsets, logits = linear(layer.offsets, token).tolist(), linear(layer.weights, token).tolist()
            shares = [math.exp(v) / sum(math.exp(u) for u in logits) for v in logits]
            total = torch.zeros(channels, dtype=torch.float64)
            for point, share in enumerate(shares):
                total = total + share * bilinear(values, x + offsets[2 * point], y + offsets[2 * point + 1])
            out.append(linear(layer.out, total))
    return torch.stack(out)


Case = tuple[nn.Module, Callable[..., Tensor]]


def case(kind: str) -> Case:
    torch.manual_seed(0)
    if kind == "deformable":
        return DeformableAttention(8, 5), deformable_reference
    return SpatialReductionAttention(8, 2, int(kind)), reduction_reference


def scene(height: int, width: int, n_padded: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    gen = torch.Generator().manual_seed(5)
    pad = torch.zeros(2, height, width, dtype=torch.bool)
    pad[1, height - n_padded :] = True
    positions = torch.randn(8, height, width, generator=gen, dtype=torch.float64)
    return torch.randn(2, 8, height, width, generator=gen, dtype=torch.float64), positions, pad


KINDS = ("1", "2", "4", "deformable")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("size", "n_padded"), [((7, 5), 0), ((7, 5), 3), ((4, 9), 1)])
def test_attention_is_that_of_the_loops(kind: str, size: tuple[int, int], n_padded: int) -> None:
    layer, reference = case(kind)
    layer.double()
    randomise(layer)
    maps, positions, pad = scene(*size, n_padded)
    out = layer(maps, positions, pad)
    expected = torch.stack([reference(layer, m, positions, p) for m, p in zip(maps, pad, strict=True)])
    assert out.shape == (2, size[0] * size[1], 8)
    torch.testing.assert_close(out, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_is_not_looked_at(kind: str) -> None:
    layer, _ = case(kind)
    layer.double()
    randomise(layer)
    maps, positions, pad = scene(7, 5, 3)
    changed = torch.where(pad[:, None], maps + 10, maps)
    inside = ~pad.flatten(1)
    out = layer(maps, positions, pad)
    assert torch.equal(out[inside], layer(changed, positions, pad)[inside])
    assert not torch.allclose(out[inside], layer(maps, positions, torch.zeros_like(pad))[inside])


@pytest.mark.parametrize("kind", KINDS)
def test_a_wholly_padded_image_and_odd_sizes_are_finite(kind: str) -> None:
    layer, _ = case(kind)
    for size in ((13, 13), (1, 1), (2, 9)):
        maps, positions, pad = scene(*size, size[0])
        assert pad[1].all()
        out = layer(maps.float(), positions.float(), pad)
        assert torch.isfinite(out).all()


def test_points_start_to_the_right() -> None:
    layer = DeformableAttention(8).double()
    ramp = torch.zeros(1, 8, 3, 30, dtype=torch.float64)
    ramp[:] = torch.arange(30.0)
    with torch.no_grad():
        for eye in (layer.value, layer.out):
            eye.weight.copy_(torch.eye(8))
    out = layer(ramp, torch.zeros(8, 3, 30), torch.zeros(1, 3, 30, dtype=torch.bool)).detach().reshape(3, 30, 8)
    # mean of 1 ... 9 pixels further; the last ones look beyond the border, where zeros lie
    torch.testing.assert_close(out[:, :21], (ramp[0, :, :, :21] + 5).permute(1, 2, 0))
    assert out[:, 29].abs().max() < 1e-12
    assert float(out[0, 28, 0]) == pytest.approx(29 / 9)


def test_a_point_far_away_is_zero() -> None:
    layer = DeformableAttention(8, 1).double()
    with torch.no_grad():
        layer.offsets.bias.copy_(torch.tensor([0.0, -50.0]))
        layer.out.bias.fill_(0.25)
    maps, positions, pad = scene(7, 5)
    torch.testing.assert_close(layer(maps, positions, pad), torch.full((2, 35, 8), 0.25, dtype=torch.float64))


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_is_close_and_every_parameter_learns(kind: str) -> None:
    layer, _ = case(kind)
    randomise(layer)
    maps, positions, pad = (x.float() if x.is_floating_point() else x for x in scene(7, 5, 3))
    out = layer(maps, positions, pad)
    with torch.autocast("cpu", torch.bfloat16):
        half = layer(maps, positions, pad)
    torch.testing.assert_close(half.float(), out, atol=0.1, rtol=0.1)
    out.square().sum().backward()
    assert [name for name, p in layer.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_a_penalty_does_not_swallow_logits_in_half_precision() -> None:
    gen = torch.Generator().manual_seed(1)
    q, k, v = (torch.randn(1, n, 8, generator=gen).bfloat16() for n in (2, 6, 6))
    plain, unseen = (attend(q, k, v, torch.full((1, 1, 6), p).bfloat16()).float() for p in (0.0, 1.0))
    torch.testing.assert_close(plain, unseen, atol=0.02, rtol=0.02)


@pytest.mark.parametrize(("channels", "height", "width"), [(8, 3, 5), (12, 4, 1)])
def test_sine_positions(channels: int, height: int, width: int) -> None:
    expected = sine_reference(channels, height, width)
    torch.testing.assert_close(sine_positions(channels, height, width).double(), expected, atol=1e-6, rtol=0)


def test_channels_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 4"):
        sine_positions(6, 2, 2)
    with pytest.raises(ValueError, match="multiple of heads"):
        SpatialReductionAttention(9, 2)


def test_pixel_centres_are_row_by_row() -> None:
    centres = pixel_centres(2, 4, torch.zeros(1))
    assert centres.tolist() == [[x / 8, y / 4] for y in (1, 3) for x in (1, 3, 5, 7)]
