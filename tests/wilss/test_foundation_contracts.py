"""The contract suites of scorers and groupers notice what they are there for: each broken model fails its check."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from wilss.errors import SpecError
from wilss.foundation.contracts import Grouper, Prompts, Scorer
from wilss.testing import GrouperContract, ScorerContract

NOTICED = (AssertionError, pytest.fail.Exception, RuntimeError)
NUMBERS = itertools.count()


class Sound:
    """A scorer that sees how bright an image is, and tells words by their length."""

    digest = "sound"

    def scores(self, images: Tensor, prompts: Prompts) -> Tensor:
        if not all(prompts):
            raise SpecError("a class has no prompt")
        bright = images.mean(1, keepdim=True)
        return bright * torch.tensor([float(len(words[0])) for words in prompts])[None, :, None, None]

    def scores_among(self, images: Tensor, prompts: Prompts, allowed: Tensor) -> Tensor:
        return self.scores(images, prompts) * allowed[..., None, None]


class Half(Sound):
    def scores(self, images: Tensor, prompts: Prompts) -> Tensor:
        return super().scores(images, prompts).half()


class Logits(Sound):
    def scores(self, images: Tensor, prompts: Prompts) -> Tensor:
        return super().scores(images, prompts) - 5


class WithGradient(Sound):
    def scores(self, images: Tensor, prompts: Prompts) -> Tensor:
        return super().scores(images, prompts) * torch.ones(1, requires_grad=True)


class OverTheBatch(Sound):
    def scores(self, images: Tensor, prompts: Prompts) -> Tensor:
        return super().scores(images, prompts) / images.mean()


class Small(Sound):
    def scores(self, images: Tensor, prompts: Prompts) -> Tensor:
        assert min(images.shape[-2:]) > 1, "too small"
        return super().scores(images, prompts)


class NewDigest(Sound):
    def __init__(self) -> None:
        self.digest = str(next(NUMBERS))


class Noisy(Sound):
    def scores(self, images: Tensor, prompts: Prompts) -> Tensor:
        return super().scores(images, prompts) + torch.rand(1)


class ByPlace(Sound):
    def scores(self, images: Tensor, prompts: Prompts) -> Tensor:
        return super().scores(images, prompts) * torch.arange(1.0, len(prompts) + 1)[None, :, None, None]


class TakesNoWord(Sound):
    def scores(self, images: Tensor, prompts: Prompts) -> Tensor:
        return super().scores(images, [words or ["thing"] for words in prompts])


class LouderAmong(Sound):
    def scores_among(self, images: Tensor, prompts: Prompts, allowed: Tensor) -> Tensor:
        return super().scores_among(images, prompts, allowed) * 2


class LeavesSome(Sound):
    def scores_among(self, images: Tensor, prompts: Prompts, allowed: Tensor) -> Tensor:
        return self.scores(images, prompts) * (0.5 + 0.5 * allowed)[..., None, None]


class AllowedByAny(Sound):
    def scores_among(self, images: Tensor, prompts: Prompts, allowed: Tensor) -> Tensor:
        among = super().scores_among(images, prompts, allowed)
        return among * allowed.sum()


class Even:
    """A grouper to which all pixels of a colour belong together."""

    digest = "even"

    def grid(self, height: int, width: int) -> tuple[int, int]:
        return height, width

    def affinity(self, images: Tensor, seeds: Tensor) -> Tensor:
        n, _, height, width = images.shape
        rows, columns = (seeds * torch.tensor([height, width])).long().unbind(-1)
        grey = images.mean(1)
        own = grey[torch.arange(n)[:, None], rows, columns][..., None, None]
        near = torch.exp(-(((grey[:, None] - own) / 0.1) ** 2))
        return near / near.sum((2, 3), keepdim=True)

    def features(self, images: Tensor) -> Tensor:
        return images * 2


class NoDistribution(Even):
    def affinity(self, images: Tensor, seeds: Tensor) -> Tensor:
        return super().affinity(images, seeds) * 2


class Double(Even):
    def affinity(self, images: Tensor, seeds: Tensor) -> Tensor:
        return super().affinity(images, seeds).double()


class BatchMean(Even):
    def affinity(self, images: Tensor, seeds: Tensor) -> Tensor:
        return super().affinity((images - images.mean()).abs(), seeds)


class SharedSeeds(Even):
    def affinity(self, images: Tensor, seeds: Tensor) -> Tensor:
        maps = super().affinity(images, seeds)
        return (maps + maps.mean(1, keepdim=True)) / 2


class OtherGrid(Even):
    def grid(self, height: int, width: int) -> tuple[int, int]:
        return width, height


class NewGrouperDigest(Even):
    def __init__(self) -> None:
        self.digest = str(next(NUMBERS))


class NoisyGrouper(Even):
    def affinity(self, images: Tensor, seeds: Tensor) -> Tensor:
        return super().affinity(images + torch.rand(1), seeds * torch.rand(1))


class FeaturesOfTheBatch(Even):
    def features(self, images: Tensor) -> Tensor:
        return images - images.mean()


class HalfFeatures(Even):
    def features(self, images: Tensor) -> Tensor:
        return images.half()


class Remembering(Even):
    def __init__(self) -> None:
        self.looked = False

    def features(self, images: Tensor) -> Tensor:
        self.looked = True
        return images

    def affinity(self, images: Tensor, seeds: Tensor) -> Tensor:
        return super().affinity(images, seeds.flip(1) if self.looked else seeds)


class OfScorer(ScorerContract):
    """Not collected: it is called for."""

    def __init__(self, kind: Callable[[], Any]) -> None:
        self.kind = kind

    def make(self, device: str) -> Scorer:
        return self.kind()


class OfGrouper(GrouperContract):
    """Likewise."""

    def __init__(self, kind: Callable[[], Any]) -> None:
        self.kind = kind

    def make(self, device: str) -> Grouper:
        return self.kind()


SEEDS = torch.rand(3, 4, 2, generator=torch.Generator().manual_seed(1))
MAPS, BATCH = "test_maps_are_float32_not_negative_and_without_gradient", "test_a_batch_equals_its_images_alone"
DIGEST, REPEAT = "test_made_again_it_has_the_same_digest", "test_it_is_deterministic"
GRID, SHARED = "test_any_size_and_the_grid_it_announced", "test_seeds_do_not_see_each_other"
OF_SCORER = {
    (MAPS, ()): [Half, Logits, WithGradient],
    (BATCH, ()): [OverTheBatch],
    ("test_any_size", ((1, 1),)): [Small],
    (DIGEST, ()): [NewDigest],
    (REPEAT, ()): [Noisy],
    ("test_a_class_does_not_depend_on_its_place", ()): [ByPlace],
    ("test_a_class_without_prompt_is_refused", ()): [TakesNoWord],
    ("test_where_all_classes_are_allowed_the_scores_are_the_same", ()): [LouderAmong],
    ("test_a_class_that_is_not_allowed_has_no_score_or_all_compete", ()): [LeavesSome, AllowedByAny],
}
OF_GROUPER = {
    ("test_maps_are_distributions", (SEEDS,)): [NoDistribution, Double],
    (BATCH, (SEEDS,)): [BatchMean],
    (SHARED, (SEEDS,)): [SharedSeeds],
    (GRID, ((56, 96),)): [OtherGrid],
    (DIGEST, ()): [NewGrouperDigest],
    (REPEAT, (SEEDS,)): [NoisyGrouper],
    ("test_features_have_a_grid_no_gradient_and_do_not_depend_on_the_batch", ()): [FeaturesOfTheBatch, HalfFeatures],
    ("test_features_that_were_asked_for_first_change_no_affinity", (SEEDS,)): [Remembering],
}
CASES = [
    *((OfScorer, Sound, kind, check, given) for (check, given), kinds in OF_SCORER.items() for kind in kinds),
    *((OfGrouper, Even, kind, check, given) for (check, given), kinds in OF_GROUPER.items() for kind in kinds),
]


@pytest.mark.parametrize(("suite", "sound", "broken", "check", "given"), CASES, ids=[c[2].__name__ for c in CASES])
def test_a_broken_model_fails_the_check_of_its_fault(
    suite: Callable[..., Any], sound: type, broken: type, check: str, given: tuple[Any, ...]
) -> None:
    getattr(suite(sound), check)(sound(), *given)  # and a sound one passes it
    with pytest.raises(NOTICED):
        getattr(suite(broken), check)(broken(), *given)


def test_every_check_that_needs_no_gpu_has_a_broken_model() -> None:
    for suite, table in ((ScorerContract, OF_SCORER), (GrouperContract, OF_GROUPER)):
        checks = {name for name in vars(suite) if name.startswith("test_") and name != "test_gpu_agrees"}
        assert checks == {check for check, _ in table}
