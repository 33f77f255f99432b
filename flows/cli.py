"""The command line ``wilss``: it triggers flows and shows what they left.

Heavy modules are imported inside the commands, so that help appears at once.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, CycloptsError, Parameter

from flows.cli_foundations import foundations_app, pretrain
from flows.environment import default_root, machine_settings, prepare_prefect
from flows.printing import percent, print_report, print_table, say_next

if TYPE_CHECKING:
    from wilss.spec import RunSpec, Settings

app = App(name="wilss", help="Teach a segmentation model new classes from image-level tags alone.")
labels_app = App(name="labels", help="Look at label sets: the pseudo-labels of a step.")
app.command(labels_app)
app.command(foundations_app)
app.command(pretrain)


@Parameter(name="*")
@dataclass(frozen=True)
class RunOptions:
    """Options that determine the result of a run."""

    scenario: str = "overlap"
    "overlap or disjoint"
    method: str = "fmwiss"
    "fmwiss, wilson, finetune or joint"
    seed: int = 0
    "seed of everything random"
    preset: str | None = None
    "named settings: demo, small, paper or tiny; the benchmark's own when left out"
    train_list: str | None = None
    "split file of the training images (VOC folders)"
    eval_list: str | None = None
    "split file of the evaluation images (VOC folders); val when left out, else the only other list there is"
    set: Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=True)] = ()
    "any other key as section.key=value, e.g. step.epochs=3; may be repeated"


@Parameter(name="*")
@dataclass(frozen=True)
class MachineOptions:
    """Options that say where and how to compute."""

    root: Path | None = None
    "folder of artefacts and runs; else WILSS_ROOT, else ./wilss-data"
    data: Path | None = None
    "data folder (VOC devkit layout); else WILSS_DATA"
    weights: Path | None = None
    "folder of pretrained weights; else WILSS_WEIGHTS, else a folder 'weights' in or beside the data folder"
    labels_csv: Path | None = None
    "image-level labels as CSV (image_id,labels); read off the masks when left out"
    skip_unreadable: bool = False
    "leave out images that cannot be decoded, and say how many"
    device: str | None = None
    "cpu or cuda; else WILSS_DEVICE, else cpu"
    verbose: bool = False
    "show Prefect's own log"

    def settings(self) -> Settings:
        """Settings of this machine."""
        return machine_settings(self.root, self.data, self.weights, self.labels_csv, self.skip_unreadable, self.device)


NO_RUN_OPTIONS = RunOptions()
NO_MACHINE_OPTIONS = MachineOptions()


@app.command
def demo(*, machine: MachineOptions = NO_MACHINE_OPTIONS, seed: int = 0, method: str = "fmwiss") -> None:
    """Run scenes-15-5 on the built-in world: no data, no download, minutes on two cores."""
    run("scenes-15-5", options=RunOptions(seed=seed, method=method), machine=machine)
    say_next(machine.root or default_root())


@app.command
def run(benchmark: str, *, options: RunOptions = NO_RUN_OPTIONS, machine: MachineOptions = NO_MACHINE_OPTIONS) -> None:
    """Run a whole benchmark: base student, memory bank, label sets, steps, evaluation, report."""
    spec, settings = _specify(benchmark, options, machine)
    prepare_prefect(settings.root, machine.verbose)
    from flows.benchmark import run_benchmark

    print_report(run_benchmark(spec, settings), settings.root)


@app.command
def step(
    benchmark: str,
    *,
    step: int,
    options: RunOptions = NO_RUN_OPTIONS,
    machine: MachineOptions = NO_MACHINE_OPTIONS,
) -> None:
    """Run one step from what is already there; says what is missing when the step before was not run."""
    spec, settings = _specify(benchmark, options, machine)
    prepare_prefect(settings.root, machine.verbose)
    from flows.benchmark import run_step

    print_report(run_step(spec, step, settings), settings.root)


@app.command
def runs(*, root: Path | None = None) -> None:
    """List finished runs with their metrics."""
    from stores.runs import all_runs

    rows = [
        [r["run"], *(percent(r["metrics"][k]) for k in ("old", "new", "all"))] for r in all_runs(root or default_root())
    ]
    print_table("runs", ["run", "old", "new", "all"], rows)


@app.command
def predict(
    checkpoint: str,
    images: Annotated[tuple[Path, ...], Parameter(consume_multiple=True)],
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    root: Path | None = None,
    device: str = "cpu",
) -> None:
    """Segment image files with a checkpoint (its digest or folder): writes an overlay and a palette PNG for each."""
    from tasks.inspect import predict_files

    for path in predict_files(checkpoint, images, out, root or default_root(), device):
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
    from tasks.inspect import show_labels

    print(show_labels(label_set, image, out, count, machine.settings()))


@labels_app.command(name="export")
def labels_export(label_set: str, *, to: Path, stage: str | None = None, root: Path | None = None) -> None:
    """Write a label set as palette PNGs of the images' own size; refined or teacher masks unless told otherwise."""
    from tasks.inspect import export_labels

    print(f"{export_labels(label_set, to, stage, root or default_root())} masks written to {to}")


def _specify(benchmark: str, options: RunOptions, machine: MachineOptions) -> tuple[RunSpec, Settings]:
    from wilss.data.voc import choose_lists
    from wilss.spec import make_spec, merge, nested

    settings = machine.settings()
    changes: dict[str, Any] = nested(list(options.set))
    train, evaluation = choose_lists(settings.data, options.train_list, options.eval_list)
    lists = {name: value for name, value in (("train_list", train), ("eval_list", evaluation)) if value}
    given: dict[str, Any] = {
        "benchmark": benchmark,
        "scenario": options.scenario,
        "method": options.method,
        "seed": options.seed,
    }
    if options.preset:
        given["preset"] = options.preset
    if lists:
        given["data"] = lists
    return make_spec(merge(given, changes)), settings


def main() -> None:
    """Entry point: a `WilssError` becomes one message and exit code 2, nothing else is caught."""
    from wilss.errors import WilssError

    try:
        app(exit_on_error=False)
    except CycloptsError:
        sys.exit(2)
    except WilssError as error:
        print(f"wilss: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("wilss: stopped; the same command goes on where it stopped", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
