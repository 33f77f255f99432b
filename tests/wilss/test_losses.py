"""Each equation against a slow, literal float64 transcription."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from wilss.learn.losses import (
    base_loss,
    dense_contrastive_loss,
    distillation_loss,
    encoder_loss,
    new_class_loss,
    soft_hard_mix,
    student_loss,
    student_target,
)
from wilss.learn.targets import sure_cells


def bce(logit: float, target: float) -> float:
    p = 1 / (1 + math.exp(-logit))
    return -(target * math.log(p) + (1 - target) * math.log(1 - p))


@pytest.fixture
def gen() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_base_loss_sums_classes_and_averages_labelled_pixels(gen: torch.Generator) -> None:
    logits, target = torch.randn(2, 3, 4, 5, generator=gen), torch.rand(2, 3, 4, 5, generator=gen)
    weight = torch.rand(2, 4, 5, generator=gen)
    total = norm = 0.0
    for n in range(2):
        for y in range(4):
            for x in range(5):
                pixel = sum(bce(float(logits[n, k, y, x]), float(target[n, k, y, x])) for k in range(3))
                total += float(weight[n, y, x]) * pixel
                norm += float(weight[n, y, x])
    assert float(base_loss(logits, target, weight)) == pytest.approx(total / norm, rel=1e-5)
    assert float(student_loss(logits, target)) == pytest.approx(float(base_loss(logits, target)), rel=1e-6)


def test_new_class_loss_is_a_mean_over_classes_and_pixels(gen: torch.Generator) -> None:
    logits, masks = torch.randn(2, 3, 2, 2, generator=gen), (torch.rand(2, 3, 2, 2, generator=gen) > 0.5).float()
    expected = sum(bce(a, b) for a, b in zip(logits.flatten().tolist(), masks.flatten().tolist(), strict=True)) / 24
    assert float(new_class_loss(logits, masks)) == pytest.approx(expected, rel=1e-5)


def test_cells_on_a_border_teach_the_teacher_nothing(gen: torch.Generator) -> None:
    logits = torch.randn(2, 3, 2, 2, generator=gen)
    masks = torch.tensor([0.0, 0.1, 0.11, 0.5, 0.89, 0.9, 1.0, 0.3]).repeat(3).view(2, 3, 2, 2)
    kept = [
        (a, b)
        for a, b in zip(logits.flatten().tolist(), masks.flatten().tolist(), strict=True)
        if b < 0.105 or b > 0.895
    ]
    expected = sum(bce(a, b) for a, b in kept) / len(kept)
    assert float(new_class_loss(logits, masks, sure_cells(masks, 0.1))) == pytest.approx(expected, rel=1e-5)
    assert sure_cells(masks, 0.0) is None


def test_distillation_is_bce_against_the_old_model(gen: torch.Generator) -> None:
    logits, old = torch.randn(2, 4, 3, 3, generator=gen), torch.rand(2, 4, 3, 3, generator=gen)
    expected = sum(bce(a, b) for a, b in zip(logits.flatten().tolist(), old.flatten().tolist(), strict=True)) / 72
    assert float(distillation_loss(logits, old)) == pytest.approx(expected, rel=1e-5)


def test_encoder_loss_is_a_mean_square(gen: torch.Generator) -> None:
    a, b = torch.randn(2, 3, 2, 2, generator=gen), torch.randn(2, 3, 2, 2, generator=gen)
    expected = sum((x - y) ** 2 for x, y in zip(a.flatten().tolist(), b.flatten().tolist(), strict=True)) / 24
    assert float(encoder_loss(a, b)) == pytest.approx(expected, rel=1e-5)


def contrastive_reference(embedding: torch.Tensor, masks: torch.Tensor, tau: float) -> float:
    """Every member and every non-member of the batch, no sampling."""
    n, c, h, w = masks.shape
    vectors = F.normalize(embedding.double(), dim=1).permute(0, 2, 3, 1).reshape(n * h * w, -1)
    losses = []
    for k in range(c):
        member = (masks[:, k] > 0.5).flatten().tolist()
        inside = [i for i, m in enumerate(member) if m]
        outside = [i for i, m in enumerate(member) if not m]
        if len(inside) < 2 or not outside:
            continue
        pairs = []
        for i in inside:
            negatives = sum(math.exp(float(vectors[i] @ vectors[j]) / tau) for j in outside)
            for j in inside:
                if j != i:
                    e = math.exp(float(vectors[i] @ vectors[j]) / tau)
                    pairs.append(-math.log(e / (e + negatives)))
        losses.append(sum(pairs) / len(pairs))
    return sum(losses) / len(losses) if losses else 0.0


def test_contrastive_loss_equals_the_double_loop_when_everything_is_sampled(gen: torch.Generator) -> None:
    embedding = torch.randn(2, 6, 3, 4, generator=gen)
    masks = (torch.rand(2, 3, 3, 4, generator=gen) > 0.6).float()
    masks[:, 2] = 0  # a class that the batch does not contain
    value = dense_contrastive_loss(embedding, masks, n_points=24, temperature=0.1, generator=gen)
    assert float(value) == pytest.approx(contrastive_reference(embedding, masks, 0.1), rel=1e-4)


def test_contrastive_loss_falls_when_a_class_gathers(gen: torch.Generator) -> None:
    masks = torch.zeros(1, 1, 4, 4)
    masks[0, 0, :2] = 1
    gathered = torch.where(masks.bool(), 1.0, -1.0) * torch.ones(1, 5, 1, 1)
    scattered = torch.randn(1, 5, 4, 4, generator=gen)
    low = dense_contrastive_loss(gathered, masks, 8, 0.1, gen)
    assert float(low) < 1e-3 < float(dense_contrastive_loss(scattered, masks, 8, 0.1, gen))


@pytest.mark.parametrize("member", [0, 1, 16])
def test_contrastive_loss_without_a_pair_is_zero_with_a_graph(member: int, gen: torch.Generator) -> None:
    embedding = torch.randn(1, 5, 4, 4, generator=gen, requires_grad=True)
    masks = (torch.arange(16) < member).float().view(1, 1, 4, 4)
    value = dense_contrastive_loss(embedding, masks, 10, 0.1, gen)
    value.backward()
    assert value.item() == 0
    assert embedding.grad is not None
    assert torch.isfinite(embedding.grad).all()


def test_mix_is_half_hard_half_soft(gen: torch.Generator) -> None:
    logits = torch.randn(1, 4, 2, 2, generator=gen)
    mix = soft_hard_mix(logits, 0.3)
    for y in range(2):
        for x in range(2):
            p = [1 / (1 + math.exp(-v)) for v in logits[0, :, y, x].tolist()]
            expected = [0.3 * (v == max(p)) + 0.7 * v for v in p]
            assert mix[0, :, y, x].tolist() == pytest.approx(expected, rel=1e-5)


def test_mix_gives_nothing_to_outputs_that_are_not_allowed(gen: torch.Generator) -> None:
    logits = torch.randn(2, 4, 3, 3, generator=gen)
    allowed = torch.tensor([[True, True, False, True], [True, False, False, False]])
    mix = soft_hard_mix(logits, 0.5, allowed)
    assert float(mix[0, 2].abs().max()) == 0
    assert float(mix[1, 1:].abs().max()) == 0
    assert float(mix[1, 0].min()) >= 0.5  # the only allowed output wins everywhere


def test_background_of_the_old_model_where_no_new_class_is() -> None:
    old = torch.tensor([0.9, 0.2, 0.0, 0.7]).reshape(1, 1, 1, 4)  # the third cell is pasted over
    mix_background, new = torch.tensor([0.3, 0.3, 0.0, 0.1]), torch.tensor([0.0, 0.1, 0.0, 0.8])
    mix = torch.stack([mix_background, new]).reshape(1, 2, 1, 4)
    assert student_target(mix, old)[0, 0, 0].tolist() == pytest.approx([0.3, 0.2, 0.0, 0.1])
    assert student_target(mix, old, "old")[0, 0, 0].tolist() == pytest.approx([0.9, 0.2, 0.0, 0.2])
    assert student_target(mix, old, "old")[0, 1, 0].tolist() == pytest.approx(new.tolist())


def test_student_target(gen: torch.Generator) -> None:
    mix, old = torch.rand(2, 5, 3, 3, generator=gen), torch.rand(2, 3, 3, 3, generator=gen)
    target = student_target(mix, old)
    assert torch.equal(target[:, 0], torch.minimum(mix[:, 0], old[:, 0]))
    assert torch.equal(target[:, 1:3], old[:, 1:])
    assert torch.equal(target[:, 3:], mix[:, 3:])


def test_targets_carry_no_gradient(gen: torch.Generator) -> None:
    logits = torch.randn(1, 5, 2, 2, generator=gen, requires_grad=True)
    old = torch.rand(1, 3, 2, 2, generator=gen, requires_grad=True)
    assert not student_target(soft_hard_mix(logits, 0.5), old).requires_grad
