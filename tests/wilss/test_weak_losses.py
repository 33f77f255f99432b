"""WILSON's equations against slow, literal float64 transcriptions."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from wilss.learn.weak_losses import (
    allowed_outputs,
    classification_loss,
    confident_masks,
    localizer_mix,
    pooled_scores,
    self_supervision_loss,
)

N, K, C, H, W = 3, 5, 2, 3, 4
TAGS = torch.tensor([[True, False], [True, True], [False, True]])


@pytest.fixture
def logits() -> Tensor:
    return 2 * torch.randn(N, K, H, W, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def softmax(logits: Tensor, n: int, i: int) -> list[float]:
    z = [float(logits[n, k, i // W, i % W]) for k in range(K)]
    total = sum(math.exp(v) for v in z)
    return [math.exp(v) / total for v in z]


def slow_scores(logits: Tensor) -> list[list[float]]:
    scores = []
    for n in range(N):
        row = []
        for c in range(K):
            m = [softmax(logits, n, i)[c] for i in range(H * W)]
            z = [float(logits[n, c, i // W, i % W]) for i in range(H * W)]
            mean = sum(m) / len(m)
            pooled = sum(a * b for a, b in zip(m, z, strict=True)) / (1 + sum(m))
            row.append(pooled + (1 - mean) ** 3 * math.log(0.01 + mean))
        scores.append(row)
    return scores


def test_pooled_scores(logits: Tensor) -> None:
    assert torch.allclose(pooled_scores(logits).double(), torch.tensor(slow_scores(logits)).double(), atol=1e-5)


def test_classification_loss_sees_new_classes_only(logits: Tensor) -> None:
    scores = pooled_scores(logits)
    total = 0.0
    for n in range(N):
        for c in range(C):
            p = 1 / (1 + math.exp(-slow_scores(logits)[n][K - C + c]))
            total -= math.log(p) if TAGS[n, c] else math.log(1 - p)
    assert float(classification_loss(scores, TAGS)) == pytest.approx(total / (N * C), rel=1e-5)
    changed = scores.clone()
    changed[:, : K - C] += 7
    assert torch.equal(classification_loss(changed, TAGS), classification_loss(scores, TAGS))


def test_background_and_tagged_new_classes_are_allowed() -> None:
    assert allowed_outputs(TAGS, 3).int().tolist() == [[1, 0, 0, 1, 0], [1, 0, 0, 1, 1], [1, 0, 0, 0, 1]]


def slow_confident(masks: Tensor, allowed: Tensor) -> Tensor:
    kept = torch.zeros(masks.shape, dtype=torch.bool)
    for n in range(N):
        for k in range(K):
            values = [float(masks[n, k, y, x]) if allowed[n, k] else 0.0 for y in range(H) for x in range(W)]
            bound = max(0.2, (0.7 if k == 0 else 0.6) * max(values))
            for i, value in enumerate(values):
                kept[n, k, i // W, i % W] = value > bound
    for n in range(N):
        for y in range(H):
            for x in range(W):
                if int(kept[n, :, y, x].sum()) > 1:
                    kept[n, :, y, x] = False
    return kept


def test_confident_masks(logits: Tensor) -> None:
    masks, allowed = logits.softmax(1), allowed_outputs(TAGS, 3)
    found = confident_masks(masks, allowed, 0.6, 0.7)
    assert torch.equal(found, slow_confident(masks, allowed))
    assert not found[:, 1:3].any()  # old classes never
    claimed = torch.full((1, 2, 1, 1), 0.5)
    assert not confident_masks(claimed, torch.ones(1, 2, dtype=torch.bool), 0.6, 0.7).any()  # by two: by none


def test_self_supervision_loss(logits: Tensor) -> None:
    gen = torch.Generator().manual_seed(1)
    allowed = allowed_outputs(TAGS, 3)
    owners = torch.tensor([0, 0, 0, 1, 2, 3, 3, 4, 4, 4, 5, 6])  # 5 and 6: nobody's
    owner = torch.stack([owners[torch.randperm(H * W, generator=gen)].view(H, W) for _ in range(N)])
    target = torch.stack([(owner == k) & allowed[:, k, None, None] for k in range(K)], 1)
    target[0, 3] = False  # image 0 lacks its tagged class, so that it counts nothing
    total = 0.0
    for n in range(N):
        counts = [int(target[n, k].sum()) for k in range(K)]
        if any(allowed[n, k] and not counts[k] for k in range(K)):
            continue
        image = 0.0
        for i in range(H * W):
            for k in range(K):
                if target[n, k, i // W, i % W]:
                    weight = (sum(counts) - counts[k]) / (1 + sum(counts))
                    image -= weight * math.log(softmax(logits, n, i)[k])
        total += image / (H * W)
    assert total > 0
    assert float(self_supervision_loss(logits, target, allowed)) == pytest.approx(total / N, rel=1e-5)


def test_mix_hands_pixels_of_old_classes_to_what_is_allowed(logits: Tensor) -> None:
    masks, allowed = logits.softmax(1), allowed_outputs(TAGS, 3)
    mix, soft = localizer_mix(masks, allowed, 0.5), localizer_mix(masks, allowed, 0.5, soft_untagged=True)
    for n in range(N):
        for i in range(H * W):
            m = softmax(logits, n, i)
            winner = max((k for k in range(K) if allowed[n, k]), key=lambda k: m[k])
            for k in range(K):
                hard = 0.5 * (k == winner)
                assert float(mix[n, k, i // W, i % W]) == pytest.approx(
                    hard + 0.5 * m[k] * bool(allowed[n, k]), abs=1e-6
                )
                assert float(soft[n, k, i // W, i % W]) == pytest.approx(hard + 0.5 * m[k], abs=1e-6)
    assert not mix.requires_grad
