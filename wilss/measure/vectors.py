"""What a step changed by its singular values: moves of every layer, and what the strongest components look at.

Component i of a convolution is its input convolved with row i of V^T, one channel; its sign is arbitrary, so that maps
show magnitudes. Sun et al. (NeurIPS 2022) report that values which fall most belong to patterns of the background and
values which rise most to the foreground; the shares here let that be checked, on as many components as are asked for.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wilss.data.source import VOID

By = Literal["factor", "value"]


@dataclass(frozen=True)
class LayerMoves:
    """How far a layer's factors g are from 1.

    up, down: largest rise (0 or more) and fall (0 or less). risen, fallen: their positions in the layer's vector.
    """

    layer: str
    rank: int
    mean: float
    up: float
    down: float
    risen: int
    fallen: int


@dataclass(frozen=True)
class Component:
    """One singular value. index: position in the layer's vector. share: S over the layer's largest, factor: g."""

    layer: str
    index: int
    share: float
    factor: float


def layer_moves(vectors: Mapping[str, Tensor]) -> list[LayerMoves]:
    """One row for each layer of a vector set, in its order."""
    rows = []
    for layer, vector in vectors.items():
        change = vector.flatten().float() - 1
        up, down = float(change.max().clamp(min=0)), float(change.min().clamp(max=0))
        places = int(change.argmax()), int(change.argmin())
        rows.append(LayerMoves(layer, change.numel(), float(change.abs().mean()), up, down, *places))
    return rows


def strongest(
    values: Mapping[str, Tensor], vectors: Mapping[str, Tensor], count: int, by: By = "factor"
) -> tuple[list[Component], list[Component]]:
    """The ``count`` components that rose most and those that fell most, strongest first; fewer where fewer moved.

    Args:
        values: S by layer, ``(G, r)``. vectors: g by layer, the same shapes.
        by: "factor" ranks by g - 1, "value" by the change of S itself over the layer's largest S.
    """
    found = []
    for layer, vector in vectors.items():
        factors = vector.flatten().float().cpu()
        shares = values[layer].flatten().cpu() / values[layer].max().cpu().clamp(min=1e-30)
        both = zip(shares.tolist(), factors.tolist(), strict=True)
        found += [Component(layer, i, share, factor) for i, (share, factor) in enumerate(both)]
    moves = [(c.factor - 1) * (c.share if by == "value" else 1.0) for c in found]
    order = sorted(range(len(found)), key=lambda k: moves[k])
    fallen = [found[k] for k in order[:count] if moves[k] < 0]
    risen = [found[k] for k in reversed(order[-count:]) if moves[k] > 0]
    return risen, fallen


@torch.inference_mode()
def activation_maps(
    network: nn.Module, right: Mapping[str, Tensor], components: Sequence[Component], run: Callable[[], object]
) -> list[Tensor]:
    """Magnitude of every component's activation, float32 ``(N, h, w)`` at the size of its layer's output.

    Args:
        network: plain network in evaluation mode, whose layers are convolutions by the components' names.
        right: V^T by layer, ``(G, r, I k k / G)``. run: passes N images through the network, once.
    """
    inputs: dict[str, Tensor] = {}
    hooks = []
    for name in {c.layer for c in components}:

        def keep(_: nn.Module, given: tuple[Tensor, ...], name: str = name) -> None:
            inputs[name] = given[0]

        hooks.append(network.get_submodule(name).register_forward_pre_hook(keep))
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return [_respond(network.get_submodule(c.layer), right[c.layer], c.index, inputs[c.layer]) for c in components]


def _respond(layer: nn.Module, right: Tensor, index: int, given: Tensor) -> Tensor:
    """The layer itself with one output channel a group, so that its own stride, padding and dilation hold."""
    assert isinstance(layer, nn.Conv2d)
    group, row = divmod(index, right.shape[1])
    probe = copy.deepcopy(layer)
    filters = torch.zeros(layer.groups, *layer.weight.shape[1:], device=given.device)
    filters[group] = right[group, row].reshape(layer.weight.shape[1:])
    probe.weight, probe.bias = nn.Parameter(filters), None
    response: Tensor = probe(given)[:, group]
    return response.abs()


@dataclass
class ForegroundShare:
    """Share of a component's activation energy that lies on objects, over images; void does not count."""

    inside: float = 0.0
    total: float = 0.0

    def add(self, response: Tensor, labels: Tensor) -> None:
        """Count one map ``(h, w)`` against labels uint8 ``(H, W)``: 0 background, 255 void, anything else an object."""
        energy = response.float().square().cpu()
        parts = torch.stack([(labels != 0) & (labels != VOID), labels != VOID]).float()
        cells = F.interpolate(parts[None], energy.shape, mode="area")[0]
        self.inside += float((energy * cells[0]).sum())
        self.total += float((energy * cells[1]).sum())

    @property
    def value(self) -> float | None:
        """In [0, 1]; None without any energy."""
        return self.inside / self.total if self.total > 0 else None


def heat(image: Tensor, response: Tensor) -> Tensor:
    """A map ``(h, w)`` as heat over an image uint8 ``(3, H, W)``, scaled to its own maximum; uint8 ``(3, H, W)``."""
    large = F.interpolate(response[None, None].float().cpu(), image.shape[-2:], mode="bilinear", align_corners=False)[0]
    strength = large / large.max().clamp(min=1e-30)
    grey = 0.5 * image.float().mean(0, keepdim=True).expand(3, -1, -1)
    glow = torch.tensor([255.0, 150.0, 20.0]).view(3, 1, 1)
    return ((1 - strength) * grey + strength * glow).round().clamp(0, 255).to(torch.uint8)
