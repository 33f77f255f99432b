"""Slow, literal operators that few-shot heads are compared with: loops over positions, float64."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from wilss.fewshot.heads.contract import IGNORE, HeadInput


def slow_resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear with aligned corners, position by position."""
    height, width = maps.shape[-2:]
    out = maps.new_zeros(*maps.shape[:2], *size)
    for y in range(size[0]):
        v = y * (height - 1) / (size[0] - 1) if size[0] > 1 else 0.0
        top = min(int(v), height - 1)
        below, dy = min(top + 1, height - 1), v - top
        for x in range(size[1]):
            u = x * (width - 1) / (size[1] - 1) if size[1] > 1 else 0.0
            left = min(int(u), width - 1)
            right, dx = min(left + 1, width - 1), u - left
            upper = (1 - dx) * maps[:, :, top, left] + dx * maps[:, :, top, right]
            lower = (1 - dx) * maps[:, :, below, left] + dx * maps[:, :, below, right]
            out[:, :, y, x] = (1 - dy) * upper + dy * lower
    return out


def slow_pool(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Mean of each of size[0] x size[1] bins; bins overlap where the sides do not divide."""
    height, width = maps.shape[-2:]
    out = maps.new_zeros(*maps.shape[:2], *size)
    for y in range(size[0]):
        for x in range(size[1]):
            rows = range(y * height // size[0], -(-(y + 1) * height // size[0]))
            columns = range(x * width // size[1], -(-(x + 1) * width // size[1]))
            values = [maps[:, :, r, c] for r in rows for c in columns]
            out[:, :, y, x] = sum(values) / len(values)
    return out


def slow_conv(maps: Tensor, layer: nn.Conv2d) -> Tensor:
    """Convolution of stride 1 with zeros around the map, which keeps the size."""
    n, _, height, width = maps.shape
    side, rate = layer.kernel_size[0], layer.dilation[0]
    out = maps.new_zeros(n, layer.out_channels, height, width)
    for y in range(height):
        for x in range(width):
            for i in range(side):
                for j in range(side):
                    r, c = y + (i - side // 2) * rate, x + (j - side // 2) * rate
                    if 0 <= r < height and 0 <= c < width:
                        out[:, :, y, x] += maps[:, :, r, c] @ layer.weight[:, :, i, j].T
    return out if layer.bias is None else out + layer.bias[:, None, None]


def slow_layers(maps: Tensor, layers: nn.Module) -> Tensor:
    """Convolutions and ReLUs in order; dropout does nothing, as in evaluation."""
    for layer in layers.children():
        if isinstance(layer, nn.Conv2d):
            maps = slow_conv(maps, layer)
        elif isinstance(layer, nn.ReLU):
            maps = torch.where(maps > 0, maps, torch.zeros_like(maps))
        else:
            assert isinstance(layer, nn.Dropout2d)
    return maps


def slow_masks(inputs: HeadInput) -> Tensor:
    """Supports' foreground at the size of c4, ``(B * K, 1, h, w)``."""
    foreground = (inputs.support_mask == 1).double()
    return slow_resize(foreground.flatten(0, 1)[:, None], tuple(inputs.support.c4.shape[-2:]))


def slow_prototypes(reduced: Tensor, inputs: HeadInput) -> Tensor:
    """Masked means ``(B, K, C)`` of reduced supports ``(B * K, C, h, w)``."""
    masks = slow_masks(inputs)
    rows = []
    for features, (mask,) in zip(reduced, masks, strict=True):
        area = 0.0005
        total = torch.zeros(len(features), dtype=torch.float64)
        for y in range(mask.shape[0]):
            for x in range(mask.shape[1]):
                total = total + features[:, y, x] * mask[y, x]
                area += float(mask[y, x])
        rows.append(total / area)
    return torch.stack(rows).unflatten(0, inputs.support_mask.shape[:2])


def slow_priors(inputs: HeadInput) -> Tensor:
    """Scaled highest cosines ``(B, K, h, w)``; c5 has the size of c4."""
    masks, (n, shots) = slow_masks(inputs), inputs.support_mask.shape[:2]
    height, width = inputs.query.c5.shape[-2:]
    deepest = inputs.last_stage(inputs.support.c4 * masks) * masks
    out = torch.zeros(n, shots, height, width, dtype=torch.float64)
    for b in range(n):
        for k in range(shots):
            theirs = deepest[b * shots + k].flatten(1).T.tolist()
            for y in range(height):
                for x in range(width):
                    ours = inputs.query.c5[b, :, y, x].tolist()
                    out[b, k, y, x] = max(_cosine(ours, other) for other in theirs)
            low, high = float(out[b, k].min()), float(out[b, k].max())
            out[b, k] = (out[b, k] - low) / (high - low + 1e-7)
    return out


def _cosine(a: Sequence[float], b: Sequence[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / (math.hypot(*a) * math.hypot(*b) + 1e-7)


def slow_pixel_loss(logits: Tensor, labels: Tensor) -> float:
    """Mean cross-entropy over pixels that are not 255, of logits enlarged to the labels ``(B, H, W)``."""
    enlarged = slow_resize(logits.detach().double(), tuple(labels.shape[-2:]))
    losses = []
    for b, y, x in (labels != IGNORE).nonzero().tolist():
        values = enlarged[b, :, y, x].tolist()
        losses.append(math.log(sum(math.exp(v) for v in values)) - values[int(labels[b, y, x])])
    return sum(losses) / len(losses)
