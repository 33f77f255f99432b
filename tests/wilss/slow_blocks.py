"""A ViT's last block and its five changes in float64, one head, patch and token after the other.

Weights are read from the towers' state by name; nothing of the package is used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Weights:
    """Of a last block and what follows it, in float64; ``activation`` of its FFN and ``read`` on one token's vector."""

    norm1: tuple[Tensor, Tensor]
    qkv: tuple[Tensor, Tensor]
    out: tuple[Tensor, Tensor]
    norm2: tuple[Tensor, Tensor]
    fc1: tuple[Tensor, Tensor]
    fc2: tuple[Tensor, Tensor]
    scales: tuple[Tensor, Tensor]
    heads: int
    eps: float
    activation: Callable[[Tensor], Tensor]
    read: Callable[[Tensor], Tensor]


def of_open_clip(visual: Any, activation: Callable[[Tensor], Tensor]) -> Weights:
    state = {name: value.double() for name, value in visual.state_dict().items()}
    last = f"transformer.resblocks.{len(visual.transformer.resblocks) - 1}."
    post, proj, eps = (state["ln_post.weight"], state["ln_post.bias"]), state["proj"], 1e-5
    return Weights(
        norm1=(state[last + "ln_1.weight"], state[last + "ln_1.bias"]),
        qkv=(state[last + "attn.in_proj_weight"], state[last + "attn.in_proj_bias"]),
        out=(state[last + "attn.out_proj.weight"], state[last + "attn.out_proj.bias"]),
        norm2=(state[last + "ln_2.weight"], state[last + "ln_2.bias"]),
        fc1=(state[last + "mlp.c_fc.weight"], state[last + "mlp.c_fc.bias"]),
        fc2=(state[last + "mlp.c_proj.weight"], state[last + "mlp.c_proj.bias"]),
        scales=_scales(state, last + "ls_1.gamma", last + "ls_2.gamma"),
        heads=visual.transformer.resblocks[-1].attn.num_heads,
        eps=eps,
        activation=activation,
        read=lambda x: normed(x, post, eps) @ proj,
    )


def of_timm(visual: Any, activation: Callable[[Tensor], Tensor]) -> Weights:
    state = {name: value.double() for name, value in visual.state_dict().items()}
    last, eps = f"trunk.blocks.{len(visual.trunk.blocks) - 1}.", visual.trunk.norm.eps
    post, proj = (state["trunk.norm.weight"], state["trunk.norm.bias"]), state["head.proj.weight"]
    return Weights(
        norm1=(state[last + "norm1.weight"], state[last + "norm1.bias"]),
        qkv=(state[last + "attn.qkv.weight"], state[last + "attn.qkv.bias"]),
        out=(state[last + "attn.proj.weight"], state[last + "attn.proj.bias"]),
        norm2=(state[last + "norm2.weight"], state[last + "norm2.bias"]),
        fc1=(state[last + "mlp.fc1.weight"], state[last + "mlp.fc1.bias"]),
        fc2=(state[last + "mlp.fc2.weight"], state[last + "mlp.fc2.bias"]),
        scales=_scales(state, last + "ls1.gamma", last + "ls2.gamma"),
        heads=visual.trunk.blocks[-1].attn.num_heads,
        eps=eps,
        activation=activation,
        read=lambda x: proj @ normed(x, post, eps),
    )


def _scales(state: Mapping[str, Tensor], *names: str) -> tuple[Tensor, Tensor]:
    first, second = (state.get(name, torch.ones((), dtype=torch.float64)) for name in names)
    return first, second


def gelu(x: Tensor) -> Tensor:
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def quick_gelu(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-1.702 * x))


def normed(x: Tensor, scale_shift: tuple[Tensor, Tensor], eps: float) -> Tensor:
    spread = ((x - x.mean()) ** 2).mean()
    return (x - x.mean()) / torch.sqrt(spread + eps) * scale_shift[0] + scale_shift[1]


def softmax(values: list[float]) -> list[float]:
    top = max(values)
    powers = [math.exp(value - top) for value in values]
    return [power / sum(powers) for power in powers]


def patches(
    block: str, tokens_TD: Tensor, of: Weights, prefix: int, grid: tuple[int, int], other: Tensor | None = None
) -> Tensor:
    """Features of the patches of one image, ``(p, E)``; ``other``: features ``(F, h, w)`` of another network."""
    tokens = [token.double() for token in tokens_TD]
    qkv = [of.qkv[0] @ normed(token, of.norm1, of.eps) + of.qkv[1] for token in tokens]
    width = len(tokens[0])
    query, key, value = ([row[k * width : (k + 1) * width] for row in qkv] for k in range(3))
    if block == "proxy":
        assert other is not None
        return torch.stack([of.read(_out(mixed, of)) for mixed in _by_proxy(value[prefix:], grid, other.double())])
    found = []
    for place, token in list(enumerate(tokens))[prefix:]:
        if block == "value":
            mixed = value[place]
        elif block == "sclip":
            mixed = _mixed(place, query, value, of) + _mixed(place, key, value, of)
        elif block == "clearclip":
            mixed = _mixed(place, query, value, of)
        else:
            mixed = _mixed(place, key, value, of, _near(place, len(tokens), prefix, grid))
        if block in ("value", "sclip"):
            token = token + _out(mixed, of)
            inner = of.activation(of.fc1[0] @ normed(token, of.norm2, of.eps) + of.fc1[1])
            found.append(of.read(token + of.scales[1] * (of.fc2[0] @ inner + of.fc2[1])))
        else:
            found.append(of.read(_out(mixed, of)))
    return torch.stack(found)


def _out(mixed: Tensor, of: Weights) -> Tensor:
    return of.scales[0] * (of.out[0] @ mixed + of.out[1])


def _mixed(place: int, like: list[Tensor], value: list[Tensor], of: Weights, near: list[float] | None = None) -> Tensor:
    d = len(value[0]) // of.heads
    parts = []
    for head in range(of.heads):
        own = slice(head * d, (head + 1) * d)
        logits = [float(like[place][own] @ token[own]) / math.sqrt(d) for token in like]
        weights = softmax([logit + more for logit, more in zip(logits, near or [0.0] * len(logits), strict=True)])
        parts.append(sum((w * token[own] for w, token in zip(weights, value, strict=True)), torch.zeros(d).double()))
    return torch.cat(parts)


def _near(place: int, n_tokens: int, prefix: int, grid: tuple[int, int]) -> list[float]:
    row, column = divmod(place - prefix, grid[1])
    found = [0.0] * prefix
    for other in range(n_tokens - prefix):
        square = (other // grid[1] - row) ** 2 + (other % grid[1] - column) ** 2
        found.append(math.exp(-square / (2 * 5.0**2)))
    return found


def _by_proxy(value: list[Tensor], grid: tuple[int, int], other: Tensor) -> list[Tensor]:
    h, w = other.shape[-2:]
    cells = [other[:, k // w, k % w] for k in range(h * w)]
    cosine = [[float(a @ b / (a.norm() * b.norm())) for b in cells] for a in cells]
    mean = sum(map(sum, cosine)) / (h * w) ** 2
    moved = [_bilinear(value, grid, k // w, k % w, (h, w)) for k in range(h * w)]
    found = []
    for place, row in enumerate(cosine):
        logits = {k: 3.0 * (c - 1.2 * mean) for k, c in enumerate(row)}
        takes_part = {k: logit for k, logit in logits.items() if logit >= 0 or k == place}
        weights = softmax(list(takes_part.values()))
        found.append(sum((x * moved[k] for x, k in zip(weights, takes_part, strict=True)), torch.zeros_like(moved[0])))
    return found


def _bilinear(value: list[Tensor], grid: tuple[int, int], row: int, column: int, wanted: tuple[int, int]) -> Tensor:
    """One cell of a map that is resized with corners not aligned."""
    ends = []
    for at, n, new in ((row, grid[0], wanted[0]), (column, grid[1], wanted[1])):
        where = max((at + 0.5) * n / new - 0.5, 0.0)
        low = min(int(where), n - 1)
        ends.append(((low, 1 - (where - low)), (min(low + 1, n - 1), where - low)))
    total = torch.zeros_like(value[0])
    for r, of_row in ends[0]:
        for c, of_column in ends[1]:
            total = total + of_row * of_column * value[r * grid[1] + c]
    return total
