"""Scorers and groupers from a user's file, whose bytes are part of their digests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from wilss.digest import digest_of
from wilss.foundation.contracts import Grouper, Prompts, Scorer, features_of, scores_among


@dataclass(frozen=True)
class OwnScorer:
    """A scorer, and facts on the code of its kind (`wilss.digest.code_version`)."""

    scorer: Scorer
    code: Mapping[str, int | str]

    @property
    def digest(self) -> str:
        """See `wilss.foundation.contracts.Scorer.digest`."""
        return digest_of({"own": self.scorer.digest, **self.code})

    def scores(self, images_N3HW: Tensor, prompts: Prompts) -> Tensor:
        """See `wilss.foundation.contracts.Scorer.scores`."""
        return self.scorer.scores(images_N3HW, prompts)

    def scores_among(self, images_N3HW: Tensor, prompts: Prompts, allowed_NC: Tensor) -> Tensor:
        """See `wilss.foundation.contracts.TagScorer.scores_among`; the scores of one that does not offer it."""
        return scores_among(self.scorer, images_N3HW, prompts, allowed_NC)


@dataclass(frozen=True)
class OwnGrouper:
    """A grouper, and facts on the code of its kind."""

    grouper: Grouper
    code: Mapping[str, int | str]

    @property
    def digest(self) -> str:
        """See `wilss.foundation.contracts.Grouper.digest`."""
        return digest_of({"own": self.grouper.digest, **self.code})

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """See `wilss.foundation.contracts.Grouper.grid`."""
        return self.grouper.grid(height, width)

    def affinity(self, images_N3HW: Tensor, seeds_NS2: Tensor) -> Tensor:
        """See `wilss.foundation.contracts.Grouper.affinity`."""
        return self.grouper.affinity(images_N3HW, seeds_NS2)

    @property
    def features(self) -> Callable[[Tensor], Tensor]:
        """See `wilss.foundation.contracts.Featured.features`. Raises AttributeError for one that does not offer it."""
        found = features_of(self.grouper)
        if found is None:
            raise AttributeError("features")
        return found
