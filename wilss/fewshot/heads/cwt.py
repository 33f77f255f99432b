"""CWT: a binary classifier fitted to the supports, whose weights a transformer adapts to the query.

Equations: Lu et al., "Simpler is Better" (ICCV 2021) and its official code. Only the transformer is trained in stage 2.
Shapes as in `wilss.fewshot.heads.contract`; D channels of the bottleneck of stage 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wilss.fewshot.heads.contract import EpisodeBatch, HeadInput, HeadOutput
from wilss.fewshot.heads.parts import resize
from wilss.fewshot.heads.spec import CwtSpec


def pixel_shares(labels: Tensor, balance: float = 1.0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Share of every pixel in a cross-entropy with class weights [1, (n_bg / n_fg) ** balance], class by class.

    With the published weights (balance 1) that weighted mean is half the mean over the background plus half the mean
    over the foreground. Where one of them is missing, its weight would be 0 or infinite: here the other's mean alone is
    left.

    Args:
        labels: uint8 ``(B, ...)``, 0, 1 or 255; counted over all that follows the first axis.
        balance: in [0, 1]; 0 gives every pixel the same share (ours, as is all below 1).

    Returns:
        ``(B, 2, ...)`` of ``dtype``, not negative; the sum of each of the B is 1, or 0 where all is 255.
    """
    masks = torch.stack([labels == 0, labels == 1], 1).to(dtype)
    n_bg, n_fg = masks.flatten(2).sum(2).unbind(1)
    ratio = torch.where((n_bg > 0) & (n_fg > 0), n_bg / n_fg.clamp(min=1), 1)
    weights = torch.stack([torch.ones_like(ratio), ratio**balance], 1)
    total = (n_bg + n_fg * weights[:, 1]).clamp(min=1)
    return masks * (weights / total[:, None]).reshape(*weights.shape, *[1] * (labels.dim() - 1))


def resize_matrix(source: int, target: int, like: Tensor) -> Tensor:
    """`resize` along one side as a matrix ``(target, source)``, of the dtype and on the device of ``like``."""
    unit = torch.eye(source, dtype=like.dtype, device=like.device)
    return resize(unit[None, :, :, None], (target, 1))[0, :, :, 0].T


@torch.no_grad()
def fit_classifier(features: Tensor, labels: Tensor, start: Tensor, spec: CwtSpec) -> Tensor:
    """Weights of a linear classifier without bias after gradient descent on all supports of an episode together.

    Exact and without autograd, so that it runs in inference mode too. Enlarging commutes with a linear classifier and
    its gradient is the transposed matrices. With two classes the gradients of both weights are opposite: their mean
    stays, and it is enough to follow their difference, at twice the rate.

    At the size of the features (ours) every pixel's loss is shared among the positions that its logits are
    interpolated from, by the same coefficients: an upper bound of the loss at image size (Jensen) in which no object is
    too small to count.

    Args:
        features: float ``(B, K, D, h, w)``, not normalised. labels: uint8 ``(B, K, H, W)``. start: ``(2, D)``.

    Returns:
        ``(B, 2, D)`` background and foreground, detached; the start where all labels are 255.
    """
    (n, shots), (height, width) = features.shape[:2], features.shape[-2:]
    shares = pixel_shares(labels, spec.balance_fit, features.dtype)
    rows, columns = (resize_matrix(*pair, features) for pair in zip((height, width), labels.shape[-2:], strict=True))
    if spec.inner_resolution == "features":
        shares = rows.T @ shares @ columns
        rows, columns = (torch.eye(side, dtype=rows.dtype, device=rows.device) for side in (height, width))
    total, foreground = shares.sum(1), shares[:, 1]
    flat = features.transpose(1, 2).flatten(2)
    difference = (start[1] - start[0]).expand(n, 1, -1)
    for _ in range(spec.inner_steps):
        logits = rows @ (difference @ flat).reshape(n, shots, height, width) @ columns.T
        residual = rows.T @ (total * logits.sigmoid() - foreground) @ columns
        difference = difference - 2 * spec.inner_lr * (residual.reshape(n, 1, -1) @ flat.transpose(1, 2))
    return start.mean(0) + torch.cat([-difference, difference], 1) / 2


class ClassifierTransformer(nn.Module):
    """w' = Norm(w + Psi(softmax(t w W (F W)^T / sqrt(D)) F W)), W one projection for queries, keys and values.

    Args:
        dim: D, also the width of every attention head. heads: number of them.
        temperature: t, 1 as published.
        norm: "layer" as published, or "rms" (ours), which divides by the root mean square and does not centre.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        attention_dropout: float = 0.1,
        output_dropout: float = 0.5,
        norm: Literal["layer", "rms"] = "layer",
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        self.dim, self.heads, self.temperature = dim, heads, temperature
        self.project = nn.Linear(dim, heads * dim, bias=False)
        self.output = nn.Linear(heads * dim, dim)
        self.norm = nn.LayerNorm(dim) if norm == "layer" else nn.RMSNorm(dim, eps=1e-5)
        self.drop_attention = nn.Dropout(attention_dropout)
        self.drop_output = nn.Dropout(output_dropout)
        nn.init.normal_(self.project.weight, std=math.sqrt(2 / (dim + dim)))
        nn.init.xavier_normal_(self.output.weight)

    def forward(self, weights: Tensor, features: Tensor) -> Tensor:
        """Adapt classifiers ``(B, C, D)`` to query features ``(B, D, N)`` of N positions; ``(B, C, D)``."""
        projection = self.project.weight.reshape(self.heads, self.dim, self.dim)
        queries = self.project(weights).unflatten(2, (self.heads, self.dim)).transpose(1, 2)
        # C classes are far fewer than N positions: W is applied on their side of both products, never to the features
        scores = (queries @ projection) @ features[:, None] * (self.temperature / math.sqrt(self.dim))
        attention = self.drop_attention(scores.softmax(3))
        values = (attention @ features[:, None].transpose(2, 3)) @ projection.transpose(1, 2)
        change = self.drop_output(self.output(values.transpose(1, 2).flatten(2)))
        adapted: Tensor = self.norm(weights + change)
        return adapted


class CwtHead(nn.Module):
    """A classifier fitted to the supports, adapted to the query, on the bottleneck features of stage 1.

    The fit is deterministic: it starts at the same weights (PyTorch's default of a convolution, from ``init_seed``) in
    every episode, in training too; they are a buffer, kept with the head's state. Everything after the bottleneck is
    computed in the dtype of the head's parameters, also under autocast: 200 steps of bfloat16 would not add up.
    No gradient passes through the fit; through the query's features it does.

    K > 1: one classifier is fitted to the K supports together, as in the released code, with ``mirror`` and ``turns``
    to further views of each.

    Args:
        channels: of c2, c3, c4 and c5; not used, the head sees only the bottleneck.
        dim: D, channels of the bottleneck.
    """

    stage1 = "decoder"
    detaches_supports = True
    start: Tensor

    def __init__(self, channels: Sequence[int], spec: CwtSpec, dim: int = 512) -> None:
        super().__init__()
        self.spec = spec
        generator = torch.Generator().manual_seed(spec.init_seed)
        self.register_buffer("start", (2 * torch.rand(2, dim, generator=generator) - 1) / math.sqrt(dim))
        self.transformer = ClassifierTransformer(
            dim, spec.heads, spec.attention_dropout, spec.output_dropout, spec.norm, spec.temperature
        )

    def forward(self, inputs: HeadInput) -> HeadOutput:
        """See `wilss.fewshot.heads.contract.Head`; ``inputs.decode`` must be given."""
        assert inputs.decode is not None
        with torch.no_grad():
            support = inputs.decode(inputs.last_stage(inputs.support.c4)).to(self.start.dtype)
        query = inputs.decode(inputs.query.c5).to(self.start.dtype)
        with torch.autocast(query.device.type, enabled=False):
            support = support.unflatten(0, inputs.support_mask.shape[:2])
            weights = fit_classifier(support, inputs.support_mask, self.start, self.spec)
            if self.spec.scale == "unit":
                weights = F.rms_norm(weights, weights.shape[-1:])
            directions = F.normalize(query, dim=1).flatten(2)
            logits = self.transformer(weights, directions) @ directions
        return HeadOutput(logits.unflatten(2, query.shape[-2:]))

    def losses(self, output: HeadOutput, batch: EpisodeBatch) -> dict[str, Tensor]:
        """See `wilss.fewshot.heads.contract.Head`: one cross-entropy, weighted by `pixel_shares` of each query.

        A query without foreground (or background) has the plain mean over the other; one that is all 255 gives zero.
        """
        assert batch.query_mask is not None
        enlarged = resize(output.logits.float(), batch.query_mask.shape[-2:])
        terms = pixel_shares(batch.query_mask, self.spec.balance_loss) * enlarged.log_softmax(1)
        return {"loss": -terms.sum() / len(terms)}
