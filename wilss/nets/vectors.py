"""Vector sets: every step that is tuned by its singular values owns a vector g on the same frozen U, S and V.

    W_t = U diag(S g_t) V^T,   g_0 = 1,   g_t trained from g_{t-1}

U, S and V are those of the backbone before the first such step, the bases; they are computed from its weights and never
stored. A set of the last three stages of a ResNet-50 is 12,544 float32, 50 kB. BatchNorm is frozen in these steps, so
that nothing else of the backbone differs between them. SVFCL (arXiv 2503.10214) sums increments of S over sessions
instead, S_t = S + sum of dS: the same family of weights in other coordinates.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wilss.errors import SpecError
from wilss.nets.svf import apply_svf, decomposition, folded_state, load_svf_state, svf_layers, svf_state

SMALLEST = 1e-6
"""Share of a layer's largest singular value below which one counts as zero."""
Vectors = Mapping[str, Tensor]
"""Layer name -> g, float32 ``(G, r)``: G groups of r singular values."""


@dataclass(frozen=True)
class Chain:
    """What a step goes on from when the step before was tuned by its singular values too.

    bases: the plain backbone that holds U, S and V. vectors: g of the step before.
    """

    bases: nn.Module
    vectors: Vectors


class VectorSets:
    """A backbone on fixed bases with the vectors of its steps; one of them is active in ``network``.

    For looking and for deployment: nothing of it is trained.

    Args:
        backbone: plain network with the weights of the bases; it stays as it is.
        layers: names of the tuned layers, the keys of a vector set.
        step: number of the step that holds the bases; its vectors are 1.

    Raises SpecError for a backbone that is decomposed already, or that has no such layers.
    """

    def __init__(self, backbone: nn.Module, layers: Sequence[str], step: int = 0) -> None:
        self.plain = backbone
        self.network = copy.deepcopy(backbone)
        apply_svf(self.network, layers)
        self.network.requires_grad_(False)
        self._sets = {step: svf_state(self.network)}
        self.active = step

    @property
    def steps(self) -> tuple[int, ...]:
        """Steps whose vectors are here, the step of the bases first."""
        return tuple(self._sets)

    def add(self, step: int, vectors: Vectors) -> None:
        """Keep the vectors of a step; the active step stays what it is.

        Raises SpecError for a step that is here already, or for vectors of another backbone.
        """
        if step in self._sets:
            raise SpecError(f"step {step} has its vectors already; a step's vectors never change")
        try:
            load_svf_state(self.network, vectors)
            self._sets[step] = svf_state(self.network)
        finally:
            self.activate(self.active)

    def activate(self, step: int) -> None:
        """Put the vectors of a step into ``network``, back or forth: no decomposition, 50 kB are copied.

        Raises SpecError for a step without vectors.
        """
        load_svf_state(self.network, self.state(step))
        self.active = step

    def state(self, step: int) -> dict[str, Tensor]:
        """The vectors of a step. Raises SpecError for a step without."""
        if step not in self._sets:
            known = ", ".join(map(str, self._sets))
            raise SpecError(f"there are no vectors of step {step}; there are those of the steps {known}")
        return dict(self._sets[step])

    def fold(self, step: int) -> nn.Module:
        """A plain network with the weights of a step, for deployment; nothing here changes.

        Raises SpecError for a step without vectors.
        """
        before = self.active
        self.activate(step)
        network = copy.deepcopy(self.plain)  # of the plain one: a copy of a decomposed network cannot be folded
        network.load_state_dict(folded_state(self.network))
        self.activate(before)
        return network

    def values(self) -> dict[str, Tensor]:
        """S of every tuned layer, float32 ``(G, r)``, descending."""
        return {name: decomposition(layer).values for name, layer in svf_layers(self.network)}

    def right(self) -> dict[str, Tensor]:
        """V^T of every tuned layer, float32 ``(G, r, I k k / G)``: row i is what component i looks for in the input."""
        return {name: decomposition(layer).right for name, layer in svf_layers(self.network)}


def vectors_between(bases: nn.Module, tuned: nn.Module, layers: Sequence[str]) -> dict[str, Tensor]:
    """The g of a network that was tuned on these bases and folded: the diagonal of U^T W V, over S.

    Args:
        bases, tuned: plain networks of one kind; they stay as they are. layers: as in `wilss.nets.svf.apply_svf`.

    Returns:
        Layer name -> g, float32 ``(G, r)``; 1 where S is zero, and nothing could be tuned.
    """
    network, weights = copy.deepcopy(bases), dict(tuned.named_parameters())
    apply_svf(network, layers)
    found = {}
    for name, layer in svf_layers(network):
        parts = decomposition(layer)
        matrices = weights[f"{name}.weight"].detach().float().reshape(*parts.left.shape[:2], -1)
        along = ((parts.left.transpose(1, 2) @ matrices) * parts.right).sum(2)
        there = parts.values > SMALLEST * parts.values.amax(1, keepdim=True)
        found[name] = torch.where(there, along / parts.values, 1.0)
    return found


def weights_digest(state: Mapping[str, Tensor]) -> str:
    """Name of weights by their content: 32 hexadecimal digits of SHA-256 over names, types, shapes and bytes."""
    total = hashlib.sha256()
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        total.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        total.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()[:32]
