"""Data folders, looked at from the command line. Plain functions."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from wilss.data.catalogue import class_names
from wilss.data.check import check_folder
from wilss.data.files import read_rgb
from wilss.data.images import to_canvas
from wilss.errors import SpecError
from wilss.outputs import writable_folder
from wilss.report.pictures import contact_sheet
from wilss.spec import RunSpec


def _class_names(spec: RunSpec) -> tuple[str, ...]:
    return spec.custom.classes if spec.custom else class_names(spec.protocol.family)


def _ignored(spec: RunSpec) -> tuple[str, ...]:
    return spec.custom.ignore if spec.custom else ()


def check_data(root: Path, spec: RunSpec | None, out: Path) -> dict[str, Any]:
    """Look over a data folder and write a contact sheet of every class; see `wilss.data.check.check_folder`.

    Args:
        spec: a run that would use the folder; None accepts any class name.
    """
    if spec is not None and spec.protocol.family not in ("folder", "voc"):
        raise SpecError(f"{spec.benchmark} uses {spec.protocol.family} data; check a folder of your own, or VOC")
    report = check_folder(root, _class_names(spec), _ignored(spec)) if spec else check_folder(root)
    rows = [[to_canvas(read_rgb(path), 128) for path in paths] for paths in report.shown.values()]
    if rows:
        writable_folder(out.parent)
        notes = [f"{name or '(no class)'}: {report.classes.get(name, '')}" for name in report.shown]
        contact_sheet(rows, [""] * max(map(len, rows)), notes).save(out)
    facts = asdict(report)
    del facts["shown"]
    return {**facts, "sound": report.sound, "sheet": str(out) if rows else None}
