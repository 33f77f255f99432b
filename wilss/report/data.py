"""What is found in a data folder, with a contact sheet of every class."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from wilss.data.check import DataReport, check_folder
from wilss.data.families import family_of
from wilss.data.files import read_rgb
from wilss.data.images import to_canvas
from wilss.errors import SpecError
from wilss.outputs import writable_folder
from wilss.report.pictures import contact_sheet
from wilss.spec import RunSpec


def check_data(root: Path, spec: RunSpec | None, out: Path) -> dict[str, Any]:
    """Look over a data folder and write a contact sheet of every class; see `wilss.data.check.check_folder`.

    Args:
        spec: a run that would use the folder; None accepts any class name.
    """
    report = _checked(root, spec) if spec else check_folder(root)
    rows = [[to_canvas(read_rgb(path), 128) for path in paths] for paths in report.shown.values()]
    if rows:
        writable_folder(out.parent)
        notes = [f"{name or '(no class)'}: {report.classes.get(name, '')}" for name in report.shown]
        contact_sheet(rows, [""] * max(map(len, rows)), notes).save(out)
    facts = asdict(report)
    del facts["shown"]
    return {**facts, "sound": report.sound, "sheet": str(out) if rows else None}


def _checked(root: Path, spec: RunSpec) -> DataReport:
    family, custom = spec.protocol.family, spec.custom
    if family not in ("folder", "voc"):
        raise SpecError(f"{spec.benchmark} uses {family} data; check a folder of your own, or VOC")
    if custom:
        return check_folder(root, custom.classes, custom.ignore)
    return check_folder(root, family_of(family).classes)
