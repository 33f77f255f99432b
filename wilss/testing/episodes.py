"""Small random inputs of few-shot heads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from wilss.fewshot.heads.contract import IGNORE, EpisodeBatch, HeadInput
from wilss.fewshot.pyramid import Features, MiddleFeatures


def make_input(
    n: int = 2,
    shots: int = 1,
    channels: Sequence[int] = (3, 4, 5, 6),
    size: tuple[int, int] = (7, 7),
    image: tuple[int, int] = (49, 49),
    seed: int = 0,
    decode_channels: int | None = None,
    n_base: int | None = None,
    dtype: torch.dtype = torch.float64,
) -> HeadInput:
    """Features of ``n`` queries and ``n * shots`` supports; c5 is the last stage (1x1 convolution, ReLU) of c4.

    Args:
        channels: of c2 to c5. size: of c3 to c5. image: of the masks. decode_channels: of stage 1's bottleneck.
        n_base: classes of stage 1; None for no stage 1.
    """
    gen = torch.Generator().manual_seed(seed)
    c2, c3, c4, c5 = channels
    last_stage = _pointwise(c4, c5, gen, relu=True)

    def middle(count: int) -> MiddleFeatures:
        double = (2 * size[0] - 1, 2 * size[1] - 1)
        shapes = [(count, c2, *double), (count, c3, *size), (count, c4, *size)]
        maps = [torch.randn(shape, generator=gen, dtype=torch.float64).to(dtype) for shape in shapes]
        return MiddleFeatures(*maps)

    query, support = middle(n), middle(n * shots)
    support_mask, support_pad = _masks(n * shots, image, gen)
    _, query_pad = _masks(n, image, gen)
    base_logits = None
    if n_base is not None:
        base_logits = torch.randn((n, 1 + n_base, *size), generator=gen, dtype=torch.float64).to(dtype)
    return HeadInput(
        query=Features(*query, last_stage(query.c4)),
        support=support,
        support_mask=support_mask.reshape(n, shots, *image),
        support_pad=support_pad.reshape(n, shots, *image),
        query_pad=query_pad,
        last_stage=last_stage,
        decode=None if decode_channels is None else _pointwise(c5, decode_channels, gen, relu=False),
        base_logits=base_logits,
    )


def make_batch(inputs: HeadInput, seed: int = 0) -> EpisodeBatch:
    """The episodes that ``inputs`` could come from: random images, random masks of the queries."""
    gen = torch.Generator().manual_seed(1000 + seed)
    n, shots, height, width = inputs.support_mask.shape
    query_mask, _ = _masks(n, (height, width), gen)
    return EpisodeBatch(
        query=torch.rand(n, 3, height, width, generator=gen),
        query_mask=query_mask,
        query_pad=inputs.query_pad,
        support=torch.rand(n, shots, 3, height, width, generator=gen),
        support_mask=inputs.support_mask,
        support_pad=inputs.support_pad,
        class_id=torch.arange(1, n + 1),
        base_class=torch.full((n,), -1),
    )


def _pointwise(n_in: int, n_out: int, gen: torch.Generator, relu: bool) -> Callable[[Tensor], Tensor]:
    """A fixed 1x1 convolution without bias."""
    weight = torch.randn(n_out, n_in, generator=gen, dtype=torch.float64)

    def layer(maps: Tensor) -> Tensor:
        out = torch.einsum("oc,nchw->nohw", weight.to(maps.dtype), maps)
        return out.relu() if relu else out

    return layer


def _masks(count: int, image: tuple[int, int], gen: torch.Generator) -> tuple[Tensor, Tensor]:
    """Patches of 0, 1 and 255, each at least once, uint8 ``(count, H, W)``; the last rows are padding: its mask."""
    values = torch.tensor([0, 1, IGNORE], dtype=torch.uint8)
    coarse = torch.multinomial(torch.tensor([0.5, 0.4, 0.1]), count * 36, replacement=True, generator=gen)
    coarse = coarse.reshape(count, 6, 6)
    coarse[:, 0, :3] = torch.tensor([0, 1, 2])
    rows = torch.arange(image[0]) * 6 // image[0]
    columns = torch.arange(image[1]) * 6 // image[1]
    masks = values[coarse][:, rows][:, :, columns]
    pad = torch.zeros(count, *image, dtype=torch.bool)
    pad[:, image[0] - image[0] // 8 :] = True
    masks[pad] = IGNORE
    return masks, pad
