"""Words of a run: which ones a label set is made with, and who is told of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deployments.inspector.making import Maker
from stores.artefacts import Store
from stores.labels.card import LabelCard
from stores.labels.sets import LabelSet
from stores.plans.run import Run
from stores.plans.session import Session
from tasks.labels import begin_labels, label_set, label_shard
from wilss.errors import SpecError
from wilss.foundation.vocabulary import photographs
from wilss.settings import Settings
from wilss.spec import make_spec

STEPS = [["arrow", "bolt"], ["tree"], ["disc"]]
CUSTOM = {"name": "mine", "data": "scenes", "steps": STEPS, "prompts": {"disc": ["disc", "sea"]}}
TAGGED = {"background": ["texture", "photographs"], "compete": "tagged", "words": "max"}


def opened(root: Path, foundation: dict[str, Any], custom: dict[str, Any] = CUSTOM) -> tuple[Run, list[str]]:
    said: list[str] = []
    content = {"benchmark": "mine", "custom": custom, "preset": "tiny", "foundation": foundation}
    content["data"] = {"n_train": 24, "n_eval": 4}
    return Run(make_spec(content), Session(Settings(root=root), said.append)), said


def labelled(run: Run, step: int) -> str:
    begun = begin_labels.fn(run, step)
    shards = [label_shard.fn(run, step, begun, shard) for shard in range(begun.counts["shards"])]
    return label_set.fn(run, step, shards).digest


def test_words_of_all_classes_are_no_background_and_stand_in_the_card(tmp_path: Path) -> None:
    run, said = opened(tmp_path, TAGGED)
    digest = labelled(run, 1)
    assert said.count("background words that name a class are left out: sea (disc), tree (tree)") == 1  # one of a later
    store = Store(tmp_path)
    words = LabelCard.model_validate(store.get("labels", digest).notes).words
    assert words is not None
    assert words.classes == {"tree": ("tree",)}
    assert words.old == {"arrow": ("arrow",), "bolt": ("bolt",)}
    assert words.background == ("texture", *(word for word in photographs() if word not in ("tree", "sea")))
    assert words.dropped == {"tree": "tree", "sea": "disc"}
    labels = LabelSet.open(store.path("labels", digest))
    assert len(labels.index.ids) > 0
    maker = Maker(Settings(root=tmp_path))  # the inspector finds the scorer that made the masks
    assert maker.scorer(maker.opened(digest)).digest == store.get("labels", digest).recipe["scorer"]


def test_settings_of_words_make_another_set_and_leave_others_alone(tmp_path: Path) -> None:
    defaults = {"compete": "all", "words": "mean", "block": "auto", "synonyms": "few", "window": None}
    plain, same, changed = (opened(tmp_path, given)[0].plan for given in ({}, defaults, TAGGED))
    for node in plain:
        assert same[node].recipe.digest == plain[node].recipe.digest
    for node in ("checkpoint 0", "memory bank"):  # which know nothing of labels
        assert changed[node].recipe.digest == plain[node].recipe.digest
    assert changed["labels 1"].recipe.digest != plain["labels 1"].recipe.digest


def test_words_that_nothing_is_left_of_are_refused(tmp_path: Path) -> None:
    custom = {**CUSTOM, "prompts": {"arrow": [*photographs()]}}
    run, _ = opened(tmp_path, {"background": ["photographs"]}, custom)
    with pytest.raises(SpecError, match=r"background words of foundation\.background=photographs names a class"):
        assert run.plan
    run, _ = opened(tmp_path, {"synonyms": "many"})
    with pytest.raises(SpecError, match="classes of VOC and COCO alone"):
        assert run.plan
