"""``wilss labels``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from flows.cli.options import NO_MACHINE_OPTIONS, MachineOptions
from flows.cli.printing import print_faults, print_table
from wilss.layout import default_root

labels_app = App(name="labels", help="Look at label sets: the pseudo-labels of a step.")


@labels_app.command(name="list")
def labels_list(*, root: Path | None = None) -> None:
    """List the label sets."""
    from stores.artefacts import Store

    rows = []
    found, faults = Store(root or default_root()).survey("labels")
    for m in found:
        kind = "plug-in" if "teacher" in m.parents else "child" if "parent" in m.parents else "co-segmented"
        rows.append(
            [
                m.digest[:12],
                str(m.notes.get("benchmark")),
                str(m.notes.get("step")),
                kind,
                str(m.counts.get("images", "-")),
            ]
        )
    print_table("label sets", ["set", "benchmark", "step", "kind", "images"], rows)
    print_faults(faults)


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
def labels_export(
    label_set: str,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o", "--to"])],
    format: Literal["palette", "coco"] = "palette",
    stage: str | None = None,
    root: Path | None = None,
) -> None:
    """Write a label set's masks at the images' own size into a folder; files that are there are never replaced.

    Args:
        label_set: its digest, or the first digits of it
        format: palette PNGs, one an image, and one a class where masks overlap; or COCO's JSON with run lengths
        stage: of the masks; those that a step learns from when left out
    """
    from stores.labels.export import export_labels

    print(f"masks of {export_labels(label_set, out, stage, root or default_root(), format)} images written to {out}")


@labels_app.command(name="import")
def labels_import(folder: Path, *, parent: str, root: Path | None = None) -> None:
    """Take masks that were exported and changed as a child of their label set; prints how a step learns from it.

    Args:
        folder: of an export, or of PNG files of class ids that are named as the images are
        parent: the label set that they are masks of
    """
    from stores.labels.imports import import_labels

    manifest = import_labels(folder, parent, root or default_root())
    print(f"label set {manifest.digest[:12]}: {manifest.counts['images']} images, {manifest.counts['rows']} masks")
    print(f"learn from it with --set label_sets.{manifest.notes.get('step', 1)}={manifest.digest[:12]}")
