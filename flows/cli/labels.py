"""``wilss labels``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
def labels_export(label_set: str, *, to: Path, stage: str | None = None, root: Path | None = None) -> None:
    """Write a label set as palette PNGs of the images' own size; refined or teacher masks unless told otherwise."""
    from stores.labels.export import export_labels

    print(f"{export_labels(label_set, to, stage, root or default_root())} masks written to {to}")
