"""Nodes of a run by name: their parents, and the stages that may be made anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from stores.plans.fewshot_run import FewShotRun
from stores.plans.plan import require_stages
from stores.plans.run import Run
from stores.plans.session import Session
from wilss.errors import SpecError
from wilss.fewshot.spec import make_fewshot_spec
from wilss.settings import Settings
from wilss.spec import make_spec


def test_names_that_are_no_stage_are_told(tmp_path: Path) -> None:
    spec = make_spec({"benchmark": "scenes-10-5-5", "preset": "tiny"})
    plan = Run(spec, Session(Settings(root=tmp_path))).plan
    assert plan.stages_of(0) == ("all", "base", "bank", "evaluation", "evaluation-0")
    assert set(plan.stages_of(2)) == {"all", "labels", "labels-2", "step", "step-2", "evaluation", "evaluation-2"}
    assert set(plan.stages) == {*plan.stages_of(0), *plan.stages_of(1), *plan.stages_of(2)}
    require_stages(("all", "labels-2"), plan.stages_of(2))
    with pytest.raises(SpecError, match=r"'labels-1' is no stage that could be made again here. Did you mean 'labels"):
        require_stages(("labels-1",), plan.stages_of(2))


def test_parents_of_a_few_shot_run(tmp_path: Path) -> None:
    spec = make_fewshot_spec({"benchmark": "scenes-5i", "fold": 3, "preset": "tiny", "head": "cwt"})
    plan = FewShotRun(spec, Session(Settings(root=tmp_path))).plan
    assert plan.stages == ("all", "shapes", "stage1", "head", "episodes", "scores")
    assert {name: plan.parents(name) for name in plan} == {
        "silhouettes": (),
        "stage 1": ("silhouettes",),
        "head": ("silhouettes", "stage 1"),
        **{f"episodes {split}": () for split in ("eval", "train")},
        **{f"scores {split}": ("head", f"episodes {split}") for split in ("eval", "train")},
    }
