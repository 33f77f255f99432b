"""``wilss demo``, ``run``, ``step``, ``compare`` and ``runs``."""

from __future__ import annotations

from typing import Annotated

from flows.cli.dry_run import print_outlook
from flows.cli.options import (
    NO_MACHINE_OPTIONS,
    NO_RUN_OPTIONS,
    Again,
    Flag,
    From,
    MachineOptions,
    RootFolder,
    RunOptions,
    run_content,
    several,
    specify,
    starting_from,
)
from flows.cli.printing import print_comparison, print_faults, print_report, print_runs, say_begin, say_next, show
from flows.found import found_run
from flows.server import server_at_hand
from wilss.layout import default_root

DEMO_SCHEDULE = ("base.epochs=4", "step.epochs=4", "fmwiss.warmup_epochs=1")
"""Less than half of the preset's epochs: six minutes on two cores without bf16."""


def demo(*, machine: MachineOptions = NO_MACHINE_OPTIONS, seed: int = 0, method: str = "fmwiss") -> None:
    """Run scenes-15-5 on the built-in world: no data, no download, minutes on two cores.

    It trains for less than half of the epochs of ``wilss run scenes-15-5``.
    """
    run("scenes-15-5", method=method, seed=seed, options=RunOptions(set=DEMO_SCHEDULE), machine=machine)
    say_next(machine.settings().root)


def run(
    benchmark: str,
    *,
    method: str = "fmwiss",
    seed: int = 0,
    from_: From = None,
    again: Again = (),
    dry_run: Flag = False,
    options: RunOptions = NO_RUN_OPTIONS,
    machine: MachineOptions = NO_MACHINE_OPTIONS,
) -> None:
    """Run a whole benchmark: base student, memory bank, label sets, steps, evaluation, report.

    Args:
        benchmark: its name, or the path of a YAML file
        method: fmwiss, fmwiss+ (FMWISS for many steps), wilson, finetune or joint
        seed: seed of everything random
        from_: alias or digest of a student that knows the first steps, which are not learnt then, such as champion
        again: what is made anew although it is there: base, bank, labels, step, evaluation, one of a single step such
            as labels-1, or all; what is built upon it is made anew too
        dry_run: print the settings, the plan, what of it is found and an estimate, and do nothing
    """
    spec, settings = specify(benchmark, method, seed, options, machine, again)
    spec = starting_from(spec, from_, settings)
    if dry_run:
        print_outlook({method: spec}, settings)
        return
    say_begin(f"{spec.benchmark}, {spec.method}, seed {spec.seed}", settings.root)
    if (report := found_run(spec, settings)) is None:
        with server_at_hand(settings.root, machine.verbose):
            from flows.benchmark import run_benchmark
        report = run_benchmark(spec, settings)
    print_report(report, settings.root)


def step(
    benchmark: str,
    *,
    step: int,
    method: str = "fmwiss",
    seed: int = 0,
    from_: From = None,
    again: Again = (),
    dry_run: Flag = False,
    options: RunOptions = NO_RUN_OPTIONS,
    machine: MachineOptions = NO_MACHINE_OPTIONS,
) -> None:
    """Run one step from what is already there; says what is missing when the step before was not run.

    Args:
        benchmark: its name, or the path of a YAML file
        step: its number; 0 is the base step
        method: fmwiss, wilson or finetune
        seed: seed of everything random
        from_: alias or digest of the student that the step is learnt from, such as champion; earlier steps are not
            learnt then. One that knows the step already is replaced by the student that it was made from
        again: what is made anew although it is there: base, bank, labels, step, evaluation, one of a single step such
            as labels-1, or all; what is built upon it is made anew too
        dry_run: print the settings, the plan up to the step, what of it is found and an estimate, and do nothing
    """
    spec, settings = specify(benchmark, method, seed, options, machine, again)
    spec = starting_from(spec, from_, settings, step)
    if dry_run:
        print_outlook({method: spec}, settings, step)
        return
    say_begin(f"step {step} of {spec.benchmark}, {spec.method}, seed {spec.seed}", settings.root)
    if (report := found_run(spec, settings, step)) is None:
        with server_at_hand(settings.root, machine.verbose):
            from flows.benchmark import run_step
        report = run_step(spec, step, settings)
    print_report(report, settings.root)


def compare(
    benchmark: str,
    *,
    methods: Annotated[tuple[str, ...], several()] = (),
    seeds: Annotated[tuple[int, ...], several()] = (0, 1, 2),
    again: Again = (),
    dry_run: Flag = False,
    options: RunOptions = NO_RUN_OPTIONS,
    machine: MachineOptions = NO_MACHINE_OPTIONS,
) -> None:
    """Run methods x seeds with everything else equal, and write one table, plot, CSV, Markdown and pictures.

    Args:
        benchmark: its name, or the path of a YAML file
        methods: finetune, wilson, fmwiss, joint (all four when left out), fmwiss+, and fmwiss-no-seeds,
            fmwiss-no-teacher, fmwiss-no-contrastive, fmwiss-no-paste, fmwiss-reviewed (on label sets that people
            reviewed)
        seeds: 0 1 2 when left out
        again: what is made anew although it is there, once for all runs; see wilss run
        dry_run: print the settings, the plans, what of them is found and an estimate, and do nothing
    """
    from wilss.grid import make_grid

    settings = machine.settings(again)
    grid = make_grid(run_content(benchmark, options, settings), methods, seeds)
    if dry_run:
        print_outlook({f"{cell.name}, seed {cell.seed}": cell.spec for cell in grid.runs()}, settings)
        return
    say_begin(
        f"comparison on {benchmark}: {', '.join(grid.methods)}, seeds {', '.join(map(str, grid.seeds))}", settings.root
    )
    with server_at_hand(settings.root, machine.verbose):
        from flows.compare import run_comparison
    print_comparison(run_comparison(grid, settings))


def runs(*, root: RootFolder = None) -> None:
    """List finished runs, few-shot ones too: when, how good, how long, and the settings in which they differ."""
    from stores.run_list import list_runs

    found, fewshot, faults = list_runs(root or default_root())
    print_runs("runs", ("old", "new", "all"), found)
    if found:
        show("mIoU %, convention C, on full-size images")
    if fewshot:
        print_runs("few-shot runs", ("novel", "base"), fewshot)
        show("mIoU % over frozen episodes of novel and of base classes")
    print_faults(faults)
