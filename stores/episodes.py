"""Frozen episodes on disk, and what a model did in each of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, model_validator

from stores.artefacts import ArtefactRef
from stores.plans.fewshot_run import FewShotRun
from wilss.damage import read_stored
from wilss.data.source import Split
from wilss.fewshot.episodes.areas import ClassId
from wilss.fewshot.episodes.draw import Episode, Sampler
from wilss.fewshot.episodes.files import EpisodeFile, freeze_episodes, read_episodes
from wilss.fewshot.scores import EpisodeScores
from wilss.outside import Pixels

EPISODES, SCORES = "episodes.json", "scores.json"


class Scores(BaseModel):
    """Stored counts of every episode, and the class that it is about."""

    class_ids: list[ClassId]
    counts: list[tuple[Pixels, Pixels, Pixels, Pixels]]

    @model_validator(mode="after")
    def _alike(self) -> Scores:
        if len(self.class_ids) != len(self.counts):
            raise ValueError("class ids and counts are not of the same episodes")
        return self


def draw_episodes(run: FewShotRun, split: Split) -> EpisodeFile:
    """The episodes of a split that every method meets; says which classes none is about."""
    spec = run.spec
    sampler = Sampler(run.lists(split), spec.rule, spec.shots, spec.episode_seed)
    kind, count = (spec.lists, spec.base_episodes) if split == "train" else ("unfiltered", spec.episodes)
    file = freeze_episodes(sampler, count, run.fold, split, run.source(split).fingerprint, kind)
    missing = sorted(set(sampler.lists.wanted) - {episode.class_id for episode in file.episodes})
    if missing:
        names = ", ".join(sampler.lists.name_of(c) for c in missing)
        run.session.say(
            f"{run.fold.describe()}: {count} episodes ask for no object of class {names}; the mean leaves them out"
        )
    return file


def load_episodes(run: FewShotRun, split: Split, episodes: ArtefactRef) -> tuple[Episode, ...]:
    """Frozen episodes of a split, held against the rules once more."""
    source = run.source(split)
    path = run.store.folder(episodes) / EPISODES
    return read_episodes(path, run.fold, source.fingerprint, source.ids(split)).episodes


def save_scores(class_ids: Sequence[int], counts: Sequence[tuple[int, int, int, int]], folder: Path) -> None:
    """Write `wilss.fewshot.scores.episode_counts` of every episode, with its class, into a staging folder."""
    (folder / SCORES).write_text(json.dumps({"class_ids": class_ids, "counts": counts}))


def read_scores(folder: Path) -> EpisodeScores:
    """Read them back. Raises DamagedArtefactError."""
    stored = read_stored(Scores, folder / SCORES)
    counts = np.asarray(stored.counts, np.int64).reshape(-1, 4)
    return EpisodeScores(np.asarray(stored.class_ids, np.int64), counts)
