"""``wilss svf``: what steps tuned by singular values keep of themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App

from flows.cli.options import Flag, MaybeOut, Out, RootFolder, several
from flows.cli.printing import print_table, show
from flows.machine import machine_settings
from wilss.layout import default_root
from wilss.report.records import percent

svf_app = App(name="svf", help="Look at steps tuned by singular values (--set step.tuning=svf), and fold them.")

SHOWN = 8


@svf_app.command(name="report")
def svf_report(
    checkpoint: str,
    *,
    images: Annotated[tuple[Path, ...], several()] = (),
    count: int = 6,
    by: Literal["factor", "value"] = "factor",
    seed: int = 0,
    out: MaybeOut = None,
    replace: Flag = False,
    root: RootFolder = None,
    weights: Path | None = None,
) -> None:
    """Say which singular values moved most, and show what the strongest components look at.

    Args:
        checkpoint: digest or folder of a step's checkpoint, or heads:DIGEST for a few-shot model trained with --svf
        images: pictures to look at; scenes of the built-in world when left out, for a checkpoint of its benchmarks
        count: number of risen and of fallen components
        by: rank components by their factor, or by the change of the singular value itself
        seed: seed of the built-in world
        out: folder of report.json, layers.csv and svf.html; one under the root when left out
        replace: replace such files that are in that folder
        root: folder of artefacts; else WILSS_ROOT, else ./wilss-data
        weights: folder of pretrained weights, for few-shot models that started from them; else WILSS_WEIGHTS
    """
    from stores.models.svf_pages import svf_report as write

    settings = machine_settings(root=root, weights=weights)
    _print_svf(write(checkpoint, images, count, by, seed, out, settings.root, settings.weights, replace))


@svf_app.command(name="export")
def svf_export(checkpoint: str, *, out: Out, replace: Flag = False, root: RootFolder = None) -> None:
    """Write the vector set of a checkpoint alone.

    Args:
        checkpoint: digest or folder of a step's checkpoint
        out: path of the safetensors file
        replace: replace a file that is there
        root: folder of artefacts; else WILSS_ROOT, else ./wilss-data
    """
    from stores.models.folding import svf_export as write

    stored = write(checkpoint, out, root or default_root(), replace)
    show(f"{out}: {out.stat().st_size / 1000:.1f} kB, on the bases of checkpoint {stored.checkpoint[:12]}")


@svf_app.command(name="fold")
def svf_fold(
    checkpoint: str,
    *,
    out: Out,
    step: int | None = None,
    root: RootFolder = None,
) -> None:
    """Roll back or forward to a step: write its plain checkpoint, from the bases and the vectors, with its own head.

    Args:
        checkpoint: digest or folder of a step's checkpoint
        out: folder to write, which must not exist
        step: number of an earlier step; the checkpoint's own when left out
        root: folder of artefacts; else WILSS_ROOT, else ./wilss-data
    """
    from stores.models.folding import svf_fold as write

    index = write(checkpoint, step, out, root or default_root())
    show(f"{out}: the student of step {index.step}, {len(index.classes)} classes")


def _print_svf(report: dict[str, Any]) -> None:
    """The layers that moved most, the strongest components, and where the rest lies."""
    layers = sorted(report["layers"], key=lambda row: -row["mean"])
    rows = [
        [
            *(r["layer"], str(r["rank"]), f"{r['mean']:.4f}"),
            *(f"{r['up']:+.4f} (value {r['risen']})", f"{r['down']:+.4f} (value {r['fallen']})"),
        ]
        for r in layers
    ]
    title = f"{report['title']}: change g - 1 of {report['n_values']} singular values"
    print_table(title, ["layer", "values", "mean size", "most up", "most down"], rows[:SHOWN])
    if len(rows) > SHOWN:
        show(f"... and {len(rows) - SHOWN} more layers")
    for kind in ("risen", "fallen"):
        rows = [_component(entry) for entry in report[kind]]
        print_table(f"strongest {kind}", ["layer", "component", "g", "S %", "on objects %"], rows)
    if report["foreground_area"] is not None:
        means = ", ".join(f"{kind} {percent(value)}" for kind, value in report["foreground"].items())
        show(f"activation on objects, %: {means}; objects cover {percent(report['foreground_area'])}")
    if not report["n_images"]:
        show("no pictures: name some with --images FILE")
    show(f"report: {Path(report['folder']) / 'svf.html'}")


def _component(entry: dict[str, Any]) -> list[str]:
    shares = (percent(entry["share"]), percent(entry["foreground"]))
    return [entry["layer"], str(entry["index"]), f"{entry['factor']:.4f}", *shares]
