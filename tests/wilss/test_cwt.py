"""CWT against literal transcriptions: the transformer in loops, the inner loop as PyTorch's own gradient descent."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from wilss.fewshot.heads.contract import IGNORE, HeadOutput
from wilss.fewshot.heads.cwt import ClassifierTransformer, CwtHead, fit_classifier, pixel_shares, resize_matrix
from wilss.fewshot.heads.spec import CwtSpec
from wilss.testing.episodes import make_batch, make_input

CHANNELS = (3, 4, 5, 6)
DIM = 8


@pytest.fixture
def gen() -> torch.Generator:
    return torch.Generator().manual_seed(4)


def head(**changes: float | str) -> CwtHead:
    torch.manual_seed(0)
    return CwtHead(CHANNELS, CwtSpec.model_validate({"inner_steps": 5, "heads": 2, **changes}), DIM).double()


def class_weights(labels: torch.Tensor, balance: float = 1.0) -> torch.Tensor:
    n_fg, n_bg = int((labels == 1).sum()), int((labels == 0).sum())
    return torch.tensor([1.0, (n_bg / (n_fg + 1e-12)) ** balance], dtype=torch.float64)


def supports(shots: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    inputs = make_input(shots=shots, size=(5, 7), image=(17, 25), decode_channels=DIM)
    assert inputs.decode is not None
    features = inputs.decode(inputs.last_stage(inputs.support.c4)).unflatten(0, (2, shots))
    start = torch.randn(2, DIM, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return features, inputs.support_mask, start


def descent(features: torch.Tensor, labels: torch.Tensor, start: torch.Tensor, spec: CwtSpec) -> list[torch.Tensor]:
    """Weights of one episode after every step of the released procedure, at the size of the image."""
    classify = nn.Conv2d(DIM, 2, 1, bias=False).double()
    classify.weight.data.copy_(start[:, :, None, None])
    optimiser = torch.optim.SGD(classify.parameters(), lr=spec.inner_lr)
    trace = []
    for _ in range(spec.inner_steps):
        logits = F.interpolate(classify(features), labels.shape[-2:], mode="bilinear", align_corners=True)
        weights = class_weights(labels, spec.balance_fit)
        loss = F.cross_entropy(logits, labels.long(), weight=weights, ignore_index=IGNORE)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        trace.append(classify.weight.detach()[:, :, 0, 0].clone())
    return trace


def coarse_descent(
    features: torch.Tensor, labels: torch.Tensor, start: torch.Tensor, spec: CwtSpec
) -> list[torch.Tensor]:
    """The same at the size of the features: pixels' weights go to the positions that they are interpolated from."""
    weights = class_weights(labels, spec.balance_fit)
    pixel_weights = torch.stack([(labels == k) * weights[k] for k in range(2)], 1)
    zeros = torch.zeros(len(features), 2, *features.shape[-2:], dtype=torch.float64, requires_grad=True)
    enlarged = F.interpolate(zeros, labels.shape[-2:], mode="bilinear", align_corners=True)
    (shared,) = torch.autograd.grad(enlarged, zeros, pixel_weights)
    w = start.clone().requires_grad_()
    trace = []
    for _ in range(spec.inner_steps):
        logits = torch.einsum("cd,kdhw->kchw", w, features)
        loss = -(shared * logits.log_softmax(1)).sum() / shared.sum()
        (gradient,) = torch.autograd.grad(loss, w)
        w = (w - spec.inner_lr * gradient).detach().requires_grad_()
        trace.append(w.detach())
    return trace


@pytest.mark.parametrize("balance", [1.0, 0.3, 0.0])
@pytest.mark.parametrize("shots", [1, 3])
@pytest.mark.parametrize("resolution", ["image", "features"])
def test_fit_is_gradient_descent_step_by_step(
    resolution: Literal["image", "features"], shots: int, balance: float
) -> None:
    features, labels, start = supports(shots)
    spec = CwtSpec(inner_steps=6, inner_resolution=resolution, balance_fit=balance)
    reference = descent if resolution == "image" else coarse_descent
    traces = [reference(features[b], labels[b], start, spec) for b in range(2)]
    for step in range(6):
        fitted = fit_classifier(features, labels, start, spec.model_copy(update={"inner_steps": step + 1}))
        torch.testing.assert_close(fitted, torch.stack([trace[step] for trace in traces]), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("resolution", ["image", "features"])
def test_episodes_are_fitted_independently(resolution: Literal["image", "features"]) -> None:
    features, labels, start = supports(2)
    spec = CwtSpec(inner_steps=20, inner_resolution=resolution)
    single = [fit_classifier(features[b : b + 1], labels[b : b + 1], start, spec) for b in range(2)]
    torch.testing.assert_close(fit_classifier(features, labels, start, spec), torch.cat(single))


def test_fit_starts_at_the_start() -> None:
    features, labels, start = supports(1)
    torch.testing.assert_close(fit_classifier(features, labels, start, CwtSpec(inner_steps=0))[1], start)


@pytest.mark.parametrize("source_target", [(7, 49), (9, 5), (1, 4), (6, 6)])
def test_resize_matrix_is_linear_interpolation_with_aligned_corners(source_target: tuple[int, int]) -> None:
    source, target = source_target
    matrix = resize_matrix(source, target, torch.empty(0, dtype=torch.float64))
    expected = torch.zeros(target, source, dtype=torch.float64)
    for t in range(target):
        at = t * (source - 1) / (target - 1)
        low = min(math.floor(at + 1e-9), source - 1)
        expected[t, low] += 1 - (at - low)
        expected[t, min(low + 1, source - 1)] += at - low
    torch.testing.assert_close(matrix, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("resolution", ["image", "features"])
def test_fit_separates_separable_supports(resolution: Literal["image", "features"]) -> None:
    gen = torch.Generator().manual_seed(0)
    labels = torch.zeros(1, 2, 49, 49, dtype=torch.uint8)
    labels[:, 0, 4:37, 12:45] = 1  # half way between positions that are 8 pixels apart
    labels[:, 1, 20:45, 4:29] = 1
    labels[:, :, 45:] = IGNORE
    inside = labels[:, :, ::8, ::8][:, :, None] == 1
    axis = torch.randn(DIM, 1, 1, generator=gen)
    features = torch.where(inside, axis, -axis) + 0.3 * torch.randn(1, 2, DIM, 7, 7, generator=gen)
    spec = CwtSpec(inner_resolution=resolution)
    weights = fit_classifier(features, labels, torch.randn(2, DIM, generator=gen), spec)[0]
    maps = torch.einsum("cd,kdhw->kchw", weights, features[0])
    predicted = F.interpolate(maps, (49, 49), mode="bilinear", align_corners=True).argmax(1)
    mine, real, known = predicted == 1, labels[0] == 1, labels[0] != IGNORE
    assert float((mine & real).sum() / ((mine | real) & known).sum()) > 0.9


@pytest.mark.parametrize("balance", [1.0, 0.3, 0.0])
def test_pixel_shares_give_torchs_weighted_mean(gen: torch.Generator, balance: float) -> None:
    labels = torch.tensor([0, 1, IGNORE], dtype=torch.uint8)[torch.randint(3, (2, 5, 6), generator=gen)]
    logits = torch.randn(2, 2, 5, 6, generator=gen)
    values = -(pixel_shares(labels, balance) * logits.log_softmax(1)).sum((1, 2, 3))
    for b in range(2):
        weights = class_weights(labels[b], balance).float()
        expected = F.cross_entropy(logits[b : b + 1], labels[b : b + 1].long(), weights, ignore_index=IGNORE)
        assert float(values[b]) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("balance", [1.0, 0.3, 0.0])
@pytest.mark.parametrize(("label", "total"), [(0, 1.0), (1, 1.0), (IGNORE, 0.0)])
def test_pixel_shares_of_one_class(label: int, total: float, balance: float) -> None:
    shares = pixel_shares(torch.full((1, 2, 4, 4), label, dtype=torch.uint8), balance)
    assert shares.sum((2, 3, 4)).tolist() == [[total * (label == 0), total * (label == 1)]]


def transformer_reference(model: ClassifierTransformer, weights: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """One episode, position by position: weights ``(2, D)``, features ``(D, N)``."""
    d, n = features.shape
    big = model.project.weight.detach()
    adapted = []
    for c in range(2):
        pieces = []
        for part in range(model.heads):
            block = big[part * d : (part + 1) * d]
            query = block @ weights[c]
            keys = [block @ features[:, i] for i in range(n)]
            exps = [math.exp(model.temperature * float(query @ key) / math.sqrt(d)) for key in keys]
            pieces.append(sum((e / sum(exps) * key for e, key in zip(exps, keys, strict=True)), torch.zeros(())))
        total = weights[c] + model.output.weight @ torch.cat(pieces) + model.output.bias
        centred = isinstance(model.norm, nn.LayerNorm)
        total = total - total.mean() if centred else total
        scaled = total / torch.sqrt((total**2).mean() + 1e-5) * model.norm.weight
        adapted.append(scaled + model.norm.bias if centred else scaled)
    return torch.stack(adapted)


@pytest.fixture(params=[("layer", 1.0), ("rms", 1.0), ("layer", 3.0)])
def transformer(request: pytest.FixtureRequest) -> ClassifierTransformer:
    torch.manual_seed(0)
    norm, temperature = request.param
    model = ClassifierTransformer(DIM, 3, norm=norm, temperature=temperature).double().eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    return model


def test_transformer_equals_the_loops(transformer: ClassifierTransformer, gen: torch.Generator) -> None:
    weights = torch.randn(2, 2, DIM, generator=gen, dtype=torch.float64)
    features = F.normalize(torch.randn(2, DIM, 11, generator=gen, dtype=torch.float64), dim=1)
    expected = torch.stack([transformer_reference(transformer, weights[b], features[b]) for b in range(2)])
    torch.testing.assert_close(transformer(weights, features), expected, rtol=1e-9, atol=1e-11)


def test_transformer_without_output_is_the_norm(transformer: ClassifierTransformer, gen: torch.Generator) -> None:
    nn.init.zeros_(transformer.output.weight)
    nn.init.zeros_(transformer.output.bias)
    weights = torch.randn(1, 2, DIM, generator=gen, dtype=torch.float64)
    features = torch.randn(1, DIM, 5, generator=gen, dtype=torch.float64)
    torch.testing.assert_close(transformer(weights, features), transformer.norm(weights))


def test_only_the_layer_norm_loses_a_threshold_in_the_mean(gen: torch.Generator) -> None:
    """With features that are not negative, what all channels of a classifier share decides how much is foreground."""
    weights = torch.randn(1, 2, DIM, generator=gen)
    weights[:, 1] += 3
    features = F.normalize(torch.rand(1, DIM, 5, generator=gen), dim=1)
    for norm, kept in (("layer", False), ("rms", True)):
        model = ClassifierTransformer(DIM, 1, norm=norm).eval()
        nn.init.zeros_(model.output.weight)
        nn.init.zeros_(model.output.bias)
        assert (float(model(weights, features).detach()[0, 1].mean()) > 0.5) is kept


def test_transformer_has_as_many_parameters_as_the_released_one() -> None:
    model = ClassifierTransformer(512, 4)
    assert sum(p.numel() for p in model.parameters()) == 4 * 512 * 512 + (4 * 512 * 512 + 512) + 2 * 512  # 2.10 M
    assert float(model.project.weight.detach().std()) == pytest.approx(512**-0.5, rel=0.01)


@pytest.mark.parametrize("scale", ["fitted", "unit"])
def test_prediction_is_the_adapted_classifier_on_directions(scale: str) -> None:
    inputs, model = make_input(shots=2, decode_channels=DIM), head(scale=scale).eval()
    assert inputs.decode is not None
    features = inputs.decode(inputs.last_stage(inputs.support.c4)).unflatten(0, (2, 2))
    weights = fit_classifier(features, inputs.support_mask, model.start, model.spec)
    if scale == "unit":
        weights = weights / weights.pow(2).mean(2, keepdim=True).sqrt()
    query = inputs.decode(inputs.query.c5)
    query = query / query.pow(2).sum(1, keepdim=True).sqrt().clamp(min=1e-12)
    expected = torch.einsum("bcd,bdhw->bchw", model.transformer(weights, query.flatten(2)), query)
    torch.testing.assert_close(model(inputs).logits, expected)


def test_start_follows_the_seed_and_has_the_bounds_of_a_convolution() -> None:
    first, other = (CwtHead(CHANNELS, CwtSpec(init_seed=seed)) for seed in (0, 1))
    torch.manual_seed(5)
    assert torch.equal(first.start, CwtHead(CHANNELS, CwtSpec()).start)
    assert not torch.equal(first.start, other.start)
    assert 0.99 * 512**-0.5 < float(first.start.abs().max()) <= 512**-0.5


@pytest.mark.parametrize("resolution", ["image", "features"])
def test_evaluation_repeats_in_inference_mode(resolution: str) -> None:
    model = head(inner_resolution=resolution).eval()
    with torch.inference_mode():
        inputs = make_input(decode_channels=DIM)
        first, second = model(inputs).logits, model(inputs).logits
    assert torch.equal(first, second)
    torch.testing.assert_close(first, model(make_input(decode_channels=DIM)).logits)


def test_autocast_leaves_the_head_in_full_precision() -> None:
    model, inputs = head().eval().float(), make_input(decode_channels=DIM)
    deepest = inputs.last_stage(inputs.support.c4)
    support, query = (F.conv2d(c5.float(), torch.ones(DIM, 6, 1, 1)) for c5 in (deepest, inputs.query.c5))
    decoded = {id(deepest): support, id(inputs.query.c5): query}
    inputs = replace(inputs, last_stage=lambda _: deepest, decode=lambda c5: decoded[id(c5)])
    expected = model(inputs).logits
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(model(inputs).logits, expected)


def test_every_parameter_and_the_query_get_a_gradient_and_the_supports_none() -> None:
    inputs, model = make_input(decode_channels=DIM), head()
    query = inputs.query._replace(c5=inputs.query.c5.clone().requires_grad_())
    support = inputs.support._replace(c4=inputs.support.c4.clone().requires_grad_())
    inputs = replace(inputs, query=query, support=support)
    (loss,) = model.losses(model(inputs), make_batch(inputs)).values()
    loss.backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    for name, gradient in gradients.items():
        assert gradient is not None
        assert torch.isfinite(gradient).all()
        # the bias of the norm moves both classes alike, which a softmax does not see
        assert (float(gradient.abs().max()) > 1e-6) == (name != "transformer.norm.bias"), name
    assert query.c5.grad is not None
    assert float(query.c5.grad.abs().max()) > 0
    assert support.c4.grad is None


def test_loss_is_the_weighted_cross_entropy_of_the_episodes() -> None:
    inputs, model = make_input(decode_channels=DIM), head()
    batch = make_batch(inputs)
    assert batch.query_mask is not None
    logits = model(inputs).logits.detach().float()
    large = F.interpolate(logits, batch.query_mask.shape[-2:], mode="bilinear", align_corners=True)
    expected = [
        float(F.cross_entropy(maps[None], mask[None].long(), class_weights(mask).float(), ignore_index=IGNORE))
        for maps, mask in zip(large, batch.query_mask, strict=True)
    ]
    (loss,) = model.losses(HeadOutput(logits), batch).values()
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(sum(expected) / 2, rel=1e-5)


@pytest.mark.parametrize("label", [0, 1, IGNORE])
@pytest.mark.parametrize("resolution", ["image", "features"])
def test_masks_of_one_label_stay_finite(resolution: str, label: int) -> None:
    inputs = make_input(decode_channels=DIM)
    inputs = replace(inputs, support_mask=torch.full_like(inputs.support_mask, label))
    model = head(inner_resolution=resolution)
    output = model(inputs)
    assert torch.isfinite(output.logits).all()
    batch = make_batch(inputs)
    (loss,) = model.losses(
        output, replace(batch, query_mask=torch.full_like(inputs.support_mask[:, 0], label))
    ).values()
    loss.backward()
    assert torch.isfinite(loss)
    assert (loss.item() == 0) == (label == IGNORE)
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
