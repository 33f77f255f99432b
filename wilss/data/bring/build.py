"""Building the data folder: images, labels.csv, masks, eval.txt and a benchmark, all or nothing."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ImageOps

from wilss.data.bring.batch import DRAWN, Batch, Item, left, target_names
from wilss.data.bring.text import write_benchmark, write_labels
from wilss.data.files import Header, decoding, opened, read_header, read_rgb
from wilss.data.findings import Finding
from wilss.data.gate import from_message
from wilss.data.mask_reading import lies_on, turned
from wilss.data.source import VOID
from wilss.data.voc import save_palette_png
from wilss.errors import DataError, DataNotFoundError, SpecError
from wilss.outputs import writable_folder

SUFFIX = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp", "TIFF": ".tif"}
"""By what a file holds, whatever it is called."""


@dataclass(frozen=True)
class Brought:
    """What was made.

    images, masks, held_out: numbers of files, and of names in eval.txt. classes: images of each class, in the order of
    mask values. findings: "warn" for what could not be placed. given, not_placed: images that were found and those
    of them that are not in the folder.
    """

    folder: str
    benchmark: str
    images: int
    masks: int
    held_out: int
    classes: dict[str, int]
    steps: tuple[tuple[str, ...], ...]
    given: int
    not_placed: int
    findings: tuple[Finding, ...]

    @property
    def complete(self) -> bool:
        """Whether everything could be placed."""
        return not any(finding.severity == "warn" for finding in self.findings)


@dataclass(frozen=True)
class Placed:
    """An image in the folder: its name there, class names, whether it has a mask and is scored on; what that shows."""

    name: str
    tags: tuple[str, ...]
    masked: bool
    held_out: bool
    shown: tuple[str, ...] = ()


def build(batch: Batch, to: Path, new: Sequence[str] = (), hold_out: float = 0.0, copy: bool = False) -> Brought:
    """Make a data folder. It is built beside its place and moved there when it is whole.

    Args:
        to: must not exist, or be empty. new: classes of step 1; those that no mask shows, or else the last, if none.
        hold_out: share of the images with masks that eval.txt lists, beside those that are held out already.
        copy: copy images; else they are hard links where the file system has them.

    Raises SpecError for a folder that holds something or cannot be written, and for classes that are none; DataError
    where no image could be placed.
    """
    steps = _steps(batch, new)
    _require_empty(to)
    staging = writable_folder(to.absolute().parent) / f".{to.name}.{uuid4().hex}.partial"
    try:
        found = _Builder(batch, staging, _order(steps), copy).build(hold_out)
        shown = frozenset(name for one in found[0] if not one.held_out for name in one.shown)
        if steps != (better := _steps(replace(batch, masked=shown), new)):  # a mask that was hoped for is not to be had
            steps = better
            found = _Builder(batch, staging, _order(steps), copy).build(hold_out)
        brought = _written(batch, staging, to, steps, found)
        if to.exists():
            to.rmdir()
        staging.rename(to)
    except OSError as error:
        raise SpecError(f"'{to}' cannot be written ({error.strerror}); make room, or choose another folder") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return brought


def _written(
    batch: Batch,
    staging: Path,
    to: Path,
    steps: tuple[tuple[str, ...], ...],
    found: tuple[list[Placed], list[Finding]],
) -> Brought:
    placed, findings = found
    if not placed:
        raise DataError(_none_placed(batch, findings))
    scored = [one.name for one in placed if one.held_out and one.masked]
    write_labels(staging / "labels.csv", {one.name: one.tags for one in placed})
    if scored:
        (staging / "eval.txt").write_text("".join(f"{name}\n" for name in scored), encoding="utf-8")
    masks = sum(one.masked for one in placed)
    write_benchmark(staging / "benchmark.yaml", to.absolute().name, steps, bool(masks))
    counted = Counter(name for one in placed for name in one.tags)
    return Brought(
        folder=str(to),
        benchmark=str(to / "benchmark.yaml"),
        images=len(placed),
        masks=masks,
        held_out=len(scored),
        classes={name: counted[name] for step in steps for name in step},
        steps=steps,
        given=len(batch.items) + batch.lost,
        not_placed=len(batch.items) + batch.lost - len(placed),
        findings=(*batch.findings, *findings),
    )


def _steps(batch: Batch, new: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Classes of step 0 and of step 1, each in the order of the batch."""
    if unknown := [name for name in new if name not in batch.classes]:
        raise SpecError(f"--new names '{unknown[0]}', which is no class; there are {', '.join(batch.classes)[:500]}")
    later = set(new) or set(batch.classes) - batch.masked
    if not later or len(later) == len(batch.classes):
        later = set(batch.classes[-1:]) if len(batch.classes) > 1 else set()
    steps = (tuple(c for c in batch.classes if c not in later), tuple(c for c in batch.classes if c in later))
    return tuple(step for step in steps if step)


def _none_placed(batch: Batch, findings: Sequence[Finding]) -> str:
    """Why: the first of the most frequent kind of finding, those of images before those of the data as a whole."""
    told = list(findings) or [finding for finding in batch.findings if finding.severity == "warn"]
    given = f"none of {len(batch.items) + batch.lost} images"
    if not told:
        return f"{given} can be placed; is it the right folder?"
    (kind, count), *_ = Counter(finding.kind for finding in told).most_common(1)
    more = f" ({count - 1} more of this kind)" if count > 1 else ""
    return f"{given} can be placed: {next(finding for finding in told if finding.kind == kind)}{more}"


def _order(steps: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Classes by mask value."""
    return tuple(name for step in steps for name in step)


def _require_empty(to: Path) -> None:
    if to.is_symlink() or (to.exists() and not to.is_dir()) or (to.is_dir() and any(to.iterdir())):
        raise SpecError(f"'{to}' is there already and not an empty folder; name a new one with --to")


@dataclass(frozen=True)
class _Builder:
    batch: Batch
    staging: Path
    order: tuple[str, ...]
    copy: bool

    def build(self, hold_out: float) -> tuple[list[Placed], list[Finding]]:
        for folder in (self.staging / "images", self.staging / "masks"):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        names = target_names([item.name for item in self.batch.items])
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(lambda item: self._place(item, names[item.name]), self.batch.items))
        placed = sorted((one for one, _ in found if one), key=lambda one: one.name)
        more = _drawn_lots([one.name for one in placed if one.masked and not one.held_out], hold_out)
        return (
            [replace(one, held_out=one.held_out or one.name in more) for one in placed],
            [finding for _, findings in found for finding in findings],
        )

    def _place(self, item: Item, name: str | None) -> tuple[Placed | None, list[Finding]]:
        if name is None:
            seen = "has a name that no file here can have, or that another file has too"
            return None, [left("name", item.path, seen, "rename it, also where it is listed")]
        try:
            read_rgb(item.path)
            header = read_header(item.path)
        except (DataError, DataNotFoundError) as error:
            return None, [from_message("warn", "unreadable", str(item.path), str(error))]
        values, findings = self._mask(item, header)
        findings += self._put(item, header, name, values is not None)
        shown: set[str] = set()
        if values is not None:
            save_palette_png(torch.from_numpy(values), self.staging / "masks" / f"{name}.png")
            shown = {self.order[v - 1] for v in np.unique(values).tolist() if 0 < v <= len(self.order)}
        tags = tuple(c for c in self.order if c in shown or c in item.tags)
        if values is not None and tags and not shown and VOID in values:  # a run would take the class for void
            seen = f"shows {', '.join(tags)[:100]} in void alone, such as crowds; its row has no such tag"
            findings.append(Finding("note", "void-alone", str(item.path), seen, "nothing has to be done"))
            tags = ()
        return Placed(name, tags, values is not None, item.held_out, tuple(shown)), findings

    def _mask(self, item: Item, header: Header) -> tuple[NDArray[np.uint8] | None, list[Finding]]:
        """Values in the order of the benchmark, as the image is shown."""
        if item.draw is None:
            return None, []
        try:
            drawn = item.draw()
        except (DataError, DataNotFoundError) as error:
            return None, [from_message("warn", "mask", str(item.path), str(error))]
        shape = (drawn.shape[0], drawn.shape[1])
        turn, problem = lies_on(header.stored, header.size, header.orientation, shape, self.batch.drawn)
        if problem:
            both = shape in (header.stored, header.size)
            cure = DRAWN if both else "annotate the image as it is, or give the image that was annotated"
            return None, [left("mask", item.path, f"{problem.partition('; ')[0]}, so it has no mask", cure)]
        table = np.full(256, 255, np.uint8)
        table[0] = 0
        for position, name in enumerate(self.batch.classes, start=1):
            table[position] = self.order.index(name) + 1
        values = table[drawn]
        return (turned(values, header.orientation) if turn else np.ascontiguousarray(values)), []

    def _put(self, item: Item, header: Header, name: str, masked: bool) -> list[Finding]:
        with opened(item.path) as image, decoding(item.path):
            target = self.staging / "images" / (name + SUFFIX[str(image.format)])
            if masked and header.orientation > 1 and header.stored == header.size:
                target = target.with_name(f"{name}.png")  # what its mask lies on is told by the pixels alone
                ImageOps.exif_transpose(image).convert("RGB").save(target)
                seen = f"is turned by its EXIF orientation {header.orientation}; it was saved upright, as PNG"
                return [Finding("note", "upright", str(item.path), seen, "nothing has to be done")]
        source = item.path.resolve()
        if not self.copy:
            try:
                os.link(source, target)
            except OSError:  # another disk, or a file of someone else's
                pass
            else:
                return []
        shutil.copyfile(source, target)
        return []


def _drawn_lots(names: Sequence[str], share: float) -> frozenset[str]:
    """A share of the names, the same ones every time, whatever else is there."""
    ranked = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    return frozenset(ranked[: round(share * len(ranked))])
