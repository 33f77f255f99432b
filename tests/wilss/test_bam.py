"""BAM against its equations written out pixel by pixel."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from tests.wilss.slow_operators import slow_conv, slow_layers, slow_pixel_loss, slow_priors, slow_prototypes
from wilss.errors import SpecError
from wilss.fewshot.heads.aspp import AsppHead
from wilss.fewshot.heads.bam import BamHead, scene_difference
from wilss.fewshot.heads.contract import HeadInput
from wilss.fewshot.heads.spec import AsppSpec, BamSpec
from wilss.testing.episodes import make_batch, make_input

CHANNELS = (3, 4, 5, 6)
N_BASE = 4


def make_head(shots: int = 1, seed: int = 0, learnt: bool = True, **settings: object) -> BamHead:
    """A small head in float64 without dropout; ``learnt``: its scalars have left their initial values."""
    torch.manual_seed(seed)
    spec = BamSpec.model_validate({"channels": 8, "rates": (1, 3), **settings})
    head = BamHead(CHANNELS, spec, shots).double().eval()
    for module in head.modules():
        if isinstance(module, torch.nn.Dropout2d):
            module.p = 0.0
    if learnt:
        with torch.no_grad():
            head.adjust.copy_(torch.tensor([0.9, 0.3]))
            head.ensemble.copy_(torch.tensor([0.8, -0.4]))
    return head


def slow_psi(query: torch.Tensor, support: torch.Tensor) -> float:
    """Maps ``(C, h, w)`` of one query and one support."""
    total, channels = 0.0, len(query)
    grams = []
    for maps in (query, support):
        rows = maps.flatten(1).tolist()
        norms = [math.sqrt(sum(v * v for v in row)) for row in rows]
        grams.append(
            [
                [
                    sum(x * y for x, y in zip(a, b, strict=True)) / (n * m + 1e-7)
                    for b, m in zip(rows, norms, strict=True)
                ]
                for a, n in zip(rows, norms, strict=True)
            ]
        )
    for i in range(channels):
        for j in range(channels):
            total += (grams[0][i][j] - grams[1][i][j]) ** 2
    return math.sqrt(total) / channels


def slow_weights(head: BamHead, psi: list[float]) -> list[float]:
    """Weights of one episode's supports."""
    if len(psi) == 1:
        return [1.0]
    order = sorted(range(len(psi)), key=lambda k: psi[k])
    row = [psi[k] for k in order]
    layers = [head.weigh] if isinstance(head.weigh, torch.nn.Linear) else [head.weigh[0], head.weigh[2]]
    for depth, layer in enumerate(layers):
        if depth > 0:
            row = [max(v, 0.0) for v in row]
        bias = [0.0] * layer.out_features if layer.bias is None else layer.bias.tolist()
        row = [
            sum(w * v for w, v in zip(ws, row, strict=True)) + b
            for ws, b in zip(layer.weight.tolist(), bias, strict=True)
        ]
    scores = [0.0] * len(psi)
    for place, k in enumerate(order):
        scores[k] = row[place]
    total = sum(math.exp(s) for s in scores)
    return [math.exp(s) / total for s in scores]


def slow_meta(head: AsppHead, inputs: HeadInput, weights: torch.Tensor) -> torch.Tensor:
    """Logits of the meta learner; weights ``(B, K)``."""
    query, support = (torch.cat([f.c4, f.c3], 1) for f in (inputs.query, inputs.support))
    query, support = slow_layers(query, head.query), slow_layers(support, head.support)
    n, _, height, width = query.shape
    prototypes, priors = slow_prototypes(support, inputs), slow_priors(inputs)
    rows = []
    for b in range(n):
        prototype = sum(w * p for w, p in zip(weights[b], prototypes[b], strict=True))
        prior = sum(w * p for w, p in zip(weights[b], priors[b], strict=True))
        rows.append(torch.cat([query[b], prototype[:, None, None].repeat(1, height, width), prior[None]]))
    maps = slow_layers(torch.stack(rows), head.mix)
    average = sum(maps[:, :, y, x] for y in range(height) for x in range(width)) / (height * width)
    branches = [slow_conv(average[:, :, None, None], head.pyramid.pooled).repeat(1, 1, height, width)]
    branches += [slow_conv(maps, branch) for branch in head.pyramid.branches]
    maps = slow_layers(torch.cat(branches, 1).clamp(min=0), head.join)
    return slow_layers(maps + slow_layers(maps, head.refine), head.classify)


def slow_bam(head: BamHead, inputs: HeadInput, excluded: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Final logits and those of the meta learner."""
    n, shots = inputs.support_mask.shape[:2]
    psi = [[slow_psi(inputs.query.c3[b], inputs.support.c3[b * shots + k]) for k in range(shots)] for b in range(n)]
    weights = [slow_weights(head, row) for row in psi]
    meta = slow_meta(head.meta, inputs, torch.tensor(weights, dtype=torch.float64))
    (a0, a1), (e0, e1) = head.adjust.tolist(), head.ensemble.tolist()
    final = torch.zeros_like(meta)
    for b in range(n):
        mean_psi = sum(w * v for w, v in zip(weights[b], psi[b], strict=True))
        for y in range(meta.shape[2]):
            for x in range(meta.shape[3]):
                bg, fg = (math.exp(v) for v in meta[b, :, y, x].tolist())
                base = [math.exp(v) for v in inputs.base_logits[b, :, y, x].tolist()]
                classes = [v / sum(base) for v in base]
                known = sum(classes[c] for c in range(1, 1 + N_BASE) if c != 1 + excluded[b])
                adjusted_bg, adjusted_fg = a0 * bg / (bg + fg) + a1 * mean_psi, a0 * fg / (bg + fg) + a1 * mean_psi
                final[b, 0, y, x] = e0 * adjusted_bg + e1 * known
                final[b, 1, y, x] = adjusted_fg
    return final, meta


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize(
    ("shots", "size", "kshot_dim"), [(1, (7, 9), 2), (3, (7, 9), 2), (3, (5, 4), 0), (1, (13, 13), 2)]
)
def test_head_equals_its_equations(shots: int, size: tuple[int, int], kshot_dim: int, train: bool) -> None:
    inputs = make_input(shots=shots, size=size, image=(49, 65), n_base=N_BASE)
    inputs = replace(inputs, exclude=torch.tensor([2, -1]) if train else None)
    head = make_head(shots, kshot_dim=kshot_dim).train(train)
    with torch.no_grad():
        output = head(inputs)
        final, meta = slow_bam(head, inputs, [2, -1] if train else [-1, -1])
    torch.testing.assert_close(output.logits, final, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(output.aux[0], meta, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dim", [0, 2])
def test_weights_follow_the_support_and_not_its_place(dim: int) -> None:
    head = make_head(3, kshot_dim=dim)
    torch.nn.init.normal_(head.weigh.weight if dim == 0 else head.weigh[2].weight)
    psi = torch.rand(5, 3, dtype=torch.float64)
    weights = head.shot_weights(psi)
    for b in range(5):
        assert weights[b].tolist() == pytest.approx(slow_weights(head, psi[b].tolist()))
    order = [2, 0, 1]
    torch.testing.assert_close(head.shot_weights(psi[:, order]), weights[:, order])


def test_the_order_of_supports_plays_no_part() -> None:
    inputs, order = make_input(n=1, shots=3, n_base=N_BASE), [2, 0, 1]
    shuffled = replace(
        inputs,
        support=type(inputs.support)(*(maps[order] for maps in inputs.support)),
        support_mask=inputs.support_mask[:, order],
    )
    head = make_head(3)
    torch.testing.assert_close(head(inputs).logits, head(shuffled).logits)


def test_scene_difference() -> None:
    torch.manual_seed(0)
    query, support = torch.randn(2, 4, 3, 5), torch.randn(6, 4, 3, 5)
    query[0, 1] = 0  # a channel without activity
    psi = scene_difference(query, support)
    expected = [[slow_psi(query[b], support[3 * b + k]) for k in range(3)] for b in range(2)]
    torch.testing.assert_close(psi, torch.tensor(expected), rtol=1e-5, atol=1e-6)
    assert float(scene_difference(query, query).abs().max()) < 1e-6


def test_scene_difference_keeps_its_precision_under_autocast() -> None:
    torch.manual_seed(0)
    query = torch.rand(1, 64, 6, 6)
    support = query + 0.01 * torch.randn(1, 64, 6, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        psi = scene_difference(query, support)
    torch.testing.assert_close(psi, scene_difference(query, support))


def test_equal_scenes_give_finite_gradients() -> None:
    maps = torch.rand(1, 4, 3, 3)
    maps[:, 2] = 0
    maps.requires_grad_()
    scene_difference(maps, maps * 1.0).sum().backward()
    assert maps.grad is not None
    assert maps.grad.isfinite().all()


def test_an_excluded_class_leaves_the_base_map() -> None:
    head = make_head()
    logits = torch.randn(2, 1 + N_BASE, 3, 3, dtype=torch.float64)
    probabilities = logits.softmax(1)
    exclude = torch.tensor([N_BASE - 1, -1])
    every = 1 - probabilities[:, :1]
    for mode in (True, False):  # a base class is left out wherever the episode is about it; -1: a novel class
        found = head.train(mode).base_map(logits, exclude)
        torch.testing.assert_close(found[0], every[0] - probabilities[0, N_BASE:])
        torch.testing.assert_close(found[1], every[1])
    torch.testing.assert_close(head.base_map(logits, None), every)


def test_losses() -> None:
    inputs = make_input(size=(5, 4), image=(17, 13), n_base=N_BASE)
    head, batch = make_head(meta_weight=0.5), make_batch(inputs)
    with torch.no_grad():
        output = head(inputs)
    losses = head.losses(output, batch)
    assert batch.query_mask is not None
    assert set(losses) == {"main", "meta"}
    assert float(losses["main"]) == pytest.approx(slow_pixel_loss(output.logits, batch.query_mask), rel=1e-4)
    assert float(losses["meta"]) == pytest.approx(0.5 * slow_pixel_loss(output.aux[0], batch.query_mask), rel=1e-4)


def test_parameter_counts_on_a_resnet() -> None:
    channels = (256, 512, 1024, 2048)

    def count(module: torch.nn.Module) -> int:
        return sum(p.numel() for p in module.parameters())

    meta = count(AsppHead(channels, AsppSpec()))
    assert meta == pytest.approx(4.92e6, rel=1e-3)
    assert count(BamHead(channels, BamSpec(), 1)) == meta + 4
    assert count(BamHead(channels, BamSpec(), 5)) == meta + 4 + (5 * 2 + 2) + (2 * 5 + 5)
    assert count(BamHead(channels, BamSpec(kshot_dim=0), 5)) == meta + 4 + 25


@pytest.mark.parametrize(("shots", "kshot_dim"), [(1, 2), (3, 2), (3, 0)])
def test_gradient_reaches_every_parameter(shots: int, kshot_dim: int) -> None:
    inputs = make_input(shots=shots, n_base=N_BASE)
    head = make_head(shots, kshot_dim=kshot_dim)
    if kshot_dim > 0 and shots > 1:
        torch.nn.init.constant_(head.weigh[0].bias, 1.0)  # no hidden unit is off
    sum(head.losses(head(inputs), make_batch(inputs)).values()).backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.isfinite().all() and (parameter.grad != 0).any()), name


def test_at_the_start_the_final_output_is_the_meta_learner_and_psi_has_no_gradient() -> None:
    inputs = make_input(n_base=N_BASE)
    head = make_head(learnt=False)
    output = head(inputs)
    torch.testing.assert_close(output.logits, output.aux[0].softmax(1))
    head.losses(output, make_batch(inputs))["main"].backward()
    assert head.adjust.grad is not None
    assert head.ensemble.grad is not None
    assert abs(float(head.adjust.grad[1])) < 1e-6 < abs(float(head.adjust.grad[0]))
    assert float(head.ensemble.grad.abs().min()) > 1e-6


def test_an_empty_support_mask_gives_finite_numbers() -> None:
    inputs = make_input(shots=2, n_base=N_BASE)
    inputs.support_mask.zero_()
    head = make_head(2, detach_prior=False)
    output = head(inputs)
    sum(head.losses(output, make_batch(inputs)).values()).backward()
    assert output.logits.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in head.parameters())


def test_another_number_of_supports_is_refused() -> None:
    with pytest.raises(SpecError, match="shots=3"):
        make_head(1)(make_input(shots=3, n_base=N_BASE))


def test_missing_base_logits_are_refused() -> None:
    with pytest.raises(SpecError, match="stage 1"):
        make_head()(make_input())
