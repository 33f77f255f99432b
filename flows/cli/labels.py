"""``wilss labels``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from flows.cli.options import NO_MACHINE_OPTIONS, Flag, MachineOptions, MaybeOut, RootFolder
from flows.cli.printing import print_faults, print_json, print_table, show
from stores.manifests import Manifest
from wilss.layout import default_root

labels_app = App(name="labels", help="Look at label sets: the pseudo-labels of a step.")


@labels_app.command(name="list")
def labels_list(*, root: RootFolder = None) -> None:
    """List the label sets."""
    from stores.artefacts import Store

    found, faults = Store(root or default_root()).survey("labels")
    rows = [_listed(manifest) for manifest in found]
    columns = ["set", "made", "benchmark", "step", "what", "of", "images", "rows", "agreement"]
    print_table("label sets", columns, rows, left=True)
    print_faults(faults)


def _listed(m: Manifest) -> list[str]:
    """One label set: what made it, from what, how much there is of it, and how well its two sources agree."""
    if "teacher" in m.parents:
        what, of = "teacher", m.parents["teacher"][:12]
    elif "parent" in m.parents:
        what, of = "reviewed" if m.recipe.get("stage") == "review" else "child", m.parents["parent"][:12]
    else:
        spec = m.notes.get("spec") or {}
        foundation = spec.get("foundation") or {}
        what, of = "co-segmented", " + ".join(filter(None, (foundation.get("scorer"), foundation.get("grouper"))))
    mean = (m.notes.get("quality") or {}).get("agreement")
    counts = [str(m.counts.get(key, "-")) for key in ("images", "rows")]
    facts = [m.digest[:12], m.created[:16].replace("T", " "), str(m.notes.get("benchmark")), str(m.notes.get("step"))]
    return [*facts, what, of or "-", *counts, "-" if mean is None else f"{mean:.2f}"]


@labels_app.command(name="show")
def labels_show(
    label_set: str,
    *,
    image: str | None = None,
    out: MaybeOut = None,
    count: int = 16,
    machine: MachineOptions = NO_MACHINE_OPTIONS,
) -> None:
    """Write a contact sheet of a label set, worst masks first, or of one image; prints the path of the PNG."""
    from stores.artefacts import Store
    from stores.labels.look import show_labels

    settings = machine.settings()
    show(show_labels(label_set, image, out, count, settings))
    print_faults(Store(settings.root).survey("labels")[1])  # a teacher's set that could have been shown beside


@labels_app.command(name="stats")
def labels_stats(
    label_set: str,
    *,
    worst: int = 12,
    json: Flag = False,
    machine: MachineOptions = NO_MACHINE_OPTIONS,
) -> None:
    """Numbers of a label set by class, with IoU where true masks are at hand, and its worst masks first.

    Args:
        label_set: its digest, or the first digits of it
        worst: how many of the worst masks to list
        json: print JSON
    """
    from dataclasses import asdict

    from stores.labels.look import stats_of

    stats = stats_of(label_set, worst, machine.settings())
    if json:
        print_json(asdict(stats))
        return
    first = next(iter(stats.by_class.values()))
    rows = [[name, *(_cell(value) for value in values.values())] for name, values in stats.by_class.items()]
    print_table(f"{stats.stage} masks of {stats.images} images, means by class", ["class", *first], rows)
    numbers = [key for key in first if key not in ("rows", "iou")]
    listed = [
        [r.image, r.class_name, _cell(r.score), *(_cell(r.numbers[key]) for key in numbers), _cell(r.iou)]
        for r in stats.worst
    ]
    print_table("worst masks", ["image", "class", "score", *numbers, "iou"], listed)


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)


@labels_app.command(name="export")
def labels_export(
    label_set: str,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o", "--to"])],
    format: Literal["palette", "coco", "cvat", "label-studio"] = "palette",
    images: Path | None = None,
    stage: str | None = None,
    root: RootFolder = None,
) -> None:
    """Write a label set's masks at the images' own size into a folder; files that are there are never replaced.

    Args:
        label_set: its digest, or the first digits of it
        format: palette PNGs, one an image, and one a class where masks overlap; COCO's JSON with run lengths, which
            FiftyOne reads; CVAT's XML; tasks of Label Studio
        images: folder of the images, so that coco, cvat and label-studio name their files as they are called there
        stage: of the masks; those that a step learns from when left out
    """
    from stores.labels.export import export_labels

    written = export_labels(label_set, out, stage, root or default_root(), format, images)
    show(f"masks of {written} images written to {out}")


@labels_app.command(name="import")
def labels_import(folder: Path, *, parent: str, root: RootFolder = None) -> None:
    """Take masks that were exported and changed as a child of their label set; prints how a step learns from it.

    Args:
        folder: of an export, or of PNG files of class ids that are named as the images are; or a file: JSON of COCO or
            of Label Studio, CVAT's XML
        parent: the label set that they are masks of
    """
    from stores.labels.imports import import_labels

    manifest = import_labels(folder, parent, root or default_root())
    show(f"label set {manifest.digest[:12]}: {manifest.counts['images']} images, {manifest.counts['rows']} masks")
    show(f"learn from it with --set label_sets.{manifest.notes.get('step', 1)}={manifest.digest[:12]}")
