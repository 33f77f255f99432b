"""The ASPP baseline against its equations written out pixel by pixel, and the prior mask that it shares."""

from __future__ import annotations

import pytest
import torch

from tests.wilss.slow_operators import slow_pixel_loss
from tests.wilss.test_bam import slow_meta
from wilss.fewshot.heads.aspp import AsppHead
from wilss.fewshot.heads.contract import HeadOutput
from wilss.fewshot.heads.parts import prior_mask, support_priors
from wilss.fewshot.heads.spec import AsppSpec
from wilss.testing.episodes import make_batch, make_input

CHANNELS = (3, 4, 5, 6)


def make_head() -> AsppHead:
    torch.manual_seed(0)
    head = AsppHead(CHANNELS, AsppSpec(channels=8, rates=(1, 3))).double().eval()
    return head


@pytest.mark.parametrize(("shots", "size"), [(1, (7, 9)), (3, (7, 9)), (5, (5, 4))])
def test_head_equals_its_equations_and_several_supports_are_averaged(shots: int, size: tuple[int, int]) -> None:
    head, inputs = make_head(), make_input(shots=shots, size=size, image=(49, 65))
    with torch.no_grad():
        found = head(inputs).logits
        wanted = slow_meta(head, inputs, torch.full((2, shots), 1 / shots, dtype=torch.float64))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_loss() -> None:
    inputs = make_input(size=(7, 9), image=(49, 65))
    batch, logits = make_batch(inputs), torch.randn(2, 2, 7, 9, dtype=torch.float64)
    assert batch.query_mask is not None
    (loss,) = make_head().losses(HeadOutput(logits), batch).values()
    assert float(loss) == pytest.approx(slow_pixel_loss(logits, batch.query_mask), rel=1e-5)


def test_a_prior_lies_between_0_and_1_and_is_0_for_an_empty_support() -> None:
    inputs = make_input(n=3, shots=2, size=(7, 9), image=(49, 65))
    arguments = inputs.query, inputs.support
    priors = support_priors(*arguments, inputs.support_mask, inputs.last_stage)
    assert priors.shape == (3, 2, 1, 7, 9)
    assert float(priors.min()) == 0
    assert float(priors.max()) == pytest.approx(1, abs=1e-5)
    assert not support_priors(*arguments, torch.zeros_like(inputs.support_mask), inputs.last_stage).any()
    alike = torch.ones(1, 4, 3, 3)  # every position as near as any other: nothing to stretch
    assert prior_mask(alike, alike).isfinite().all()
