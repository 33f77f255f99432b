"""``wilss few-shot``: train, evaluate and compare few-shot heads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from flows.cli.options import (
    FEWSHOT_RESERVED,
    NO_MACHINE_OPTIONS,
    Again,
    MachineOptions,
    Set,
    chosen_lists,
    require_unreserved,
    several,
)
from flows.cli.printing import print_table, say_begin, show
from flows.found import found_fewshot
from flows.server import server_at_hand
from wilss.report.records import percent

if TYPE_CHECKING:
    from wilss.fewshot.spec import FewShotSpec
    from wilss.settings import Settings

fewshot_app = App(name="few-shot", help="Few-shot segmentation: five heads, with and without singular value tuning.")


Names = Annotated[tuple[str, ...], several()]
Numbers = Annotated[tuple[int, ...], several()]


@Parameter(name="*")
@dataclass(frozen=True)
class FewShotOptions:
    """Options that say what is computed."""

    benchmark: str = "scenes-5i"
    "scenes-5i, pascal-5i, coco-20i or coco-to-pascal"
    preset: str | None = None
    "demo, small, paper or tiny; the benchmark's own when left out"
    lists: Literal["filtered", "unfiltered"] | None = None
    "training lists without or with images that hold novel classes"
    train_list: str | None = None
    "split file of the training images (VOC folders); train_aug when left out"
    eval_list: str | None = None
    "split file of the evaluation images; val when left out, else the only other list there is"
    set: Set = ()
    "any other key as section.key=value, e.g. train.epochs=3; may be repeated"

    def content(self, machine: MachineOptions) -> dict[str, Any]:
        """What was given of a specification."""
        from wilss.errors import SpecError
        from wilss.fewshot.spec import FAMILIES
        from wilss.words import merge, nested

        settings = machine.settings()
        if settings.labels_csv:
            raise SpecError("few-shot classes are read off the masks; leave out --labels-csv")
        if self.train_list and self.benchmark == "coco-to-pascal":
            raise SpecError("coco-to-pascal trains on COCO, which has no split files; leave out --train-list")
        lists = chosen_lists(FAMILIES.get(self.benchmark), settings, self.train_list, self.eval_list)
        given: dict[str, Any] = {"benchmark": self.benchmark}
        given |= {key: value for key, value in (("preset", self.preset), ("lists", self.lists)) if value}
        if lists:
            given["data"] = lists
        changes = nested(list(self.set))
        require_unreserved(changes, FEWSHOT_RESERVED)
        return merge(given, changes)


NO_OPTIONS = FewShotOptions()


@Parameter(name="*")
@dataclass(frozen=True)
class ModelOptions:
    """Options that say which model is meant."""

    fold: int
    "0 to 3"
    head: str = "aspp"
    "aspp, pfenet, bam, cwt or ipmt; or the baselines prior and prototype, whose training finds a threshold"
    svf: bool = False
    "tune the singular values of the backbone; frozen otherwise, all weights with --set train.tuning=full"
    shots: Numbers = (1,)
    "supports of an episode; one model each"
    seed: int = 0
    "seed of everything random"


@fewshot_app.command
def train(
    *,
    model: ModelOptions,
    again: Again = (),
    options: FewShotOptions = NO_OPTIONS,
    machine: MachineOptions = NO_MACHINE_OPTIONS,
) -> None:
    """Train a head on episodes of the base classes of a fold; stage 1 first where it is needed.

    Args:
        again: what is made anew although it is there, with what is built upon it: areas, shapes, stage1, head or all
    """
    specs, settings = fewshot_specs(model, options, machine, again)
    _say_begin("training", specs, settings)
    with server_at_hand(settings.root, machine.verbose):
        from flows.fewshot import run_fewshot_training
    for spec in specs:
        show(f"{spec.head}, {spec.shots} shot: heads {run_fewshot_training(spec, settings)['digest'][:12]}")


@fewshot_app.command(name="eval")
def evaluate(
    *,
    model: ModelOptions,
    again: Again = (),
    options: FewShotOptions = NO_OPTIONS,
    machine: MachineOptions = NO_MACHINE_OPTIONS,
) -> None:
    """Score trained heads on frozen episodes and write their reports; the options are those of their training.

    Args:
        again: what is made anew although it is there: areas, episodes, scores or all
    """
    specs, settings = fewshot_specs(model, options, machine, again)
    _say_begin("scoring", specs, settings)
    reports = [found_fewshot(spec, settings) for spec in specs]
    if None in reports:
        with server_at_hand(settings.root, machine.verbose):
            from flows.fewshot import run_fewshot_scoring
    for spec, report in zip(specs, reports, strict=True):
        _print_report(report or run_fewshot_scoring(spec, settings), settings.root)


@fewshot_app.command
def compare(
    *,
    heads: Annotated[tuple[str, ...], several("--heads", "--head")] = (),
    tunings: Names = (),
    svf: bool = False,
    folds: Annotated[tuple[int, ...], several("--folds", "--fold")] = (),
    shots: Numbers = (),
    seeds: Annotated[tuple[int, ...], several("--seeds", "--seed")] = (),
    again: Again = (),
    options: FewShotOptions = NO_OPTIONS,
    machine: MachineOptions = NO_MACHINE_OPTIONS,
) -> None:
    """Train and score heads x tunings x folds x seeds on the same episodes; one table, CSV, Markdown and pictures.

    Args:
        heads: all five and the two untrained baselines when left out
        tunings: frozen and svf when left out; full tunes all weights of the backbone
        svf: the same as --tunings frozen svf
        folds: 0 1 2 3 when left out
        shots: 1 when left out
        seeds: 0 when left out
        again: what is made anew although it is there, once for all models, with what is built upon it: areas, shapes,
            stage1, head, episodes, scores or all
    """
    from wilss.errors import SpecError
    from wilss.fewshot.grid import make_fewshot_grid

    if svf and tunings:
        raise SpecError("--svf and --tunings say the same thing twice; give one of them")
    own = {"heads": heads, "tunings": tunings, "folds": folds, "shots": shots, "seeds": seeds}
    grid = make_fewshot_grid({"run": options.content(machine), **own})
    settings = machine.settings(again)
    say_begin(f"comparison of few-shot heads on {options.benchmark}", settings.root)
    with server_at_hand(settings.root, machine.verbose):
        from flows.fewshot import run_fewshot_comparison
    content = run_fewshot_comparison(grid, settings)
    for table in content["tables"]:
        rows = [[name, *cells] for name, cells in table["rows"]]
        print_table(f"{content['benchmark']}: {table['title']}", ["", *table["columns"]], rows)
    show(f"tables, pictures: {Path(content['folder']) / 'compare.html'}")


def fewshot_specs(
    model: ModelOptions, options: FewShotOptions, machine: MachineOptions, again: tuple[str, ...]
) -> tuple[list[FewShotSpec], Settings]:
    """One specification for every number of shots."""
    from wilss.errors import SpecError
    from wilss.fewshot.spec import make_fewshot_spec
    from wilss.words import merge

    settings = machine.settings(again)
    given = {**options.content(machine), "fold": model.fold, "head": model.head, "seed": model.seed}
    if model.svf:
        train = given.get("train", {})
        if not isinstance(train, dict):
            raise SpecError(f"'train' is a section, not '{train}'; write --set train.epochs=3")
        if "tuning" in train:
            raise SpecError("--svf and --set train.tuning=... say the same thing twice; give one of them")
        given = merge(given, {"train": {"tuning": "svf"}})
    specs = [make_fewshot_spec({**given, "shots": shots}) for shots in model.shots or (1,)]
    return specs, settings


def _say_begin(what: str, specs: list[FewShotSpec], settings: Settings) -> None:
    one = specs[0]
    say_begin(f"{what} of {one.head} on fold {one.fold} of {one.benchmark}, seed {one.seed}", settings.root)


def _print_report(report: dict[str, Any], root: Path) -> None:
    rows = [
        [title, percent(part["mean_iou"]), percent(part["standard_error"]), percent(part["fb_iou"])]
        for title, part in (("novel classes", report["novel"]), ("base classes", report["base"]))
    ]
    name = f"{report['benchmark']} fold {report['fold']}, {report['head']} ({report['tuning']}), {report['shots']} shot"
    print_table(f"{name}, {report['novel']['episodes']} episodes, %", ["", "mIoU", "standard error", "FB-IoU"], rows)
    show(f"report: {root / 'fewshot' / report['run'] / 'fewshot.html'}")
