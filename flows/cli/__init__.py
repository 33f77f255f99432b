"""The command line ``wilss``: it triggers flows and shows what they left.

Heavy modules are imported inside the commands, so that help appears at once.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

from flows.cli.data import data_app, protocol
from flows.cli.few_shot import fewshot_app
from flows.cli.foundations import foundations_app, pretrain
from flows.cli.options import (
    NO_MACHINE_OPTIONS,
    NO_RUN_OPTIONS,
    Again,
    MachineOptions,
    RunOptions,
    run_content,
    specify,
)
from flows.cli.printing import percent, print_comparison, print_report, print_table, say_next
from flows.cli.svf import svf_app
from flows.machine import default_root, machine_settings, prepare_prefect

DEMO_SCHEDULE = ("base.epochs=4", "step.epochs=4", "fmwiss.warmup_epochs=1")
"""Less than half of the preset's epochs: six minutes on two cores without bf16."""

app = App(
    name="wilss",
    help="Teach a segmentation model new classes from image-level tags alone.",
    version=lambda: version("wilss"),
    suppress_keyboard_interrupt=False,  # `main` says how to go on
)
labels_app = App(name="labels", help="Look at label sets: the pseudo-labels of a step.")
app.command(labels_app)
app.command(foundations_app)
app.command(fewshot_app)
app.command(pretrain)
app.command(data_app)
app.command(svf_app)
app.command(protocol)


@app.command
def demo(*, machine: MachineOptions = NO_MACHINE_OPTIONS, seed: int = 0, method: str = "fmwiss") -> None:
    """Run scenes-15-5 on the built-in world: no data, no download, minutes on two cores.

    It trains for less than half of the epochs of ``wilss run scenes-15-5``.
    """
    run("scenes-15-5", method=method, seed=seed, options=RunOptions(set=DEMO_SCHEDULE), machine=machine)
    say_next(machine.root or default_root())


@app.command
def run(
    benchmark: str,
    *,
    method: str = "fmwiss",
    seed: int = 0,
    again: Again = (),
    options: RunOptions = NO_RUN_OPTIONS,
    machine: MachineOptions = NO_MACHINE_OPTIONS,
) -> None:
    """Run a whole benchmark: base student, memory bank, label sets, steps, evaluation, report.

    Args:
        benchmark: its name, or the path of a YAML file
        method: fmwiss, wilson, finetune or joint
        seed: seed of everything random
        again: what is made anew although it is there: base, bank, labels, step, evaluation, one of a single step such
            as labels-1, or all; what is built upon it is made anew too
    """
    spec, settings = specify(benchmark, method, seed, options, machine, again)
    prepare_prefect(settings.root, machine.verbose)
    from flows.benchmark import run_benchmark

    print_report(run_benchmark(spec, settings), settings.root)


@app.command
def step(
    benchmark: str,
    *,
    step: int,
    method: str = "fmwiss",
    seed: int = 0,
    again: Again = (),
    options: RunOptions = NO_RUN_OPTIONS,
    machine: MachineOptions = NO_MACHINE_OPTIONS,
) -> None:
    """Run one step from what is already there; says what is missing when the step before was not run.

    Args:
        benchmark: its name, or the path of a YAML file
        step: its number; 0 is the base step
        method: fmwiss, wilson or finetune
        seed: seed of everything random
        again: what is made anew although it is there: base, bank, labels, step, evaluation, one of a single step such
            as labels-1, or all; what is built upon it is made anew too
    """
    spec, settings = specify(benchmark, method, seed, options, machine, again)
    prepare_prefect(settings.root, machine.verbose)
    from flows.benchmark import run_step

    print_report(run_step(spec, step, settings), settings.root)


@app.command
def compare(
    benchmark: str,
    *,
    methods: Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=True)] = (),
    seeds: Annotated[tuple[int, ...], Parameter(negative="", consume_multiple=True)] = (0, 1, 2),
    again: Again = (),
    options: RunOptions = NO_RUN_OPTIONS,
    machine: MachineOptions = NO_MACHINE_OPTIONS,
) -> None:
    """Run methods x seeds with everything else equal, and write one table, plot, CSV, Markdown and pictures.

    Args:
        benchmark: its name, or the path of a YAML file
        methods: finetune, wilson, fmwiss, joint (all four when left out), and fmwiss-no-seeds, fmwiss-no-teacher,
            fmwiss-no-contrastive, fmwiss-no-paste
        seeds: 0 1 2 when left out
        again: what is made anew although it is there, once for all runs; see wilss run
    """
    from wilss.grid import make_grid

    settings = machine.settings(again)
    grid = make_grid(run_content(benchmark, options, settings), methods, seeds)
    prepare_prefect(settings.root, machine.verbose)
    from flows.compare import run_comparison

    print_comparison(run_comparison(grid, settings))


@app.command
def runs(*, root: Path | None = None) -> None:
    """List finished runs with their metrics."""
    from stores.runs import all_runs

    rows = [
        [r["run"], *(percent(r["metrics"][k]) for k in ("old", "new", "all"))] for r in all_runs(root or default_root())
    ]
    print_table("runs", ["run", "old", "new", "all"], rows)
    if rows:
        print("mIoU %, convention C, on full-size images")


@app.command
def predict(
    checkpoint: str,
    images: Annotated[tuple[Path, ...], Parameter(consume_multiple=True)],
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    root: Path | None = None,
    device: str | None = None,
) -> None:
    """Segment image files with a checkpoint (its digest or folder): writes an overlay and a palette PNG for each."""
    from stores.models.predict import predict_files

    settings = machine_settings(root=root, device=device)
    for path in predict_files(checkpoint, images, out, settings.root, settings.device):
        print(path)


@labels_app.command(name="list")
def labels_list(*, root: Path | None = None) -> None:
    """List the label sets."""
    from stores.artefacts import Store

    rows = []
    for m in Store(root or default_root()).all("labels"):
        kind = "plug-in" if "teacher" in m.parents else "co-segmented"
        rows.append(
            [m.digest[:12], str(m.notes.get("benchmark")), str(m.notes.get("step")), kind, str(m.counts["images"])]
        )
    print_table("label sets", ["set", "benchmark", "step", "kind", "images"], rows)


@labels_app.command(name="show")
def labels_show(
    label_set: str,
    *,
    image: str | None = None,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    count: int = 16,
    machine: MachineOptions = NO_MACHINE_OPTIONS,
) -> None:
    """Write a contact sheet of a label set, lowest agreement first, or of one image; prints the path of the PNG."""
    from stores.labels.look import show_labels

    print(show_labels(label_set, image, out, count, machine.settings()))


@labels_app.command(name="export")
def labels_export(label_set: str, *, to: Path, stage: str | None = None, root: Path | None = None) -> None:
    """Write a label set as palette PNGs of the images' own size; refined or teacher masks unless told otherwise."""
    from stores.labels.export import export_labels

    print(f"{export_labels(label_set, to, stage, root or default_root())} masks written to {to}")


def main() -> None:
    """Entry point: a `WilssError`, or a GPU without memory, becomes one message and exit code 2."""
    from wilss.errors import WilssError

    try:
        app(sys.argv[1:], exit_on_error=False)
    except CycloptsError:
        sys.exit(2)
    except WilssError as error:
        print(f"wilss: {error}", file=sys.stderr)
        sys.exit(2)
    except RuntimeError as error:
        from wilss.device import memory_advice

        if not (advice := memory_advice(error)):
            raise
        print(f"wilss: {advice}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        print("wilss: stopped; the same command goes on where it stopped", file=sys.stderr)
        sys.exit(130)
