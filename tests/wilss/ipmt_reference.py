"""IPMT as its equations say it, episode by episode and position by position, in float64 and slow."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from tests.wilss.test_attention import (
    deformable_reference,
    layer_norm,
    linear,
    mixed,
    reduction_reference,
    sine_reference,
)
from wilss.fewshot.heads.contract import HeadInput
from wilss.fewshot.heads.ipmt import IpmtHead
from wilss.fewshot.heads.ipmt_transformer import FeedForward, MaskedAttention


def conv(layer: nn.Conv2d, maps: Tensor) -> Tensor:
    weight, (_, height, width) = layer.weight.detach(), maps.shape
    reach = weight.shape[-1] // 2
    out = torch.zeros(weight.shape[0], height, width, dtype=torch.float64)
    for y in range(height):
        for x in range(width):
            if layer.bias is not None:
                out[:, y, x] += layer.bias.detach()
            for dy in range(-reach, reach + 1):
                for dx in range(-reach, reach + 1):
                    if 0 <= y + dy < height and 0 <= x + dx < width:
                        out[:, y, x] += weight[:, :, dy + reach, dx + reach] @ maps[:, y + dy, x + dx]
    return out


def block(layers: nn.Module, maps: Tensor) -> Tensor:
    """Convolutions, each followed by ReLU, dropout being off."""
    for layer in layers.children():
        maps = conv(layer, maps) if isinstance(layer, nn.Conv2d) else maps.relu() if type(layer) is nn.ReLU else maps
    return maps


def enlarged(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, corners aligned."""
    out = torch.zeros(maps.shape[0], *size, dtype=torch.float64)
    for i in range(size[0]):
        for j in range(size[1]):
            y = i * (maps.shape[1] - 1) / max(size[0] - 1, 1)
            x = j * (maps.shape[2] - 1) / max(size[1] - 1, 1)
            for row in range(maps.shape[1]):
                for column in range(maps.shape[2]):
                    if abs(y - row) < 1 and abs(x - column) < 1:
                        out[:, i, j] += (1 - abs(y - row)) * (1 - abs(x - column)) * maps[:, row, column]
    return out


def nearest(mask: Tensor, size: tuple[int, int]) -> Tensor:
    height, width = mask.shape
    return torch.tensor(
        [[bool(mask[y * height // size[0], x * width // size[1]]) for x in range(size[1])] for y in range(size[0])]
    )


def averaged(maps: Tensor, mask: Tensor) -> Tensor:
    total, area = torch.zeros(maps.shape[0], dtype=torch.float64), 5e-4
    for y in range(maps.shape[1]):
        for x in range(maps.shape[2]):
            total, area = total + float(mask[0, y, x]) * maps[:, y, x], area + float(mask[0, y, x])
    return total / area


def fewer(maps: Tensor, count: int) -> Tensor:
    n = maps.shape[0]
    return torch.stack([maps[i * n // count : math.ceil((i + 1) * n / count)].mean(0) for i in range(count)])


def prior_of(query: Tensor, support: Tensor) -> Tensor:
    best = torch.zeros(query.shape[1:], dtype=torch.float64)
    others = support.flatten(1).T
    for y in range(query.shape[1]):
        for x in range(query.shape[2]):
            q = query[:, y, x]
            best[y, x] = max(float(q @ s) / (float(q.norm() * s.norm()) + 1e-7) for s in others)
    return (best - best.min()) / (best.max() - best.min() + 1e-7)


def masked_attention(layer: MaskedAttention, prototype: Tensor, tokens: Tensor, mask: Tensor, pad: Tensor) -> Tensor:
    keys, values = [linear(layer.key, t) for t in tokens], [linear(layer.value, t) for t in tokens]
    penalties = [2.0 if p else 0.0 if m else 1.0 for m, p in zip(mask.tolist(), pad.tolist(), strict=True)]
    return linear(layer.out, mixed(linear(layer.query, prototype), keys, values, penalties))


def feed_forward(layer: FeedForward, token: Tensor) -> Tensor:
    return token + linear(layer.branch[3], linear(layer.branch[0], token).relu())


def settled(feed: nn.Module, token: Tensor) -> Tensor:
    """LN(FFN(LN(token)))."""
    return layer_norm(feed[2], feed_forward(feed[1], layer_norm(feed[0], token)))


def transformer_reference(
    head: IpmtHead, query: Tensor, mask: Tensor, pad: Tensor, support: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """One episode: query ``(d, h, w)``, mask and pad ``(h, w)``, support tokens ``(N, d)`` and ``(N,)``."""
    transformer, (dim, height, width) = head.transformer, query.shape
    positions = sine_reference(dim, height, width) + transformer.level.detach()[0][:, None, None]
    prototype = transformer.prototype.weight.detach()[0]
    query_masks, support_masks = [], []
    for layer in transformer.layers:
        tokens = query.flatten(1).T
        steps = []
        for update, seen in (
            (layer.from_support, support),
            (layer.from_query, (tokens, mask.flatten(), pad.flatten())),
        ):
            steps.append(settled(update.feed, prototype + masked_attention(update.attention, prototype, *seen)))
        prototype = prototype + steps[0] + steps[1]
        embedding = feed_forward(transformer.embed[1], layer_norm(transformer.embed[0], prototype))
        logits = torch.stack([embedding @ token for token in tokens]).reshape(height, width)
        query_masks.append(logits)
        support_masks.append(torch.stack([embedding @ token for token in support[0]]))
        mask = 1 / (1 + torch.exp(-logits)) >= 0.5
        both = torch.cat([query, prototype[:, None, None].expand(-1, height, width)])
        query = block(layer.activate.mix, both)
        query = query + block(layer.activate.refine, query)
        reference = deformable_reference if head.spec.attention == "deformable" else reduction_reference
        own = reference(layer.activate.attention, query, positions, pad)
        rows = [settled(layer.activate.feed, t + a) for t, a in zip(query.flatten(1).T, own, strict=True)]
        query = torch.stack(rows).T.reshape(dim, height, width)
    return query, query_masks, support_masks


def head_reference(head: IpmtHead, inputs: HeadInput, b: int) -> list[Tensor]:
    """Episode b: logits, first guess, masks of the query, masks of the supports."""
    size = tuple(inputs.query.c4.shape[-2:])
    q = block(head.query, torch.cat([inputs.query.c4[b], inputs.query.c3[b]]))
    prototypes, priors, tokens, masks, pads = [], [], [], [], []
    for k in range(inputs.shots):
        row = b * inputs.shots + k
        foreground = (inputs.support_mask[b, k] == 1).double()
        soft = enlarged(foreground[None], size)
        s = block(head.support, torch.cat([inputs.support.c4[row], inputs.support.c3[row]]))
        prototypes.append(averaged(s, soft))
        c4 = inputs.support.c4[row]
        c5 = inputs.last_stage((c4 * soft if head.spec.prior_masks == "twice" else c4)[None])[0]
        count = head.spec.deep_channels or head.spec.dim
        priors.append(prior_of(fewer(inputs.query.c5[b], count), fewer(c5 * soft, count)))
        mixed_maps = block(head.mix_support, torch.cat([s, prototypes[-1][:, None, None].expand_as(s)]))
        tokens.append(mixed_maps.flatten(1).T)
        masks.append(nearest(foreground, size).flatten())
        pads.append(nearest(inputs.support_pad[b, k], size).flatten())
    p_global = (sum(prototypes) / inputs.shots)[:, None, None]
    q = block(head.mix_query, torch.cat([q, p_global.expand_as(q), (sum(priors) / inputs.shots)[None]]))
    guess = block(head.classify_init, q + block(head.refine_init, q))
    support = (torch.cat(tokens), torch.cat(masks), torch.cat(pads))
    pad = nearest(inputs.query_pad[b], size)
    q, query_masks, support_masks = transformer_reference(head, q, guess[1] > guess[0], pad, support)
    q = block(head.join, q)
    logits = block(head.classify, q + block(head.refine, q))
    support_masks = [m.reshape(inputs.shots, *size) for m in support_masks]
    return [logits, guess, *(m[None] for m in query_masks), *support_masks]
