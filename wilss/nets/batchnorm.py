"""BatchNorm that stays as it was, and one whose statistics are those of a batch that several processes share."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from wilss.errors import SpecError
from wilss.parallel.ranks import here

PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
TIMMS = "BatchNormAct2d"
"""With drop and activation; by its name, so that timm need not be loaded."""


def freeze_batchnorm(module: nn.Module) -> None:
    """Put every BatchNorm in evaluation mode with fixed affine parameters."""
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.eval()
            layer.requires_grad_(False)


def synchronise_batchnorm(module: nn.Module) -> None:
    """Have every BatchNorm below ``module`` take its statistics over all processes; parameters stay the same objects.

    Raises SpecError for a kind of BatchNorm that computes in a way of its own.
    """
    known: dict[int, nn.Module] = {}
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.modules.batchnorm._BatchNorm) and not isinstance(child, SyncedBatchNorm):
                setattr(parent, name, known.setdefault(id(child), _synced(child)))


class SyncedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Like the BatchNorm that it was made of; in training its batch is that of all processes together.

    ``(N, C, ...)`` -> the same. torch's own SyncBatchNorm runs on CUDA alone; this one takes any device.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"expected (N, C, ...), got {tuple(input.shape)}")

    def forward(self, input: Tensor) -> Tensor:
        """See the class."""
        ranks = here()
        if not (self.training and ranks.splits(ranks.batch)):
            return super().forward(input)
        self._check_input_dim(input)
        out, mean, variance, count = _BatchNorm.apply(input, self.weight, self.bias, self.eps)  # type: ignore[no-untyped-call]
        if self.track_running_stats:
            self._remember(mean, variance * count / (count - 1).clamp(min=1))
        return cast(Tensor, out)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert isinstance(self.num_batches_tracked, Tensor)
        assert isinstance(self.running_mean, Tensor)
        assert isinstance(self.running_var, Tensor)
        self.num_batches_tracked.add_(1)
        rate = 1 / self.num_batches_tracked.float() if self.momentum is None else self.momentum
        for kept, seen in ((self.running_mean, mean), (self.running_var, variance)):
            kept.add_((seen.to(kept.dtype) - kept) * rate)


class SyncedBatchNormAct(SyncedBatchNorm):
    """The same of timm's BatchNorm with an activation (EfficientNet, MobileNet and others)."""

    drop: nn.Module
    act: nn.Module

    def forward(self, input: Tensor) -> Tensor:
        """See the class."""
        return cast(Tensor, self.act(self.drop(super().forward(input))))


def _synced(layer: nn.modules.batchnorm._BatchNorm) -> SyncedBatchNorm:
    with_act = type(layer).__name__ == TIMMS
    if not with_act and type(layer) not in PLAIN:
        raise SpecError(
            f"the network has a {type(layer).__name__}, whose statistics several devices cannot share; take --devices 1"
        )
    kind = SyncedBatchNormAct if with_act else SyncedBatchNorm
    made = kind(layer.num_features, layer.eps, layer.momentum, layer.affine, layer.track_running_stats)
    made._parameters, made._buffers, made._modules = layer._parameters, layer._buffers, layer._modules
    return made.train(layer.training)


class _BatchNorm(torch.autograd.Function):
    """Normalisation over the rows of all ranks; also returns mean, biased variance and count, without gradient."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        axes = [axis for axis in range(x.ndim) if axis != 1]
        wide = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
        count, mean, variance = _over_ranks(wide, axes)
        shape = [-1 if axis == 1 else 1 for axis in range(x.ndim)]
        inverse = (variance + eps).rsqrt()
        normal = (wide - mean.view(shape)) * inverse.view(shape)
        ctx.save_for_backward(normal, weight, inverse, count)
        ctx.axes, ctx.shape, ctx.dtype = axes, shape, x.dtype
        out = normal.clone() if weight is None or bias is None else normal * weight.view(shape) + bias.view(shape)
        ctx.mark_non_differentiable(mean, variance, count)
        return out.to(x.dtype), mean, variance, count

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        normal, weight, inverse, count = ctx.saved_tensors
        gradient = gradients[0].to(normal.dtype)
        of_bias, of_weight = gradient.sum(ctx.axes), (gradient * normal).sum(ctx.axes)
        sums = torch.stack([of_bias, of_weight])
        dist.all_reduce(sums)
        first, second = (sums / count).unbind()
        scale = inverse if weight is None else inverse * weight
        inner = gradient - first.view(ctx.shape) - normal * second.view(ctx.shape)
        of_input = (inner * scale.view(ctx.shape)).to(ctx.dtype)
        return of_input, None if weight is None else of_weight, None if weight is None else of_bias, None


def _over_ranks(x: Tensor, axes: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Count, mean ``(C,)`` and biased variance ``(C,)`` of all ranks' rows.

    Each rank brings its own moments (Chan et al. 1983): a sum of squares would cancel where the mean is large.
    """
    variance, mean = torch.var_mean(x, axes, correction=0)
    own = x.new_full((1,), x.numel() / x.shape[1])
    mine = torch.cat([own, mean, variance])
    of_all = [torch.empty_like(mine) for _ in range(here().count)]
    dist.all_gather(of_all, mine)
    table = torch.stack(of_all)
    counts, means, variances = table[:, :1], table[:, 1 : 1 + len(mean)], table[:, 1 + len(mean) :]
    count = counts.sum()
    mean = (counts * means).sum(0) / count
    return count, mean, (counts * (variances + (means - mean) ** 2)).sum(0) / count
