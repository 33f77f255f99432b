"""Singular value fine-tuning (Sun et al., NeurIPS 2022): only the singular values of a backbone's weights are trained.

A weight W of O x (I k k) entries is decomposed once, W = U diag(s) V^T at full rank, per group of a grouped
convolution. U and V stay fixed. What is trained is a factor g on s, initially 1 (as the paper's text describes it), or
S itself (as the released code does); the two differ under gradient descent, since dL/dg = s dL/dS.

In the composed form, the default, the layer keeps its kind and computes W = (U * s) V^T before its one convolution, in
float32 also under autocast; `fold` leaves a plain layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from wilss.errors import SpecError
from wilss.nets.spec import Form


class SingularValues(nn.Module):
    """Parametrisation of one weight by its singular values.

    Buffers left ``(G, O/G, r)``, values ``(G, r)`` and right ``(G, r, I k k / G)`` in float32, G groups; the parameter
    is ``(G, r)``: a factor on the values ("factor") or the values themselves ("direct").
    """

    left: Tensor
    values: Tensor
    right: Tensor

    def __init__(self, weight: Tensor, groups: int, form: Form) -> None:
        super().__init__()
        self.shape = weight.shape
        self.form = form
        # float64 on the CPU: in float32 neighbouring values mix, and differently on every machine, so that vectors that
        # are kept without U and V would meet others
        matrices = weight.detach().cpu().double().reshape(groups, -1, weight[0].numel())
        left, values, right = torch.linalg.svd(matrices, full_matrices=False)
        self.register_buffer("left", left.to(weight.device, torch.float32))
        self.register_buffer("values", values.to(weight.device, torch.float32))
        self.register_buffer("right", right.to(weight.device, torch.float32))

    def forward(self, trained: Tensor) -> Tensor:
        """Compose the weight from the trained vector ``(G, r)``."""
        with torch.autocast(trained.device.type, enabled=False):
            values = trained.float() * self.values if self.form == "factor" else trained.float()
            return ((self.left * values[:, None]) @ self.right).reshape(self.shape)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """The vector of the weight that was decomposed."""
        return torch.ones_like(self.values) if self.form == "factor" else self.values.clone()


def apply_svf(module: nn.Module, layers: Sequence[str], form: Form = "factor") -> list[nn.Parameter]:
    """Freeze ``module``, decompose its layers in place and return the vectors to train.

    BatchNorm keeps its statistics until `fold`, and ``.train()`` cannot undo that.

    Args:
        layers: names of modules; every Conv2d and Linear in and below them is decomposed.

    Raises SpecError for a name that is not there, when there is nothing to decompose, when it is decomposed already, or
    for weights that are not float32, in which they are composed; the module is then as it was.
    """
    if any(svf_layers(module)):
        raise SpecError("the backbone is decomposed already; fold it first")
    chosen = _layers_to_decompose(module, layers)
    module.requires_grad_(False)
    for layer in chosen:
        groups = layer.groups if isinstance(layer, nn.Conv2d) else 1
        parametrize.register_parametrization(layer, "weight", SingularValues(layer.weight, groups, form))
        _trained(layer).requires_grad_(True)
    for norm in _batchnorms(module):
        norm.register_forward_pre_hook(_use_kept_statistics)
    return [_trained(layer) for layer in chosen]


def _layers_to_decompose(module: nn.Module, layers: Sequence[str]) -> list[nn.Conv2d | nn.Linear]:
    known = dict(module.named_modules())
    for name in layers:
        if name not in known:
            top = ", ".join(child for child, _ in module.named_children())
            raise SpecError(f"the backbone has no module '{name}'; its first level: {top}")
    chosen = {
        name: layer
        for name, layer in known.items()
        if isinstance(layer, nn.Conv2d | nn.Linear) and any(f"{name}.".startswith(f"{top}.") for top in layers)
    }
    if not chosen:
        raise SpecError(f"no convolution or linear layer lies in {', '.join(layers)}; nothing could be tuned")
    for name, layer in chosen.items():
        if layer.weight.dtype != torch.float32:
            raise SpecError(f"the weight of '{name}' is {layer.weight.dtype}; make the backbone .float() first")
    return list(chosen.values())


def svf_state(module: nn.Module) -> dict[str, Tensor]:
    """The trained vectors alone, by layer name; float32 ``(G, r)`` each."""
    return {name: _trained(layer).detach().clone() for name, layer in svf_layers(module)}


def load_svf_state(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put vectors into a decomposed module. Raises SpecError when they are of another."""
    layers = dict(svf_layers(module))
    if set(layers) != set(state):
        odd = sorted(set(layers) ^ set(state))[0]
        raise SpecError(f"the singular values are of another backbone: '{odd}' is in one of both only")
    for name, layer in layers.items():
        trained = _trained(layer)
        if trained.shape != state[name].shape:
            raise SpecError(
                f"'{name}' has {tuple(trained.shape)} singular values, {tuple(state[name].shape)} are given"
            )
        trained.data.copy_(state[name])


def fold(module: nn.Module) -> nn.Module:
    """Turn every decomposed layer back into a plain one with the composed weight, in place.

    Not for a copy of a decomposed module: PyTorch lets copies share their class, and removes the weight from it.
    """
    for _, layer in svf_layers(module):
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    for layer in _batchnorms(module):
        for key, hook in list(layer._forward_pre_hooks.items()):
            if hook is _use_kept_statistics:
                del layer._forward_pre_hooks[key]
    return module


def folded_state(module: nn.Module) -> dict[str, Tensor]:
    """State of the plain module that `fold` would leave; the module stays decomposed."""
    state = {name: value for name, value in module.state_dict().items() if ".parametrizations." not in f".{name}"}
    for name, layer in svf_layers(module):
        state[f"{name}.weight"] = cast(Tensor, layer.weight).detach().clone()
    return state


def svf_layers(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Decomposed layers by name."""
    for name, layer in list(module.named_modules()):
        if parametrize.is_parametrized(layer, "weight") and isinstance(decomposition(layer), SingularValues):
            yield name, layer


def decomposition(layer: nn.Module) -> SingularValues:
    """U, S and V of a decomposed layer."""
    found: SingularValues = _parametrisation(layer)[0]
    return found


def _batchnorms(module: nn.Module) -> Iterator[nn.Module]:
    return (layer for layer in module.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm))


def _use_kept_statistics(layer: nn.Module, _: object) -> None:
    layer.eval()


def _parametrisation(layer: nn.Module) -> Any:
    return cast(Any, layer).parametrizations["weight"]


def _trained(layer: nn.Module) -> nn.Parameter:
    vector: nn.Parameter = _parametrisation(layer).original
    return vector
