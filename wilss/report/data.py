"""What is found in a data folder, with a contact sheet of every class and of what is suspicious."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from wilss.data.any_folder import open_folder
from wilss.data.check import PER_CLASS, DataReport, check_folder
from wilss.data.families import open_source
from wilss.data.findings import Finding
from wilss.data.gate import from_message
from wilss.data.images import to_canvas
from wilss.data.learnt_from import came_since, folder_of, newcomers
from wilss.data.source import Source
from wilss.data.spec import DataSpec
from wilss.data.steps import StepLists
from wilss.errors import DataError, DataNotFoundError, SpecError
from wilss.outputs import writable_folder
from wilss.report.pictures import View
from wilss.report.sheets import contact_sheet
from wilss.settings import Settings
from wilss.spec import RunSpec

TILE = 320
SUSPICIOUS = "suspicious"
CHECKED = ("folder", "voc", "coco-voc")
"""Families of benchmarks that a folder can be looked over for."""


def check_data(
    root: Path, spec: RunSpec | None, out: Path, settings: Settings, data: DataSpec | None = None
) -> dict[str, Any]:
    """Look over a data folder and write a contact sheet; see `wilss.data.check.check_folder`.

    Args:
        spec: a run that would use the folder; None accepts any class name.
        settings: of the machine; its folder "data" is not looked at.
        data: without a run, what is read of the folder; see `wilss.data.any_folder.open_folder`.
    """
    source = _opened(root, spec, settings) if spec else open_folder(root, data, settings)
    report = check_folder(source, whole=spec is None)
    if spec is not None and report.sound:
        lists = StepLists.open(source, spec.protocol, spec.scenario)
        came = came_since(folder_of(settings.root, root), lists) if spec.custom else ()
        of_steps = (*_without_images(lists), *(newcomers(*step) for step in came))
        report = replace(report, findings=(*of_steps, *report.findings))
    rows, notes = _rows(source, report)
    if rows:
        names = dict(enumerate(source.classes, start=1))
        writable_folder(out.parent)
        contact_sheet(rows, [""] * max(map(len, rows)), notes, names).save(out)
    facts = asdict(report)
    del facts["shown"]
    return {**facts, "sound": report.sound, "warned": report.warned, "sheet": str(out) if rows else None}


def _opened(root: Path, spec: RunSpec, settings: Settings) -> Source:
    family = spec.protocol.family
    if family not in CHECKED:
        raise SpecError(f"{spec.benchmark} uses {family} data; check a folder of your own, or VOC or COCO")
    return open_source(
        family, spec.data, settings.model_copy(update={"data": root}), spec.protocol.steps[0], spec.custom
    )


def _without_images(lists: StepLists) -> Iterator[Finding]:
    """Steps that would be refused as no image is theirs."""
    for step in range(len(lists.protocol.steps)):
        try:
            lists.require_images(step)
        except DataError as error:
            yield from_message("refuse", "step-without-images", f"step {step}", str(error))


def _rows(source: Source, report: DataReport) -> tuple[list[list[View]], list[str]]:
    """Pictures of each class, and of suspicious images with their masks; and a line below each row."""
    rows = [[View(to_canvas(source.image(image_id), TILE)) for image_id in ids] for ids in report.shown.values()]
    notes = [f"{name or '(no class)'}: {report.classes.get(name, '')}" for name in report.shown]
    if report.suspicious:
        rows.append([_with_mask(source, image_id) for image_id in report.suspicious[:PER_CLASS]])
        notes.append(f"{SUSPICIOUS}: {len(report.suspicious)}, {', '.join(report.suspicious[:PER_CLASS])}")
    return rows, notes


def _with_mask(source: Source, image_id: str) -> View:
    image = to_canvas(source.image(image_id), TILE)
    try:
        mask = to_canvas(source.mask(image_id)[None], TILE, nearest=True)[0]
    except (DataError, DataNotFoundError):
        return View(image)
    return View(image, mask) if mask.shape == image.shape[1:] else View(image)
