"""What a trigger or a schedule posts is the specification of ``wilss run``, as the server's schema takes it."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployments.catalogue import DEPLOYMENTS
from deployments.cli.wanted import BaseWanted, RelabelWanted, RunWanted, StepWanted, picked
from deployments.cli.wanted_more import (
    KINDS,
    CompareWanted,
    EvaluateWanted,
    FewShotWanted,
    GcWanted,
    PromoteWanted,
    RetrainWanted,
)
from deployments.own import FITTING, Own, changes
from flows.cli.few_shot import ModelOptions
from flows.cli.options import MachineOptions, RunOptions, specify
from wilss.errors import SpecError
from wilss.fewshot.spec import FewShotSpec
from wilss.grid import Comparison
from wilss.spec import RunSpec

TINY = RunOptions(preset="tiny", set=("step.epochs=3", "fmwiss.memory.min_pixels=16", "student.aspp_rates=[2, 4]"))
MINE = (
    "name: mine\ndata: folder\nsteps:\n  - [cat, dog]\n  - [hamster]\nprompts:\n  hamster: [hamster, golden hamster]\n"
)


def refused(kind: str, parameters: dict[str, Any]) -> str:
    """What the server would say of parameters, "" for nothing."""
    from prefect.utilities.callables import parameter_schema
    from prefect.utilities.schema_tools.validation import ValidationError, validate

    module, _, name = next(one.entrypoint for one in DEPLOYMENTS if one.kind == kind).rpartition(".")
    try:
        validate(parameters, parameter_schema(getattr(importlib.import_module(module), name)).model_dump(), True)
    except ValidationError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("benchmark", ["scenes-15-5", "mine.yaml"])
def test_a_step_is_that_of_wilss_step(tmp_path: Path, benchmark: str) -> None:
    (tmp_path / "mine.yaml").write_text(MINE)
    named = str(tmp_path / benchmark) if benchmark.endswith("yaml") else benchmark
    wanted = StepWanted(named, "finetune", 3, (), TINY, step=1).wanted("default")
    spec, _ = specify(named, "finetune", 3, TINY, MachineOptions())
    assert RunSpec.model_validate(wanted.parameters["spec"]).facts() == spec.facts()
    assert wanted.parameters["spec"]["step"] == {"epochs": 3}, (
        "numbers are numbers, and what the preset says is left out"
    )
    assert wanted.parameters["step"] == 1
    assert "settings" not in wanted.parameters
    assert refused("step", dict(wanted.parameters)) == ""
    assert wanted.title == f"step 1 of {Path(benchmark).stem}"


def test_a_step_that_is_learnt_from_the_model_in_use_names_its_alias() -> None:
    """A schedule learns from what is in use when it comes round."""
    for kind in (StepWanted, RelabelWanted):
        posted = kind("scenes-15-1", options=TINY, step=2, from_="champion").wanted("default").parameters
        assert RunSpec.model_validate(posted["spec"]).students == {1: "champion"}
        assert refused(kind.kind, posted) == ""


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (StepWanted("scenes-15-1", step=0, from_="champion"), "--from 'champion' is the student .* not step 0"),
        (StepWanted("scenes-15-1", step=1, from_=""), "--from '' is the student that a step is learnt from; name it"),
        (StepWanted(step=1, from_="champion"), "--from 'champion' .* name it, the benchmark"),
        (
            StepWanted("scenes-15-1", options=RunOptions(set=("students.1=abc",)), step=2, from_="champion"),
            "both name a student; leave one out",
        ),
        (StepWanted("scenes-15-1", step=9, from_="champion"), "step 9 does not exist"),
        (StepWanted("scenes-15-1", "joint", step=1, from_="champion"), "joint learns all classes at once"),
    ],
)
def test_where_no_student_can_be_learnt_from(wanted: StepWanted, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        wanted.wanted("default" if wanted.benchmark else "mine")


def test_wrong_parameters_are_named_by_the_schema() -> None:
    assert "spec.step.epochs" in refused(
        "step", {"spec": {"benchmark": "scenes-15-5", "step": {"epochs": -1}}, "step": 1}
    )


def test_settings_are_what_was_given_with_whole_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text("")
    (tmp_path / "weights").mkdir()
    machine = MachineOptions(
        root=Path("r"), weights=Path("weights"), imports=(Path("own.py"),), workers=2, verbose=True
    )
    posted = RunWanted("scenes-15-5", again=("labels",), machine=machine).wanted("default").parameters["settings"]
    whole = {"weights": str(tmp_path / "weights"), "imports": [str(tmp_path / "own.py")]}
    assert posted == {**whole, "workers": 2, "again": ["labels"]}, "the root is the worker's"
    assert refused("benchmark", {"spec": {"benchmark": "scenes-15-5"}, "settings": posted}) == ""


def test_a_deployment_of_ones_own_has_its_own_parameters() -> None:
    assert dict(StepWanted(step=2).wanted("pets").parameters) == {"step": 2}
    assert dict(StepWanted().wanted("pets").parameters) == {}


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (RunWanted(), "no benchmark is named; name one with --benchmark"),
        (RunWanted("scenes-15-6"), "unknown benchmark 'scenes-15-6'. Did you mean 'scenes-15-5'?"),
        (RunWanted("scenes-15-5", "fmwis"), "unknown method 'fmwis'. Did you mean 'fmwiss'?"),
        (StepWanted("scenes-15-5"), "a step is of one step; name it with --step"),
        (StepWanted("scenes-15-5", step=7), "step 7 does not exist; scenes-15-5 has the steps 0 to 1"),
        (CompareWanted("scenes-15-5", ("fmwis",)), "unknown method 'fmwis'"),
        (RetrainWanted("scenes-15-5", gate=("flor=1",)), "unknown key 'gate.flor'. Did you mean 'floor'?"),
        (FewShotWanted(ModelOptions(0, shots=(1, 5))), "a run has one number of shots"),
        (FewShotWanted(ModelOptions(0, head="asp")), "unknown head 'asp'. Did you mean 'aspp'?"),
    ],
)
def test_mistakes_are_told_before_anything_is_asked(wanted: Any, message: str) -> None:
    with pytest.raises(SpecError) as error:
        wanted.wanted("default")
    assert message in str(error.value)


def test_settings_need_their_benchmark() -> None:
    with pytest.raises(SpecError, match="settings are given, but no benchmark"):
        RunWanted(method="finetune").wanted("pets")
    with pytest.raises(SpecError, match="the rules of a retraining go with its benchmark"):
        RetrainWanted(gate=("floor=0.3",)).wanted("pets")


def test_other_kinds_are_what_their_schemas_take() -> None:
    grid = CompareWanted("scenes-15-5", ("finetune",), (0,), TINY).wanted("default").parameters
    assert Comparison.model_validate(grid["grid"]).runs()[0].spec.step.epochs == 3
    shots = FewShotWanted(ModelOptions(2, "cwt", svf=True, shots=(5,))).wanted("default").parameters
    spec = FewShotSpec.model_validate(shots["spec"])
    assert (spec.fold, spec.head, spec.shots, spec.train.tuning) == (2, "cwt", 5, "svf")
    given = {"gate": ("floor=0.3",), "approve": True, "hours": 2.0, "step": 1}
    retrain = RetrainWanted("scenes-15-5", options=TINY, **given).wanted("default").parameters
    assert retrain["spec"]["gate"] == {"floor": 0.3}
    assert retrain["spec"]["approval"] == {"wanted": True, "hours": 2.0}
    evaluate = EvaluateWanted("scenes-15-5", model="previous").wanted("default").parameters
    assert evaluate["model"] == "previous"
    gc, promote = GcWanted().wanted("default"), PromoteWanted("abc", "better").wanted("default")
    assert dict(gc.parameters) == {"delete": False}
    posted = {"compare": grid, "few-shot": shots, "retrain": retrain, "evaluate": evaluate}
    posted |= {"gc": gc.parameters, "promote": promote.parameters}
    posted |= {"relabel": RelabelWanted("scenes-15-5", step=1).wanted("default").parameters}
    posted |= {"base": BaseWanted("scenes-15-5").wanted("default").parameters}
    assert {kind: refused(kind, dict(parameters)) for kind, parameters in posted.items()} == dict.fromkeys(posted, "")


def test_every_kind_has_a_deployment_and_says_what_it_does() -> None:
    deployed = {entry.kind for entry in DEPLOYMENTS}
    for kind in KINDS:
        assert kind.kind in deployed
        assert kind.does[0].islower()
    assert set(FITTING) <= deployed


def test_own_deployments_are_what_their_schemas_take() -> None:
    own = Own(
        "pets", "scenes-15-5", {"benchmark": "scenes-15-5", "method": "finetune", "seed": 0}, {"data": "/pets"}, 1
    )
    entries = {entry.kind: entry for entry in own.entries()}
    assert set(entries) == set(FITTING)
    for kind in FITTING:
        assert entries[kind].full_name == f"{kind}/pets"
        assert refused(kind, dict(entries[kind].parameters)) == ""
    again = replace(own, step=0, settings={})
    lines = changes(own.parameters("step"), again.parameters("step"))
    assert lines == ["step: 1 -> 0", "settings.data: /pets (gone)"]
    assert changes(None, own.parameters("step")) == []


def test_only_what_was_given_is_picked() -> None:
    given, whole = {"a": {"b": "3"}, "custom": {"x": 1}}, {"a": {"b": 3, "c": 4}, "custom": {"x": 1, "y": 2}, "d": 5}
    assert picked(given, whole) == {"a": {"b": 3}, "custom": {"x": 1, "y": 2}}
