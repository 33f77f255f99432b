"""Protocols and data folders, looked at from the command line. Plain functions."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from tasks.workspace import open_workspace
from wilss.data.catalogue import class_names
from wilss.data.check import check_folder
from wilss.data.files import read_rgb
from wilss.data.images import to_canvas
from wilss.data.tags import read_labels
from wilss.errors import SpecError
from wilss.outputs import writable_folder
from wilss.protocol import count_steps
from wilss.report.pictures import contact_sheet
from wilss.spec import RunSpec, Settings


def describe_protocol(spec: RunSpec, settings: Settings, write: Path | None) -> list[dict[str, Any]]:
    """Images of every step of a benchmark, from a label table or from the data themselves.

    Args:
        settings: with ``labels_csv`` the table alone is read, no image is needed.
        write: folder that gets one id list a step, ``step-0.txt`` and so on.

    Returns:
        For each step its class names, counts and image ids.
    """
    protocol = spec.protocol
    if settings.labels_csv is not None:
        names = _class_names(spec)
        table = read_labels(settings.labels_csv, names, ignore=_ignored(spec))
        ids, tags = tuple(table), tuple(table.values())
    else:
        source = open_workspace(spec, settings).source
        names, ids, tags = source.classes, source.ids("train"), source.tags("train")
    steps = []
    for counts in count_steps(tags, protocol, spec.scenario):
        images = [ids[i] for i in counts.images]
        steps.append(
            {
                "step": counts.step,
                "classes": [names[c - 1] for c in protocol.steps[counts.step]],
                "images": len(images),
                "with_old_class": counts.with_old,
                "in_earlier_step": counts.repeated,
                "images_by_labels": {str(k): n for k, n in enumerate(counts.labels, start=1)},
                "ids": images,
            }
        )
    if write is not None:
        writable_folder(write)
        for entry in steps:
            (write / f"step-{entry['step']}.txt").write_text("".join(f"{i}\n" for i in entry["ids"]))
    return steps


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
