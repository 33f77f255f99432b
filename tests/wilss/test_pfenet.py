"""PFENet against its equations written out bin by bin."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError

from tests.wilss.slow_operators import (
    slow_layers,
    slow_pixel_loss,
    slow_pool,
    slow_priors,
    slow_prototypes,
    slow_resize,
)
from wilss.fewshot.heads.contract import HeadInput
from wilss.fewshot.heads.pfenet import PfenetHead, bin_size
from wilss.fewshot.heads.spec import PfenetSpec
from wilss.testing.episodes import make_batch, make_input

CHANNELS = (3, 4, 5, 6)


def make_head(seed: int = 0, **settings: object) -> PfenetHead:
    """A small head in float64, without dropout."""
    torch.manual_seed(seed)
    return PfenetHead(CHANNELS, PfenetSpec.model_validate({"channels": 8, **settings})).double().eval()


def slow_pfenet(head: PfenetHead, inputs: HeadInput, sizes: list[tuple[int, int]]) -> list[torch.Tensor]:
    """Final logits, then those of the bins, whose sizes are given."""
    whole = tuple(inputs.query.c4.shape[-2:])
    query, support = (torch.cat([f.c4, f.c3], 1) for f in (inputs.query, inputs.support))
    query, support = slow_layers(query, head.query), slow_layers(support, head.support)
    shots = inputs.support_mask.shape[1]
    prototypes, priors = slow_prototypes(support, inputs), slow_priors(inputs)
    prototype = sum(prototypes[:, k] for k in range(shots)) / shots
    prior = sum(priors[:, k] for k in range(shots)) / shots
    outputs, aux = [], []
    for i, size in enumerate(sizes):
        everywhere = prototype[:, :, None, None].repeat(1, 1, *size)
        f = torch.cat([slow_pool(query, size), everywhere, slow_resize(prior[:, None], size)], 1)
        f = slow_layers(f, head.mix[i])
        if i > 0:
            f = f + slow_layers(torch.cat([f, slow_resize(outputs[i - 1], size)], 1), head.previous[i - 1])
        f = f + slow_layers(f, head.refine[i])
        aux.append(slow_layers(f, head.classify_bins[i]))
        outputs.append(slow_resize(f, whole))
    joined = slow_layers(torch.cat(outputs, 1), head.join)
    joined = joined + slow_layers(joined, head.refine_joined)
    return [slow_layers(joined, head.classify), *aux]


@pytest.mark.parametrize(
    ("shots", "size", "bins", "sizes"),
    [
        (1, (7, 9), (1, 0.5, 0.25, 0.125), [(7, 9), (3, 4), (1, 2), (1, 1)]),
        (3, (7, 9), (1, 0.5, 0.25, 0.125), [(7, 9), (3, 4), (1, 2), (1, 1)]),
        (1, (7, 9), (8, 5, 2), [(7, 8), (5, 5), (2, 2)]),
        (1, (13, 13), (60, 30, 8), [(13, 13), (13, 13), (8, 8)]),
    ],
)
def test_head_equals_its_equations(
    shots: int, size: tuple[int, int], bins: tuple[float, ...], sizes: list[tuple[int, int]]
) -> None:
    inputs = make_input(shots=shots, size=size, image=(49, 65))
    head = make_head(bins=bins)
    with torch.no_grad():
        output = head(inputs)
        expected = slow_pfenet(head, inputs, sizes)
    assert len(output.aux) == len(bins)
    for ours, theirs in zip((output.logits, *output.aux), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_losses() -> None:
    inputs = make_input(size=(5, 4), image=(17, 13))
    head, batch = make_head(aux_weight=0.5), make_batch(inputs)
    with torch.no_grad():
        output = head(inputs)
    losses = head.losses(output, batch)
    assert batch.query_mask is not None
    main = slow_pixel_loss(output.logits, batch.query_mask)
    of_bins = [slow_pixel_loss(logits, batch.query_mask) for logits in output.aux]
    assert set(losses) == {"main", "aux"}
    assert float(losses["main"]) == pytest.approx(main, rel=1e-4)
    assert float(losses["aux"]) == pytest.approx(0.5 * sum(of_bins) / 4, rel=1e-4)


def test_parameter_count_on_a_resnet() -> None:
    with torch.device("meta"):
        head = PfenetHead((256, 512, 1024, 2048), PfenetSpec())
    assert sum(p.numel() for p in head.parameters()) == 10_817_034


@pytest.mark.parametrize("shots", [1, 3])
def test_gradient_reaches_every_parameter(shots: int) -> None:
    inputs = make_input(shots=shots)
    head = make_head()
    sum(head.losses(head(inputs), make_batch(inputs)).values()).backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.isfinite().all() and parameter.grad.any()), name


@pytest.mark.parametrize("detach", [True, False])
def test_gradient_through_the_prior_is_a_setting(detach: bool) -> None:
    inputs = make_input()
    c5 = inputs.query.c5.clone().requires_grad_()  # the head sees c5 through the prior alone
    make_head(detach_prior=detach)(replace(inputs, query=inputs.query._replace(c5=c5))).logits[:, 1].sum().backward()
    assert (c5.grad is None) == detach


def test_an_empty_support_mask_gives_finite_numbers() -> None:
    inputs = make_input(shots=2)
    inputs.support_mask.zero_()
    head = make_head(detach_prior=False)
    output = head(inputs)
    sum(head.losses(output, make_batch(inputs)).values()).backward()
    assert all(maps.isfinite().all() for maps in (output.logits, *output.aux))
    assert all(p.grad is None or p.grad.isfinite().all() for p in head.parameters())


def test_the_order_of_supports_plays_no_part() -> None:
    inputs, order = make_input(n=1, shots=3), [2, 0, 1]
    shuffled = replace(
        inputs,
        support=type(inputs.support)(*(maps[order] for maps in inputs.support)),
        support_mask=inputs.support_mask[:, order],
    )
    head = make_head()
    torch.testing.assert_close(head(inputs).logits, head(shuffled).logits)


def test_bins_of_the_released_configurations() -> None:
    assert [bin_size(b, (60, 60)) for b in (60, 30, 15, 8)] == [(60, 60), (30, 30), (15, 15), (8, 8)]
    assert [bin_size(b, (81, 81)) for b in PfenetSpec().bins] == [(81, 81), (40, 40), (20, 20), (10, 10)]


@pytest.mark.parametrize("bins", [(), (0,), (-1,), (1.5,), (float("nan"),), (float("inf"),)])
def test_bins_that_are_refused(bins: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError):
        PfenetSpec(bins=bins)
