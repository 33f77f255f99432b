"""What the runs of flows are called: benchmark, method, step and seed, so that a list of them can be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect.context import FlowRunContext

from wilss.fewshot.grid import FewShotGrid
from wilss.fewshot.spec import FewShotSpec
from wilss.grid import Comparison
from wilss.retrain import RetrainSpec
from wilss.spec import RunSpec

LONGEST = 120


def run_name() -> str:
    """Of the flow run that begins, from its parameters; Prefect calls it."""
    context = FlowRunContext.get()
    assert context is not None
    return name_of(context.flow.name, context.parameters or {})


def name_of(kind: str, given: Mapping[str, Any]) -> str:
    """The name of a run of a flow.

    Args:
        kind: the flow's name. given: its parameters, validated.
    """
    spec = given.get("spec", given.get("grid"))
    said = _of_spec(spec) if spec is not None else ""
    if kind not in ("benchmark", "few-shot"):
        said = f"{kind} {said}".strip()
    if (step := given.get("step")) is not None:
        said = f"step {step} of {said.removeprefix('step ')}" if kind == "step" else f"{said}, step {step}"
    if model := given.get("model"):
        said = f"{said}, {model:.40}" if spec is not None else f"{said} {model:.40}"
    if (alias := given.get("alias")) and spec is None:
        said = f"{said} to {alias}"
    return said[:LONGEST]


def _of_spec(spec: object) -> str:
    if isinstance(spec, RunSpec):
        scenario = "" if spec.scenario == "overlap" else f" {spec.scenario}"
        return f"{spec.benchmark}{scenario} {spec.method}, seed {spec.seed}"
    if isinstance(spec, RetrainSpec):
        seeds = ", ".join(str(run.seed) for run in spec.runs)
        return f"{spec.run.benchmark} {spec.run.method}, step {spec.last_step}, seed {seeds}, for {spec.alias}"
    if isinstance(spec, FewShotSpec):
        shots = f"{spec.shots} shot{'s' if spec.shots > 1 else ''}"
        return f"{spec.benchmark} fold {spec.fold} {spec.head} {spec.train.tuning}, {shots}, seed {spec.seed}"
    if isinstance(spec, Comparison):
        return f"{spec.run.get('benchmark', '')}: {', '.join(spec.methods)}; seeds {', '.join(map(str, spec.seeds))}"
    if isinstance(spec, FewShotGrid):
        return f"{spec.run.get('benchmark', '')}: {', '.join(spec.heads)}"
    return ""
