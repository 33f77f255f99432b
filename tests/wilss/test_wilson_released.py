"""One iteration of WILSON's step against a float64 transcription of what its released trainer does, image by image."""

from __future__ import annotations

import copy
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import wilss.learn.methods.wilson as wilson_module
from tests.wilss.test_methods import segmenter
from wilss.learn.localizer import Localizer
from wilss.learn.methods.contract import StepBatch, StepContext
from wilss.learn.methods.spec import WilsonSpec
from wilss.learn.methods.wilson import Wilson
from wilss.nets.segmenter import Segmenter

N, N_OLD, N_NEW = 24, 16, 5
DILATIONS = (1, 2, 4, 8, 12)


class Iteration(NamedTuple):
    terms: dict[str, Tensor]
    complete: list[bool]
    target: Tensor


@pytest.fixture
def method() -> Wilson:
    """In float64, with statistics that are not the batch's and a localizer that is sure of some cells."""
    old = segmenter().double().eval().requires_grad_(False)
    student = copy.deepcopy(old).requires_grad_(True).train()
    student.grow(N_NEW)
    method = Wilson(
        StepContext(student.double(), old, N_OLD, N_NEW, WilsonSpec(channels=8), torch.Generator().manual_seed(0))
    )
    localizer = method.localizer.double().train()
    generator = torch.Generator().manual_seed(3)
    for layer in localizer.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1, generator=generator)
            layer.running_var.uniform_(0.1, 0.3, generator=generator)
    with torch.no_grad():
        localizer[-1].weight.mul_(4)
        localizer[-1].bias[1:N_OLD] -= 2
    return method


@pytest.fixture
def batch() -> StepBatch:
    generator = torch.Generator().manual_seed(1)
    tags = torch.zeros(N, N_NEW, dtype=torch.bool)
    tags[torch.arange(N), torch.arange(N) % N_NEW] = True
    tags[::4, 2] = True
    images = torch.randn(N, 3, 48, 40, generator=generator, dtype=torch.float64)
    return StepBatch(images, None, tags, torch.zeros(N, 48, 40, dtype=torch.int64))


def localize(net: Localizer, x: Tensor, training: bool) -> Tensor:
    for k in (0, 2):
        x = F.conv2d(x, net[k].weight, padding=1)
        norm = net[k + 1][0]
        mean, var = norm.running_mean, norm.running_var
        if training:
            mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
        x = (x - mean[:, None, None]) / (var + norm.eps).sqrt()[:, None, None]
        x = x * norm.weight[:, None, None] + norm.bias[:, None, None]
        x = torch.where(x > 0, x, 0.01 * x)
    return F.conv2d(x, net[4].weight, net[4].bias)


def resized(image: Tensor, height: int, width: int) -> Tensor:
    """Bilinear; the corners' centres stay where they are."""
    for axis, size in ((1, height), (2, width)):
        places = torch.arange(size) * (image.shape[axis] - 1) / (size - 1)
        low = places.floor().long().clamp(max=image.shape[axis] - 2)
        share = (places - low).view(-1, *[1] * (2 - axis)).double()
        image = image.index_select(axis, low) * (1 - share) + image.index_select(axis, low + 1) * share
    return image


def pamr(image: Tensor, masks: Tensor, iterations: int = 10) -> Tensor:
    height, width = image.shape[1:]

    def around(values: Tensor, with_centres: bool) -> Tensor:
        """``(C, P, h, w)``: 8 or 9 pixels for every dilation."""
        found = []
        for d in DILATIONS:
            for dy in (-d, 0, d):
                for dx in (-d, 0, d):
                    if with_centres or dy or dx:
                        rows = (torch.arange(height) + dy).clamp(0, height - 1)
                        columns = (torch.arange(width) + dx).clamp(0, width - 1)
                        found.append(values[:, rows][:, :, columns])
        return torch.stack(found, 1)

    sigma = around(image, True).std(1, keepdim=True)
    weights = (-(around(image, False) - image[:, None]).abs() / (1e-8 + 0.1 * sigma)).mean(0).softmax(0)
    for _ in range(iterations):
        masks = (around(masks, False) * weights).sum(1)
    return masks


def confident(masks: Tensor) -> Tensor:
    kept = torch.stack([m > max(0.2, (0.6 if k else 0.7) * float(m.max())) for k, m in enumerate(masks)])
    return kept & (kept.sum(0) == 1)


def balanced_loss(logits: Tensor, kept: Tensor) -> Tensor:
    counts = [int(k.sum()) for k in kept]
    log_p = logits.log_softmax(0)
    total = torch.zeros((), dtype=torch.float64)
    for k, count in enumerate(counts):
        total = total - (sum(counts) - count) / (1 + sum(counts)) * log_p[k][kept[k]].sum()
    return total / logits[0].numel()


def released(student: Segmenter, old: Segmenter, localizer: Localizer, batch: StepBatch, alpha: float) -> Iteration:
    images, tags = batch.images, batch.tags.double()
    old_features = old.features(images)
    omega = old.classify(old_features).sigmoid()
    features = student.features(images)
    outputs = student.classify(features)
    first = localize(localizer, features, training=False).detach().softmax(1)
    raw = localize(localizer, features, training=True)
    m, z = raw.softmax(1).flatten(2), raw.flatten(2)
    scores = (z * m).sum(2) / (1 + m.sum(2)) + (1 - m.mean(2)) ** 3 * (0.01 + m.mean(2)).log()
    terms = {
        "classification": F.binary_cross_entropy_with_logits(scores[:, N_OLD:], tags),
        "localizer": F.binary_cross_entropy_with_logits(raw[:, :N_OLD], omega),
        "encoder": ((features - old_features) ** 2).mean(),
    }
    selves, students, complete, targets = [], [], [], []
    for n in range(N):
        allowed = torch.cat([torch.ones(1), torch.zeros(N_OLD - 1), tags[n]])[:, None, None]
        kept = confident(pamr(resized(images[n], *first.shape[2:]), first[n]) * allowed)
        complete.append(int(kept.flatten(1).any(1).sum()) == 1 + int(tags[n].sum()))
        selves.append(balanced_loss(raw[n], kept) * complete[-1])
        possible = first[n] * allowed
        q = alpha * (possible >= possible.amax(0)).double() + (1 - alpha) * possible
        target = torch.cat([torch.minimum(omega[n, :1], q[:1]), omega[n, 1:], q[N_OLD:]])
        loss = F.binary_cross_entropy_with_logits(outputs[n], target, reduction="none")
        students.append(loss.sum(0).mean())
        targets.append(target)
    terms["self"] = torch.stack(selves).mean()
    terms["student"] = torch.stack(students).sum() / (N + 1e-5)
    return Iteration(terms, complete, torch.stack(targets))


def test_an_iteration_equals_the_released_trainers(
    method: Wilson, batch: StepBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    student, localizer = copy.deepcopy(method.context.student), copy.deepcopy(method.localizer)
    expected = released(student, method.context.old, localizer, batch, alpha=0.5)
    assert {True, False} == set(expected.complete)  # images of both kinds are there
    torch.stack(list(expected.terms.values())).sum().backward()

    seen: list[Tensor] = []
    plain = wilson_module.student_loss

    def watched(logits: Tensor, target: Tensor) -> Tensor:
        seen.append(target)
        return plain(logits, target)

    monkeypatch.setattr(wilson_module, "student_loss", watched)
    terms = method.losses(batch, epoch=5)
    torch.stack(list(terms.values())).sum().backward()

    assert set(terms) == set(expected.terms)
    for name, value in terms.items():
        assert value.item() == pytest.approx(expected.terms[name].item(), rel=1e-6), name
    torch.testing.assert_close(seen[0].double(), expected.target, rtol=0, atol=1e-6)
    for ours, theirs in ((method.context.student, student), (method.localizer, localizer)):
        for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            assert mine.grad is not None, name
            assert other.grad is not None, name
            error = float((mine.grad - other.grad).norm())
            assert error <= 1e-6 * float(other.grad.norm()), name
