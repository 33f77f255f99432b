"""``wilss retrain``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from flows.cli.options import (
    NO_MACHINE_OPTIONS,
    NO_RUN_OPTIONS,
    Again,
    Flag,
    MachineOptions,
    RunOptions,
    run_content,
    several,
)
from flows.cli.printing import print_table, show
from flows.found import found_retraining
from flows.server import server_at_hand
from wilss.measure.spec import GateSpec

NO_GATE = GateSpec()


def retrain(
    benchmark: str,
    *,
    step: int | None = None,
    method: str = "fmwiss",
    seeds: Annotated[tuple[int, ...], several("--seeds", "--seed")] = (0,),
    guard: str | None = None,
    alias: str = "champion",
    from_alias: Flag = False,
    approve: Flag = False,
    gate: Annotated[GateSpec, Parameter(name="gate")] = NO_GATE,
    again: Again = (),
    options: RunOptions = NO_RUN_OPTIONS,
    machine: MachineOptions = NO_MACHINE_OPTIONS,
) -> None:
    """Train a model and let it take the place of the one in use, if it passes the gate.

    Labels, training, scores on the guard set, rules, alias. Exit code 1 where the model is kept out; the one in use
    stays in use whatever fails. Where nothing has changed since the last time nothing is done.

    Args:
        benchmark: its name, or the path of a YAML file
        step: up to which step is trained; the last one when left out
        method: fmwiss, wilson or finetune
        seeds: trainings; the gate looks at their mean and at the first one, which is the one that gets the alias
        guard: name of a frozen guard set, or a file with the ids of its images, one a line; all evaluation images,
            frozen when first used, when left out
        alias: the name that the model gets
        from_alias: start from the model in use; earlier steps are not trained again
        approve: move nothing; set the alias with wilss models promote after a look at the page
        gate: rules; IoU as shares in [0, 1]
        again: what is made anew although it is there; see wilss run
    """
    from wilss.retrain import make_retrain_spec

    settings = machine.settings(again)
    run = {**run_content(benchmark, options, settings), "method": method}
    name, images = _guard(guard)
    spec = make_retrain_spec(
        {
            "run": run,
            "step": step,
            "seeds": seeds,
            "guard": name,
            "guard_images": images,
            "gate": gate.model_dump(exclude_unset=True),
            "approval": {"wanted": approve},
            "alias": alias,
            "from_alias": from_alias,
        }
    )
    if (content := found_retraining(spec, settings)) is None:
        with server_at_hand(settings.root, machine.verbose):
            from flows.retrain import run_retraining
        content = run_retraining(spec, settings)
    print_gate(content)


def print_gate(content: dict[str, Any]) -> None:
    """Rules and classes of a gate and what came of it; exits with 1 where the model was kept out."""
    if content["outcome"] == "nothing to do":
        show(f"nothing to do: {content['reason']}")
        return
    from wilss.report.gate import GATE_COLUMNS, OUTCOMES, GateReport, gate_rows, rule_rows

    path = Path(content["path"])
    report = GateReport.model_validate({key: value for key, value in content.items() if key != "path"})
    seeds = f"mean of seeds {', '.join(map(str, report.seeds))}" if report.own_verdict else f"seed {report.seeds[0]}"
    classes = [list(row) for row in gate_rows(report.verdict)]
    print_table(f"{report.title}, {seeds}: IoU %", ["class", *GATE_COLUMNS], classes)
    rules = [list(row) for row in rule_rows(report.verdict)]
    if report.own_verdict:
        rules += [[f"{rule}, seed {report.seeds[0]}", *rest] for rule, *rest in rule_rows(report.own_verdict)]
    print_table("rules", ["rule", "outcome", "why"], rules, left=True)
    show(f"model {report.challengers[0][:12]} {OUTCOMES[report.outcome]}: {report.reason}")
    show(f"gate: {path.with_suffix('.html')}")
    if report.outcome != "promoted":
        sys.exit(1)


def _guard(named: str | None) -> tuple[str | None, tuple[str, ...]]:
    """Name of a guard set, and the ids of its images where a file lists them."""
    if named is None or not Path(named).is_file():
        return named, ()
    from wilss.data.id_lists import read_ids

    return Path(named).stem, read_ids(Path(named))
