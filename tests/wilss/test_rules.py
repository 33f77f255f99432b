"""Optimisers in one pass over the memory, against torch's plain ones."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from tests.wilss.test_loop import SPEC, training
from tests.wilss.test_methods import segmenter
from wilss.learn.schedule import Part, make_rule
from wilss.learn.spec import TrainSpec

SIZES = ((4, 3, 2, 2), (5,), (2, 4))


def parameters() -> list[nn.Parameter]:
    gen = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(size, generator=gen)) for size in SIZES]


def parts_of(parameters: list[nn.Parameter]) -> list[Part]:
    return [Part(parameters[:1], 0.1, 0.01), Part(parameters[1:], 0.02, 0.0)]


def order_of(value: Tensor) -> list[tuple[int, int]]:
    """Stride and extent of the dimensions that have one."""
    return [(step, extent) for step, extent in zip(value.stride(), value.shape, strict=True) if extent > 1]


def gradients(iteration: int) -> list[Tensor]:
    gen = torch.Generator().manual_seed(iteration + 1)
    return [torch.randn(size, generator=gen) for size in SIZES]


def plain(optimizer: str, spec: TrainSpec, parts: list[Part]) -> torch.optim.Optimizer:
    """Torch's own, one parameter after the other."""
    groups: list[dict[str, Any]] = [
        {"params": list(part.parameters), "lr": part.rate, "weight_decay": part.decay} for part in parts
    ]
    if optimizer == "adamw":
        return torch.optim.AdamW(groups, foreach=False, fused=False)
    nesterov = spec.nesterov and spec.momentum > 0
    return torch.optim.SGD(groups, momentum=spec.momentum, nesterov=nesterov, foreach=False, fused=False)


@pytest.mark.parametrize(("optimizer", "momentum"), [("sgd", 0.9), ("sgd", 0.0), ("adamw", 0.9)])
@pytest.mark.parametrize("late", [(), (2,), (0, 2)])
def test_a_rule_steps_as_torch_does_also_where_gradients_come_late(
    optimizer: Literal["sgd", "adamw"], momentum: float, late: tuple[int, ...]
) -> None:
    """Some parameters have no gradient in the first three iterations, as a student's head in a warm-up."""
    spec, own, others = TrainSpec(momentum=momentum), parameters(), parameters()
    rule = make_rule(spec, parts_of(own), optimizer, lambda k: 1.0)
    slow = plain(optimizer, spec, parts_of(others))
    for iteration in range(8):
        for number, gradient in enumerate(gradients(iteration)):
            given = None if number in late and iteration < 3 else gradient
            own[number].grad, others[number].grad = given, None if given is None else given.clone()
        rule.optimizer.step()
        slow.step()
    for one, other, start in zip(own, others, parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)
        assert not torch.allclose(one, start, atol=0.01)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_gradients_and_what_is_kept_of_them_lie_as_their_weights_do(optimizer: str) -> None:
    """Torch's pass over the memory does not look at strides, and takes wrong gradients where they differ."""
    run = training(segmenter(), SPEC.model_copy(update={"optimizer": optimizer, "epochs": 1}))
    run.run()
    looked = 0
    for parameter, kept in run.rules[0].optimizer.state.items():
        assert parameter.grad is not None
        for value in (parameter.grad, *(one for one in kept.values() if one.shape == parameter.shape)):
            assert order_of(value) == order_of(parameter)
            looked += not parameter.is_contiguous()
    assert looked > 5
