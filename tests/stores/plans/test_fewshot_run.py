"""An opened few-shot run: its lists, and what it shares with others of its session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stores.plans import fewshot_run, shapes
from stores.plans.fewshot_run import FewShotRun
from stores.plans.session import Session
from stores.plans.shapes import shapes_list
from tests.flows.test_fewshot_folders import voc_squares
from wilss.errors import ArtefactNotFoundError
from wilss.fewshot.spec import make_fewshot_spec
from wilss.settings import Settings

TINY = {"benchmark": "scenes-5i", "fold": 0, "preset": "tiny"}


def opened(session: Session, **changes: Any) -> FewShotRun:
    return FewShotRun(make_fewshot_spec({**TINY, **changes}), session)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(Settings(root=tmp_path))


def test_stage_1_sees_the_images_that_are_asked_for(session: Session) -> None:
    runs = [opened(session, stage1={"lists": lists}) for lists in ("filtered", "unfiltered", "all")]
    filtered, unfiltered, everything = (set(run.stage1_ids()) for run in runs)
    assert filtered < unfiltered < everything == set(runs[0].train.ids("train"))


def test_runs_of_a_session_share_data_areas_and_the_shipped_network(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def counted(module: Any, name: str) -> None:
        call = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *given: (calls.append(f"{module.__name__}.{name}"), call(*given))[1])

    for module, name in ((fewshot_run, "read_areas"), (shapes, "read_areas"), (shapes, "shipped_shapes")):
        counted(module, name)
    demo = {"preset": "demo", "data": {"n_train": 64, "n_eval": 64}}
    small = {"images": 64, "world": {"image_size": 65}, "silhouettes": 8, "share": 0.5}
    runs = [
        opened(session, **demo, fold=fold, shapes={**small, "share": share}) for fold, share in ((0, 0.5), (1, 0.25))
    ]
    for run in runs:
        assert run.plan["silhouettes"].recipe.digest == runs[0].plan["silhouettes"].recipe.digest
        assert run.spec.shapes is not None
        for _ in range(2):
            for split in ("eval", "train"):
                run.lists(split)
            run.stage1_ids()
            shapes_list(session, run.spec.shapes, 1)
    assert runs[0].train is runs[1].test
    assert sorted(calls) == [
        *["stores.plans.fewshot_run.read_areas"] * 2,  # test and training images
        "stores.plans.shapes.read_areas",
        "stores.plans.shapes.shipped_shapes",
    ]
    other = opened(Session(session.settings), **demo, shapes=small)
    assert other.train is not runs[0].train
    assert other.lists("train") == runs[0].lists("train")


def test_photographs_have_areas_in_the_store(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path / "root", data=voc_squares(tmp_path / "voc"))
    lists = {"data": {"train_list": "dev", "eval_list": "dev"}, "min_area": 20}
    run = opened(Session(settings), benchmark="pascal-5i", **lists)
    assert run.plan.stages[:2] == ("all", "areas")
    assert {"areas train", "areas eval"} < set(run.plan)
    with pytest.raises(ArtefactNotFoundError, match=r"no 'objects in the images \(train\)' of pascal-5i fold 0"):
        run.lists("train")
