"""Contract suites of scorers and groupers."""

from __future__ import annotations

from abc import ABC, abstractmethod

import pytest
import torch

from wilss.errors import SpecError
from wilss.foundation.contracts import Grouper, Prompts, Scorer, TagScorer, features_of

PROMPTS = [["star"], ["ring", "circle"], ["tree"]]
SIZES = [(48, 48), (56, 96), (97, 33), (1, 1), (3, 200)]

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device to compare with")


def pictures(count: int, height: int = 56, width: int = 96) -> torch.Tensor:
    """Random images, float32 ``(N, 3, H, W)`` in [0, 1]."""
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


class ScorerContract(ABC):
    """What every `wilss.foundation.contracts.Scorer` promises.

    prompts: words that it knows, three classes or more.
    """

    prompts: Prompts = PROMPTS

    @abstractmethod
    def make(self, device: str) -> Scorer:
        """The scorer on a device, "cpu" or "cuda"."""

    @pytest.fixture(scope="class")
    @classmethod
    def scorer(cls) -> Scorer:
        return cls().make("cpu")

    @needs_gpu
    def test_gpu_agrees(self, scorer: Scorer) -> None:
        there = self.make("cuda").scores(pictures(2).cuda(), self.prompts)
        torch.testing.assert_close(there.cpu(), scorer.scores(pictures(2), self.prompts), atol=2e-3, rtol=1e-2)

    def test_maps_are_float32_not_negative_and_without_gradient(self, scorer: Scorer) -> None:
        maps = scorer.scores(pictures(2), self.prompts)
        assert maps.dtype == torch.float32
        assert maps.shape[:2] == (2, len(self.prompts))
        assert not maps.requires_grad
        assert float(maps.min()) >= 0
        assert bool(maps.isfinite().all())

    def test_a_batch_equals_its_images_alone(self, scorer: Scorer) -> None:
        images = pictures(3)
        together = scorer.scores(images, self.prompts)
        alone = torch.cat([scorer.scores(images[k : k + 1], self.prompts) for k in range(3)])
        torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-3)

    @pytest.mark.parametrize("size", SIZES)
    def test_any_size(self, scorer: Scorer, size: tuple[int, int]) -> None:
        maps = scorer.scores(pictures(1, *size), self.prompts)
        assert maps.shape[:2] == (1, len(self.prompts))
        assert bool(maps.isfinite().all())

    def test_made_again_it_has_the_same_digest(self, scorer: Scorer) -> None:
        assert isinstance(scorer.digest, str)
        assert self.make("cpu").digest == scorer.digest

    def test_it_is_deterministic(self, scorer: Scorer) -> None:
        assert torch.equal(scorer.scores(pictures(2), self.prompts), scorer.scores(pictures(2), self.prompts))

    def test_a_class_does_not_depend_on_its_place(self, scorer: Scorer) -> None:
        maps = scorer.scores(pictures(1), self.prompts)
        turned = scorer.scores(pictures(1), list(self.prompts)[::-1])
        torch.testing.assert_close(maps, turned.flip(1), atol=1e-5, rtol=1e-4)

    def test_a_class_without_prompt_is_refused(self, scorer: Scorer) -> None:
        with pytest.raises(SpecError, match="no prompt"):
            scorer.scores(pictures(1), [*self.prompts, []])

    def test_where_all_classes_are_allowed_the_scores_are_the_same(self, scorer: Scorer) -> None:
        offered = _that_competes(scorer)
        allowed = torch.ones(2, len(self.prompts), dtype=torch.bool)
        found = offered.scores_among(pictures(2), self.prompts, allowed)
        torch.testing.assert_close(found, scorer.scores(pictures(2), self.prompts), atol=1e-4, rtol=1e-3)

    def test_a_class_that_is_not_allowed_has_no_score_or_all_compete(self, scorer: Scorer) -> None:
        offered = _that_competes(scorer)
        allowed = torch.tensor([[k == n for k in range(len(self.prompts))] for n in range(2)])
        found = offered.scores_among(pictures(2), self.prompts, allowed)
        every = scorer.scores(pictures(2), self.prompts)
        assert found.shape == every.shape
        assert not found.requires_grad
        assert torch.allclose(found, every, atol=1e-4, rtol=1e-3) or bool((found[~allowed] == 0).all())
        alone = [offered.scores_among(pictures(2)[n : n + 1], self.prompts, allowed[n : n + 1]) for n in range(2)]
        torch.testing.assert_close(found, torch.cat(alone), atol=1e-4, rtol=1e-3)


def _that_competes(scorer: Scorer) -> TagScorer:
    if not isinstance(scorer, TagScorer):
        pytest.skip("it offers no scores_among")
    return scorer


class GrouperContract(ABC):
    """What every `wilss.foundation.contracts.Grouper` promises."""

    @abstractmethod
    def make(self, device: str) -> Grouper:
        """The grouper on a device, "cpu" or "cuda"."""

    @pytest.fixture(scope="class")
    @classmethod
    def grouper(cls) -> Grouper:
        return cls().make("cpu")

    @needs_gpu
    def test_gpu_agrees(self, grouper: Grouper, seeds: torch.Tensor) -> None:
        there = self.make("cuda").affinity(pictures(3).cuda(), seeds.cuda())
        torch.testing.assert_close(there.cpu(), grouper.affinity(pictures(3), seeds), atol=2e-3, rtol=1e-2)

    @pytest.fixture
    def seeds(self) -> torch.Tensor:
        return torch.rand(3, 4, 2, generator=torch.Generator().manual_seed(1))

    def test_maps_are_distributions(self, grouper: Grouper, seeds: torch.Tensor) -> None:
        maps = grouper.affinity(pictures(3), seeds)
        assert maps.dtype == torch.float32
        assert not maps.requires_grad
        assert float(maps.min()) >= 0
        torch.testing.assert_close(maps.sum((2, 3)), torch.ones(3, 4))

    def test_a_batch_equals_its_images_alone(self, grouper: Grouper, seeds: torch.Tensor) -> None:
        images = pictures(3)
        alone = torch.cat([grouper.affinity(images[k : k + 1], seeds[k : k + 1]) for k in range(3)])
        torch.testing.assert_close(grouper.affinity(images, seeds), alone, atol=1e-5, rtol=1e-3)

    def test_seeds_do_not_see_each_other(self, grouper: Grouper, seeds: torch.Tensor) -> None:
        images = pictures(3)
        few = grouper.affinity(images, seeds[:, 1:2])
        torch.testing.assert_close(grouper.affinity(images, seeds)[:, 1:2], few, atol=1e-6, rtol=1e-4)

    @pytest.mark.parametrize("size", SIZES)
    def test_any_size_and_the_grid_it_announced(self, grouper: Grouper, size: tuple[int, int]) -> None:
        maps = grouper.affinity(pictures(1, *size), torch.tensor([[[0.0, 0.0], [0.999, 0.999]]]))
        assert tuple(maps.shape) == (1, 2, *grouper.grid(*size))

    def test_made_again_it_has_the_same_digest(self, grouper: Grouper) -> None:
        assert isinstance(grouper.digest, str)
        assert self.make("cpu").digest == grouper.digest

    def test_it_is_deterministic(self, grouper: Grouper, seeds: torch.Tensor) -> None:
        assert torch.equal(grouper.affinity(pictures(3), seeds), grouper.affinity(pictures(3), seeds))

    def test_features_have_a_grid_no_gradient_and_do_not_depend_on_the_batch(self, grouper: Grouper) -> None:
        features = features_of(grouper)
        if features is None:
            pytest.skip("it offers no features")
        images = pictures(3)
        found = features(images)
        assert (found.dtype, found.ndim, len(found)) == (torch.float32, 4, 3)
        assert not found.requires_grad
        assert bool(found.isfinite().all())
        alone = torch.cat([features(images[k : k + 1]) for k in range(3)])
        torch.testing.assert_close(found, alone, atol=1e-4, rtol=1e-3)

    def test_features_that_were_asked_for_first_change_no_affinity(self, grouper: Grouper, seeds: torch.Tensor) -> None:
        features = features_of(grouper)
        if features is None:
            pytest.skip("it offers no features")
        before, images = grouper.affinity(pictures(3), seeds), pictures(3)
        features(images)
        torch.testing.assert_close(grouper.affinity(images, seeds), before, atol=1e-5, rtol=1e-3)
