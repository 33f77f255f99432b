"""``wilss protocol`` and ``wilss data``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cyclopts import App

from flows.cli.bring import bring_app
from flows.cli.options import (
    NO_LIST_OPTIONS,
    NO_MACHINE_OPTIONS,
    Flag,
    ListOptions,
    MachineOptions,
    MaybeOut,
    RootFolder,
    run_content,
    specify,
)
from flows.cli.printing import print_json, print_table, show
from flows.machine import machine_settings

if TYPE_CHECKING:
    from wilss.data.listing import TaggedList
    from wilss.data.spec import DataSpec
    from wilss.settings import Settings
    from wilss.spec import RunSpec

data_app = App(name="data", help="Look over a data folder, make one of what there is, or fetch a public data set.")
data_app.command(bring_app)

FACTS = ("layout", "images", "masks", "labelled")
SHOWN = 10
"""Findings of a kind that are printed."""
TITLES = {"refuse": "refused", "warn": "warnings", "note": "notes"}


def protocol(
    benchmark: str,
    *,
    labels: Path | None = None,
    json: Flag = False,
    write: Path | None = None,
    options: ListOptions = NO_LIST_OPTIONS,
    machine: MachineOptions = NO_MACHINE_OPTIONS,
) -> None:
    """Show which images each step of a benchmark has.

    Args:
        benchmark: its name, or the path of a YAML file
        labels: image-level labels as CSV (image_id,labels); without it the data themselves are read
        json: print JSON, image ids included
        write: folder for one id list a step
    """
    from wilss.data.listing import list_steps, write_lists

    spec, settings = specify(benchmark, "fmwiss", 0, options, machine)
    labels = labels or settings.labels_csv
    images = _listed(spec, labels) if labels else _opened(spec, settings)
    steps = list_steps(images, spec.protocol, spec.scenario)
    if write is not None:
        write_lists(steps, write)
    if json:
        print_json({"benchmark": spec.benchmark, "scenario": spec.scenario, "steps": [asdict(s) for s in steps]})
        return
    rows = []
    for entry in steps:
        shown = ", ".join(f"{n} with {k}" for k, n in entry.images_by_labels.items())
        counts = (entry.step, len(entry.classes), entry.images, entry.with_old_class, entry.in_earlier_step)
        rows.append([*map(str, counts), shown])
    columns = ["step", "classes", "images", "with an old class", "in an earlier step", "own labels per image"]
    print_table(f"{spec.benchmark}, {spec.scenario}", columns, rows)
    if write is not None:
        show(f"id lists: {write}")


def make_run(benchmark: str, options: ListOptions, settings: Settings) -> RunSpec:
    """The run that a folder is looked over for."""
    from wilss.spec import make_spec

    return make_spec({**run_content(benchmark, options, settings), "method": "fmwiss", "seed": 0})


def _listed(spec: RunSpec, labels: Path) -> TaggedList:
    from wilss.data.families import family_of
    from wilss.data.listing import read_list

    if spec.custom is None:
        return read_list(labels, family_of(spec.protocol.family).classes)
    return read_list(labels, spec.custom.classes, spec.custom.ignore)


def _opened(spec: RunSpec, settings: Settings) -> TaggedList:
    from wilss.data.families import open_source
    from wilss.data.listing import TaggedList

    source = open_source(spec.protocol.family, spec.data, settings, spec.protocol.steps[0], spec.custom)
    return TaggedList.of(source)


@data_app.command(name="check")
def data_check(
    folder: Path,
    *,
    benchmark: str | None = None,
    out: MaybeOut = None,
    json: Flag = False,
    voc: Path | None = None,
    labels_csv: Path | None = None,
    skip_unreadable: Flag = False,
    root: RootFolder = None,
    options: ListOptions = NO_LIST_OPTIONS,
) -> None:
    """Look at every file as a run would: what it would refuse or say, counts, a contact sheet.

    Exit code 0: nothing to say but notes; 1: warnings; 2: a run would refuse the folder.

    Args:
        folder: images/ and labels.csv, shards (*.tar), s3://BUCKET/PREFIX of these; or a VOC or COCO folder
        benchmark: YAML file or name whose classes and lists are the known ones; any name is accepted when left out
        out: path of the PNG; a file under the root when left out
        json: print JSON
        voc: VOC folder of a benchmark that needs it beside the COCO folder, as of run
        labels_csv: image-level labels as CSV, as of run (VOC folders)
        skip_unreadable: leave out images that cannot be decoded, as of run
        root: folder of artefacts; else WILSS_ROOT, else ./wilss-data
    """
    from wilss.bucket.address import data_folder
    from wilss.errors import DataError
    from wilss.outputs import picture_path

    folder = data_folder(folder)
    given = {"voc": voc, "labels_csv": labels_csv, "data": folder, "root": root}
    settings = machine_settings(**given, skip_unreadable=skip_unreadable or None)
    spec = make_run(benchmark, options, settings) if benchmark else None
    data = None if spec else _data_alone(options)
    out = picture_path(out, settings.root / "sheets" / f"data-{folder.resolve().name}.png")
    facts = _checked(folder, spec, out, settings, data)
    if json:
        print_json(facts)
    else:
        _print_check(facts)
        if spec is None and facts["layout"] == "folder":
            show("no benchmark given: class names were not checked; name one with --benchmark")
    if not facts["sound"]:
        raise DataError(f"'{folder}' is not ready for a run; see what is refused above")
    if facts["warned"]:
        raise SystemExit(1)


def _checked(
    folder: Path, spec: RunSpec | None, out: Path, settings: Settings, data: DataSpec | None
) -> dict[str, Any]:
    """What a check gives, or has given where nothing has changed since; the latter loads no torch."""
    from wilss.data.checked import Checked
    from wilss.data.learnt_from import folder_of
    from wilss.data.places.opening import state_of
    from wilss.outputs import writable_folder

    asked = {
        "run": spec.plain() if spec else None,
        "data": data.plain() if data else None,
        "out": str(out.absolute()),
        "skip_unreadable": settings.skip_unreadable,
        **({"state": state} if (state := state_of(folder)) else {}),
    }
    places = (folder, settings.voc, settings.labels_csv, folder_of(settings.root, folder), *settings.imports)
    earlier = Checked(settings.root, asked, places)
    if (known := earlier.recall()) is not None:
        return known
    from wilss.report.data import check_data

    if out.is_relative_to(settings.root):  # where what is seen of files is remembered too
        writable_folder(settings.root)
    facts = check_data(folder, spec, out, settings, data)
    earlier.keep(facts, [facts["sheet"]] if facts["sheet"] else [])
    return facts


def _data_alone(options: ListOptions) -> DataSpec:
    """What is given of the data without a benchmark. Raises SpecError for what would change nothing."""
    from pydantic import ValidationError

    from wilss.data.spec import DataSpec
    from wilss.errors import SpecError
    from wilss.words import explain, nested

    data = nested(list(options.set)).get("data", {})
    idle = [f"--set {key}" for entry in options.set if not (key := entry.partition("=")[0]).startswith("data.")]
    given = {"--preset": options.preset, "--start": options.start, "--scenario": options.scenario != "overlap"}
    if idle := idle + [name for name, value in given.items() if value]:
        raise SpecError(f"'{idle[0]}' changes nothing without a benchmark; name one with --benchmark, or leave it out")
    lists = {"train_list": options.train_list, "eval_list": options.eval_list}
    try:
        return DataSpec.model_validate({**{name: value for name, value in lists.items() if value}, **data})
    except ValidationError as error:
        raise SpecError(explain(error, DataSpec, "data")) from error


@data_app.command(name="download")
def data_download(name: Literal["voc", "coco"], *, to: Path, yes: bool = False) -> None:
    """Fetch VOC 2012 with SBD's masks, or COCO 2017, on a connected machine; checksums are verified.

    Args:
        name: voc or coco
        to: folder to fetch into
        yes: start without asking
    """
    from wilss.data.download import SIZES, download

    if not yes:
        show(f"this fetches {SIZES[name]} into {to}; add --yes to start")
        return
    show(f"use it with --data {download(name, to)}")


def _print_check(facts: dict[str, Any]) -> None:
    for key in FACTS:
        show(f"{key:<10} {facts[key]}")
    for kind, count in facts["passed_over"].items():
        show(f"passed over: {count} ({kind})")
    print_table("images of each class", ["class", "images"], [[name, str(n)] for name, n in facts["classes"].items()])
    for severity, title in TITLES.items():
        _print_some(title, [finding for finding in facts["findings"] if finding["severity"] == severity])
    if facts["sheet"]:
        show(f"contact sheet: {facts['sheet']}")


def _print_some(title: str, findings: Sequence[dict[str, str]]) -> None:
    show(f"{title}: {len(findings) or 'none'}")
    kinds = dict.fromkeys(finding["kind"] for finding in findings)
    for kind in kinds:
        found = [finding for finding in findings if finding["kind"] == kind]
        for finding in found[:SHOWN]:
            show(f"  '{finding['where']}' {finding['seen']}; {finding['cure']}")
        if len(found) > SHOWN:
            show(f"  ... and {len(found) - SHOWN} more of this kind (--json shows all)")
