"""Which words compete, against a slow transcription."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from wilss.foundation.competition import class_probabilities

SIZES = (2, 1, 3, 1)
"""Words of four classes, the last of which is a background word."""


def slow(logits: Tensor, sizes: Sequence[int], allowed: Tensor | None, denoise: float) -> Tensor:
    """One image and cell after the other in float64; ``(N, C, h, w)``."""
    n, _, h, w = logits.shape
    found = torch.zeros(n, len(sizes), h, w, dtype=torch.float64)
    for image in range(n):
        competing = {c for c in range(len(sizes)) if allowed is None or bool(allowed[image, c])}
        for last in (False, True):
            for row in range(h):
                for column in range(w):
                    found[image, :, row, column] = _cell(logits[image, :, row, column].tolist(), sizes, competing)
            if last or not denoise or not competing:
                break
            highest = {c: float(found[image, c].max()) for c in competing}
            competing = {c for c in competing if highest[c] >= denoise or highest[c] == max(highest.values())}
    return found


def _cell(logits: list[float], sizes: Sequence[int], competing: set[int]) -> Tensor:
    words = [(c, logits[sum(sizes[:c]) + k]) for c in competing for k in range(sizes[c])]
    total = sum(math.exp(logit) for _, logit in words)
    best = torch.zeros(len(sizes), dtype=torch.float64)
    for c, logit in words:
        best[c] = max(float(best[c]), math.exp(logit) / total)
    return best


@pytest.mark.parametrize("denoise", [0.0, 0.45])
@pytest.mark.parametrize("tagged", [False, True])
@pytest.mark.parametrize("sizes", [SIZES, (1,) * 7])
def test_probabilities_equal_a_slow_transcription(sizes: tuple[int, ...], tagged: bool, denoise: float) -> None:
    torch.manual_seed(0)
    logits = 2 * torch.randn(3, 7, 2, 3)
    allowed = None
    if tagged:
        allowed = torch.rand(3, len(sizes)) < 0.5
        allowed[:, -1] = True
        allowed[0, 0] = True
    found = class_probabilities(logits, sizes, allowed, denoise)
    torch.testing.assert_close(found.double(), slow(logits, sizes, allowed, denoise), atol=1e-6, rtol=1e-5)


def test_tags_of_one_image_are_nothing_to_another() -> None:
    logits, allowed = torch.randn(2, 3, 1, 1), torch.tensor([[True, False, True], [False, True, True]])
    found = class_probabilities(logits, (1, 1, 1), allowed)
    assert (found > 0).squeeze().tolist() == allowed.tolist()
    torch.testing.assert_close(found.sum(1), torch.ones(2, 1, 1))
    torch.testing.assert_close(found[:1], class_probabilities(logits[:1], (1, 1, 1), allowed[:1]))


def test_an_image_of_which_nothing_may_compete_gets_zeros() -> None:
    found = class_probabilities(torch.randn(1, 2, 2, 2), (1, 1), torch.zeros(1, 2, dtype=torch.bool), 0.3)
    assert torch.equal(found, torch.zeros(1, 2, 2, 2))


def test_prompt_denoising_takes_weak_classes_out_but_never_all() -> None:
    logits = torch.tensor([2.0, 1.9, -3.0]).view(1, 3, 1, 1)
    found = class_probabilities(logits, (1, 1, 1), denoise=0.4)
    assert float(found[0, 2]) == 0
    assert float(found.sum()) == pytest.approx(1)
    kept = class_probabilities(logits, (1, 1, 1), denoise=0.9)
    assert kept.flatten().tolist() == [1.0, 0.0, 0.0]


def test_a_class_of_several_words_is_weak_by_its_best_word() -> None:
    logits = torch.tensor([3.0, -5.0, 2.0]).view(1, 3, 1, 1)  # a weak synonym of the strongest class stays
    both = class_probabilities(logits, (2, 1), denoise=0.2)
    alone = torch.tensor([3.0, -5.0, 2.0]).softmax(0)
    torch.testing.assert_close(both.flatten(), torch.stack([alone[0], alone[2]]))
