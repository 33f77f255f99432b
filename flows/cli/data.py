"""``wilss protocol`` and ``wilss data``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cyclopts import App

from flows.cli.options import NO_MACHINE_OPTIONS, NO_RUN_OPTIONS, MachineOptions, MaybeOut, RunOptions, specify
from flows.cli.printing import print_json, print_table, show
from wilss.layout import default_root

if TYPE_CHECKING:
    from wilss.data.listing import TaggedList
    from wilss.settings import Settings
    from wilss.spec import RunSpec

data_app = App(name="data", help="Look over a data folder, or fetch a public data set.")

FACTS = ("layout", "images", "masks", "labelled")
SHOWN = 10


def protocol(
    benchmark: str,
    *,
    labels: Path | None = None,
    json: bool = False,
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
    json: bool = False,
) -> None:
    """Count images and classes, find unreadable files, unknown classes and duplicates, write a contact sheet.

    Args:
        folder: images/ and labels.csv, or a VOC folder
        benchmark: YAML file or name whose class names are the known ones; any name is accepted when left out
        out: path of the PNG; a file under the root when left out
        json: print JSON
    """
    from wilss.errors import DataError
    from wilss.outputs import picture_path
    from wilss.report.data import check_data

    spec = specify(benchmark, "fmwiss", 0, NO_RUN_OPTIONS, NO_MACHINE_OPTIONS)[0] if benchmark else None
    out = picture_path(out, default_root() / "sheets" / f"data-{folder.resolve().name}.png")
    facts = check_data(folder, spec, out)
    if json:
        print_json(facts)
    else:
        _print_check(facts)
        if spec is None and facts["layout"] == "folder":
            show("no benchmark given: class names were not checked; name one with --benchmark")
    if not facts["sound"]:
        raise DataError(f"'{folder}' is not ready for a run; see the problems above")


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
    print_table("images of each class", ["class", "images"], [[name, str(n)] for name, n in facts["classes"].items()])
    for key in ("unreadable", "unknown"):
        _print_some(key, [f"{name}: {value}" for name, value in facts[key].items()])
    _print_some("duplicates", [" = ".join(group) for group in facts["duplicates"]])
    _print_some("problems", facts["problems"])
    if facts["sheet"]:
        show(f"contact sheet: {facts['sheet']}")


def _print_some(title: str, lines: Sequence[str]) -> None:
    show(f"{title}: {len(lines) or 'none'}")
    for line in lines[:SHOWN]:
        show(f"  {line}")
    if len(lines) > SHOWN:
        show(f"  ... and {len(lines) - SHOWN} more (--json shows all)")
