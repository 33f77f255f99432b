"""Few-shot heads that meet random silhouettes before their episodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from stores.artefacts import ArtefactRef
from stores.models import learn_fewshot
from stores.plans.fewshot_run import FewShotRun
from stores.plans.shapes import shapes_list
from tasks import fewshot_train
from tests.flows.test_fewshot import opened
from wilss.errors import ArtefactNotFoundError, DataError
from wilss.fewshot.episodes.batches import DrawEpisodes
from wilss.models.card import FewShotCard, load_card
from wilss.models.files import load_state


def test_stage1_goes_on_from_the_decoder_of_the_silhouettes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learn_fewshot, "train_stage1", lambda *_: [])  # networks stay as they start
    given = {"fold": 0, "head": "cwt", "seed": 1}
    changed: tuple[dict[str, Any], ...] = ({}, {"stage1": {"decoder": "new"}}, {"psp": {"channels": 8}})
    for changes in changed:
        run, empty = (opened(root, **given, **changes) for root in (tmp_path, tmp_path / "empty"))
        lost = ArtefactRef(kind="heads", digest=run.plan["silhouettes"].recipe.digest)
        with pytest.raises(ArtefactNotFoundError, match=r"pretrained on silhouettes .* train it"):
            fewshot_train.stage1_net.fn(empty, lost)
        before = fewshot_train.shapes_net.fn(run)
        after = fewshot_train.stage1_net.fn(run, before)
        shapes, stage1 = (load_state(run.store.folder(ref)) for ref in (before, after))
        assert torch.equal(shapes["backbone.body.conv1.0.weight"], stage1["backbone.body.conv1.0.weight"])
        assert torch.equal(shapes["decoder.join.0.weight"], stage1["decoder.join.0.weight"]) == (changes == {})
        assert run.store.get("heads", after.digest).parents == {"shapes": before.digest}
        cards = [load_card(run.store.folder(ref), FewShotCard) for ref in (before, after)]
        assert [card.kind for card in cards] == ["silhouettes", "stage 1"]
        assert (cards[0].fold, cards[0].classes) == (None, ()), "silhouettes belong to no fold"
        assert (cards[1].fold, len(cards[1].classes)) == ("scenes-5i fold 0", 15)


def test_heads_meet_silhouettes_and_pretraining_and_baselines_do_not_depend_on_how_many(tmp_path: Path) -> None:
    def digest(run: FewShotRun, node: str = "head") -> str:
        return run.plan[node].recipe.digest

    def open_with(share: float, head: str = "aspp") -> FewShotRun:
        return opened(tmp_path, head=head, shapes={"share": share})

    some, more = open_with(0.25), open_with(0.5)
    assert digest(some, "silhouettes") == digest(more, "silhouettes"), "the same pretraining"
    assert digest(some) != digest(more)
    assert digest(open_with(0.25, "prior")) == digest(open_with(0.5, "prior"))
    assert "silhouettes" not in open_with(0).plan["head"].recipe.facts
    shapes = more.spec.shapes
    assert shapes is not None
    lists = shapes_list(more.session, shapes, shots=3)
    assert lists.min_area == 39  # what 2,048 of 473 x 473 pixels are of 65 x 65
    assert min(len(lists.by_class[c]) for c in lists.wanted) > 3
    full: dict[str, Any] = {"start": "base", "train": {"tuning": "full"}}
    learning = opened(tmp_path, **full, backbone={"train_batchnorm": True})
    assert digest(opened(tmp_path, **full), "stage 1") == digest(learning, "stage 1"), "BatchNorm always learns there"
    with pytest.raises(DataError, match="no silhouette is in more than 40 of the 64 images"):
        shapes_list(more.session, shapes, shots=40)


def test_a_head_is_trained_on_silhouettes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batches that reach the training: episodes of base classes know their class's place, others have none.

    What is said of images when a loss breaks allows for silhouettes.
    """
    seen: list[int] = []
    said: list[str] = []

    def look(model: object, draw: DrawEpisodes, names: tuple[str, ...], *_: object) -> None:
        said.append(names[0])
        for _k in range(12):
            seen.append(int(draw([0, 1]).base_class.max()))
        raise KeyboardInterrupt

    monkeypatch.setattr(learn_fewshot, "train_episodic", look)
    for shapes, expected in ((None, {False}), ({"share": 0.5, "images": 64, "silhouettes": 8}, {False, True})):
        seen.clear()
        monkeypatch.setattr(learn_fewshot, "untrained_model", lambda *_: torch.nn.Identity())
        with pytest.raises(KeyboardInterrupt):
            fewshot_train.fewshot_head.fn(opened(tmp_path, shapes=shapes, head="aspp"), None, None)
        assert {place < 0 for place in seen} == expected
        assert said.pop().endswith(" (or a scene of silhouettes)") == (shapes is not None)
