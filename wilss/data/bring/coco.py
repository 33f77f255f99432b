"""Annotations of COCO's form, with categories of one's own, by name."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wilss.data.bring.batch import DRAWN, Batch, Drawn, Item, chosen_classes, is_background, left, softened
from wilss.data.coco.annotations import CocoFile, read_annotations
from wilss.data.coco.entries import CocoImage
from wilss.data.files import annotated_size, read_header
from wilss.data.findings import Finding
from wilss.data.mask_reading import assumed
from wilss.data.source import VOID
from wilss.errors import DataError, DataNotFoundError

FATAL = ("coco-format", "coco-category")
"""Kinds of findings after which nothing can be placed."""


@dataclass(frozen=True)
class Part:
    """An annotation file, the folder of its images, and whether they are to be scored on."""

    annotations: Path
    images: Path
    held_out: bool = False


def from_coco(parts: Sequence[Part], wanted: Sequence[str] = (), drawn: Drawn | None = None) -> Batch:
    """Images and objects of annotation files; crowds are void, smaller objects lie on top of larger ones.

    Args:
        wanted: names of categories, in the order of mask values; else all that have an object, by their ids.
        drawn: see `Batch`.

    Raises DataError for a file that is none of COCO's, DataNotFoundError for a folder that is not there.
    """
    opened = [(part, _read(part, drawn)) for part in parts]
    names: dict[str, None] = {}
    for _, file in opened:
        names |= dict.fromkeys(file.categories[key] for key in sorted(file.categories, key=_rank))
    used = {name for _, file in opened for name in _used(file)}
    classes = chosen_classes([name for name in names if wanted or name in used], wanted)
    findings: list[Finding] = []
    items: list[Item] = []
    for part, file in opened:
        findings += softened(file.findings)
        findings += softened(file.strays())
        for image in file.images.values():
            findings += softened(file.object_findings(image))
            findings += _turned(file.find(image, part.images), image, drawn)
            items.append(_item(part, file, image, classes, len(parts) > 1))
    unused = [name for name in names if name not in used]
    if unused and not wanted:
        seen = f"has {len(unused)} categories without any object, which are left out: {', '.join(unused)[:200]}"
        findings.append(Finding("note", "coco-unused", str(parts[0].annotations), seen, "nothing has to be done"))
    if passed := [name for name in names if name in used and name not in classes]:
        seen = f"has objects of categories that are passed over: {', '.join(passed)[:200]}"
        findings.append(
            left("coco-passed-over", parts[0].annotations, seen, "name them with --classes if they are meant")
        )
    masked = {name for _, file in opened for name in _used(file, drawn=True)}
    lost = sum(file.n_listed for _, file in opened) - len(items)
    return Batch(classes, frozenset(masked), tuple(items), tuple(findings), drawn, lost)


def _read(part: Part, drawn: Drawn | None) -> CocoFile:
    if not part.images.is_dir():
        raise DataNotFoundError(f"'{part.images}' is no folder; name that of the images with --images")
    file = read_annotations(part.annotations)
    for finding in file.findings:
        if finding.kind in FATAL:
            raise DataError(str(finding))
    return file.with_sizes(part.images, partial(annotated_size, stored=drawn == "raw"))


def _turned(path: Path, image: CocoImage, drawn: Drawn | None) -> list[Finding]:
    """A warning where it is a guess what annotations of a turned image refer to."""
    if image.size is not None or not path.is_file():
        return []
    try:
        header = read_header(path)
    except DataError:  # told when it is placed
        return []
    seen = assumed(header.stored, header.size, header.orientation, drawn)
    return [Finding("warn", "orientation", str(path), seen, DRAWN)] if seen else []


def _item(part: Part, file: CocoFile, image: CocoImage, classes: tuple[str, ...], several: bool) -> Item:
    names = {file.categories[key] for n in file.objects(image) if (key := file.category(n)) is not None}
    name = f"{part.annotations.stem}/{image.file_name}" if several else image.file_name
    draw = partial(_draw, file, image, classes)
    return Item(name, file.find(image, part.images), tuple(c for c in classes if c in names), draw, part.held_out)


def _draw(file: CocoFile, image: CocoImage, classes: tuple[str, ...]) -> NDArray[np.uint8]:
    """Objects that have a box alone are void in it: what is theirs is not known, and not background either."""
    mask = np.zeros(file.size(image), np.uint8)
    for number in file.objects(image):
        if not file.is_drawn(number) and file.name_of(number) in classes:
            mask[_inside(file, image, number)] = VOID
    boxed = bool(mask.any())
    for number, inside in _layers(file, image):
        name = file.name_of(number)
        if name in classes:
            mask[inside] = VOID if file.is_crowd(number) else classes.index(name) + 1
        elif name is not None and is_background(name):
            mask[inside] = 0
    if boxed and not set(np.unique(mask).tolist()) - {0, VOID}:
        raise DataError(
            f"'{image.file_name}' shows objects by their boxes alone, so it has no mask; draw their outlines"
        )
    return mask


def _layers(file: CocoFile, image: CocoImage) -> list[tuple[int, NDArray[np.bool_]]]:
    try:
        return list(file.layers(image))
    except DataError as error:  # it is among the findings of the file's objects
        raise _maskless(image) from error


def _maskless(image: CocoImage) -> DataError:
    """What is wrong with each object is told by a finding of its own."""
    return DataError(
        f"'{image.file_name}' shows an object that cannot be drawn, so it has no mask; mend it, or take it out"
    )


def _inside(file: CocoFile, image: CocoImage, number: int) -> tuple[slice, slice]:
    """Pixels of an object's box. Raises DataError for an object without one."""
    box = file.box(number)
    if box is None:
        raise _maskless(image)
    left, top, width, height = box
    rows, columns = (max(0, math.floor(a)) for a in (top, left))
    return slice(rows, max(0, math.ceil(top + height))), slice(columns, max(0, math.ceil(left + width)))


def _used(file: CocoFile, drawn: bool = False) -> Iterator[str]:
    """Names of categories with objects, or with one whose outline can be drawn."""
    for image in file.images.values():
        for number in file.objects(image):
            key = file.category(number)
            if key is not None and not (drawn and (file.is_crowd(number) or not file.is_drawn(number))):
                yield file.categories[key]


def _rank(key: str) -> tuple[int, str]:
    """Ids that are numbers by their value, then the others."""
    return (int(key), "") if key.lstrip("-").isdigit() and key.isascii() else (10**19, key)
