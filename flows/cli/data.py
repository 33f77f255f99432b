"""``wilss protocol`` and ``wilss data``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cyclopts import App

from flows.cli.bring import bring_app
from flows.cli.options import (
    NO_MACHINE_OPTIONS,
    NO_RUN_OPTIONS,
    Flag,
    MachineOptions,
    MaybeOut,
    RunOptions,
    run_content,
    specify,
)
from flows.cli.printing import print_json, print_table, show
from flows.machine import machine_settings

if TYPE_CHECKING:
    from wilss.data.listing import TaggedList
    from wilss.data.mask_reading import Drawn
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
    options: RunOptions = NO_RUN_OPTIONS,
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


def make_run(benchmark: str, options: RunOptions, settings: Settings) -> RunSpec:
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
    return TaggedList(source.ids("train"), source.tags("train"), source.classes)


@data_app.command(name="check")
def data_check(
    folder: Path,
    *,
    benchmark: str | None = None,
    out: MaybeOut = None,
    json: Flag = False,
    labels_csv: Path | None = None,
    skip_unreadable: Flag = False,
    root: Path | None = None,
    options: RunOptions = NO_RUN_OPTIONS,
) -> None:
    """Look at every file as a run would: what it would refuse or say, counts, a contact sheet.

    Exit code 0: nothing to say but notes; 1: warnings; 2: a run would refuse the folder.

    Args:
        folder: images/ and labels.csv, or a VOC folder
        benchmark: YAML file or name whose classes and lists are the known ones; any name is accepted when left out
        out: path of the PNG; a file under the root when left out
        json: print JSON
        labels_csv: image-level labels as CSV, as of run (VOC folders)
        skip_unreadable: leave out images that cannot be decoded, as of run
        root: folder of artefacts; else WILSS_ROOT, else ./wilss-data
    """
    from wilss.errors import DataError
    from wilss.outputs import picture_path
    from wilss.report.data import check_data

    given = {"labels_csv": labels_csv, "skip_unreadable": skip_unreadable or None, "data": folder, "root": root}
    settings = machine_settings(**given)
    spec = make_run(benchmark, options, settings) if benchmark else None
    drawn = None if spec else _drawn(options)
    out = picture_path(out, settings.root / "sheets" / f"data-{folder.resolve().name}.png")
    facts = check_data(folder, spec, out, settings, drawn)
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


def _drawn(options: RunOptions) -> Drawn | None:
    """What ``--set data.masks`` says, which a folder needs without a benchmark too. Raises SpecError."""
    from pydantic import ValidationError

    from wilss.data.spec import DataSpec
    from wilss.errors import SpecError
    from wilss.words import explain, nested

    data = nested(list(options.set)).get("data", {})
    given = {"masks": data["masks"]} if isinstance(data, dict) and "masks" in data else {}
    try:
        return DataSpec.model_validate(given).masks
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
