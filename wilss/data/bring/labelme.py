"""labelme's JSON files: polygons, rectangles, circles and masks beside their images."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from wilss.data.bring.batch import Batch, Item, chosen_classes, is_background, left, softened
from wilss.data.bring.tables import folder_index
from wilss.data.class_names import folded
from wilss.data.colours import VOIDS
from wilss.data.files import decoding, opened, read_size
from wilss.data.findings import Finding
from wilss.data.gate import from_message
from wilss.data.index import FileIndex
from wilss.data.source import VOID
from wilss.errors import DataError, DataNotFoundError, FormatError
from wilss.outside import read_json

ADVICE = "save it again with labelme"
MOST_POINTS = 100_000
"""Of a shape."""
Point = tuple[float, float]


@dataclass(frozen=True)
class Shape:
    """A shape that can be drawn: its label, its kind, its points, and of a "mask" its pixels as a PNG."""

    label: str
    kind: str
    points: tuple[Point, ...]
    png: bytes = b""


@dataclass(frozen=True)
class Sheet:
    """A JSON file: its image's id, size as annotated (None where it is not told), and shapes in the order they lie.

    lost: labels of the shapes that cannot be drawn, "" for one without a label.
    """

    path: Path
    image_id: str
    size: tuple[int, int] | None
    shapes: tuple[Shape, ...]
    lost: tuple[str, ...] = ()

    @property
    def labels(self) -> set[str]:
        """Labels of all shapes, whether they can be drawn or not."""
        return {shape.label for shape in self.shapes} | {label for label in self.lost if label}

    def withheld(self, classes: Sequence[str]) -> int:
        """Shapes that cannot be drawn and would have been: where they lie is not known, and not background either."""
        return sum(not label or _value(label, classes) is not None for label in self.lost)


def from_labelme(root: Path, images: Path | None = None, wanted: Sequence[str] = ()) -> Batch:
    """The images that JSON files of a folder, or of those below it, name. Later shapes lie on earlier ones.

    An image with a shape that cannot be drawn has no mask, but its tags.

    Args:
        images: their folder, where they do not lie beside the JSON files. wanted: labels in order; else all, sorted.

    Raises DataNotFoundError for a folder that is not there or holds no such file.
    """
    if not root.is_dir() or not (files := sorted(root.rglob("*.json"))):
        raise DataNotFoundError(f"'{root}' is no folder with labelme's JSON files; name one")
    index = folder_index(images or root)
    findings = softened(index.told()) if images else []
    by_file = {str(file.resolve()): image_id for image_id, file in index.files.items()}
    sheets: dict[str, Sheet] = {}
    for path in files:
        sheet = _sheet(path, root, index, by_file, findings)
        if sheet and sheet.image_id in sheets:
            seen = f"is about the image of '{sheets[sheet.image_id].path.name}'"
            findings.append(left("image-twice", path, seen, "keep one of the two"))
        elif sheet:
            sheets[sheet.image_id] = sheet
    labels = {label for sheet in sheets.values() for label in sheet.labels}
    named = sorted(label for label in labels if folded(label) not in VOIDS)
    classes = chosen_classes(named, wanted)
    for label in named:
        if label not in classes and not is_background(label):
            findings.append(
                left("label", root, f"has shapes called '{label}', which are no class", "name it with --classes")
            )
    cure = "annotate it, or take it out"
    findings += [left("no-json", index.files[i], "has no JSON file", cure) for i in index.files if i not in sheets]
    items = [_item(sheet, index.files[sheet.image_id], classes) for sheet in sheets.values()]
    drawn = {label for sheet in sheets.values() if not sheet.withheld(classes) for label in sheet.labels}
    return Batch(classes, frozenset(drawn & {*classes}), tuple(items), tuple(findings), "upright")


def _item(sheet: Sheet, path: Path, classes: tuple[str, ...]) -> Item:
    tags = tuple(name for name in classes if name in sheet.labels)
    return Item(sheet.image_id, path, tags, partial(_draw, sheet, path, classes))


def _sheet(
    path: Path, root: Path, index: FileIndex, by_file: Mapping[str, str], findings: list[Finding]
) -> Sheet | None:
    try:
        content = read_json(path, ADVICE)
    except FormatError as error:
        findings.append(from_message("warn", "labelme-format", str(path), str(error)))
        return None
    shapes = content.get("shapes") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(shapes, list):
        findings.append(left("labelme-format", path, "is no file of labelme's: it has no shapes", ADVICE))
        return None
    image_id = _image_of(path, content.get("imagePath"), root, index, by_file)
    if image_id is None:
        seen = f"is about '{content.get('imagePath')!s:.120}', which is not among the images"
        findings.append(left("no-image", path, seen, "put the image beside it, or name its folder with --images"))
        return None
    size = content.get("imageHeight"), content.get("imageWidth")
    told = size if all(type(n) is int and n > 0 for n in size) else None
    return Sheet(path, image_id, told, *_shapes(path, shapes, findings))  # type: ignore[arg-type]


def _image_of(path: Path, written: Any, root: Path, index: FileIndex, by_file: Mapping[str, str]) -> str | None:
    """Id of the image that a JSON file is about: as it says, seen from its folder; else by name."""
    name = written.replace("\\", "/") if isinstance(written, str) and "\0" not in written else ""
    beside = [path.parent / name] if name and len(name) < 4096 else []
    folder = path.parent.relative_to(root).as_posix()
    for file in beside:
        if found := by_file.get(str(file.resolve())):
            return found
    bare, stem = PurePosixPath(name).name, path.stem
    below = "" if folder == "." else f"{folder}/"
    keys = (f"{below}{bare}", bare, f"{below}{stem}", stem)
    return next((index.names[key] for key in keys if key and key in index.names), None)


def _shapes(path: Path, shapes: Sequence[Any], findings: list[Finding]) -> tuple[tuple[Shape, ...], tuple[str, ...]]:
    """Shapes that can be drawn, and labels of the others, which are told."""
    drawn, lost = [], []
    for number, shape in enumerate(shapes, start=1):
        problem, found = _shape(shape)
        if found:
            drawn.append(found)
        else:
            lost.append(_label(shape))
            findings.append(left("shape", path, f"has shape {number} {problem}", "draw its outline as a polygon"))
    return tuple(drawn), tuple(lost)


def _label(shape: Any) -> str:
    label = shape.get("label") if isinstance(shape, dict) else None
    return label.strip() if isinstance(label, str) else ""


def _shape(shape: Any) -> tuple[str, Shape | None]:
    """Why a shape cannot be drawn, or the shape."""
    if not (label := _label(shape)):
        return "without a label", None
    kind, points = shape.get("shape_type") or "polygon", shape.get("points")
    needed = {"polygon": range(3, MOST_POINTS), "rectangle": (2, 4), "circle": (2,), "mask": (2,)}
    if not isinstance(kind, str) or kind not in needed:
        return f"('{label:.60}') of the kind {kind!r:.40}, which covers no area", None
    if not isinstance(points, list) or not all(_is_point(point) for point in points):
        return f"('{label:.60}') with points that are no pairs of numbers", None
    if len(points) not in needed[kind]:
        return f"('{label:.60}'), a {kind} of {len(points)} points", None
    png = _png(shape.get("mask")) if kind == "mask" else b""
    if png is None:
        return f"('{label:.60}'), a mask without pixels", None
    return "", Shape(label, kind, tuple((float(x), float(y)) for x, y in points), png)


def _png(written: Any) -> bytes | None:
    try:
        return base64.b64decode(written, validate=True) if isinstance(written, str) and written else None
    except ValueError:
        return None


def _is_point(point: Any) -> bool:
    if not isinstance(point, list) or len(point) != 2:
        return False
    return all(type(n) in (int, float) and math.isfinite(n) and abs(n) < 1e6 for n in point)


def _draw(sheet: Sheet, path: Path, classes: tuple[str, ...]) -> NDArray[np.uint8]:
    """As labelme draws: on the image as it is shown."""
    if count := sheet.withheld(classes):
        raise DataError(
            f"'{sheet.path}' has {count} shapes that cannot be drawn, so it has no mask; draw polygons for them"
        )
    size = read_size(path)
    if sheet.size not in (None, size):
        raise DataError(
            f"'{sheet.path}' is about an image of {sheet.size}, but it is {size} (height, width), so it has no mask; "
            "give the image that was annotated"
        )
    canvas = Image.new("L", size[::-1])
    pen = ImageDraw.Draw(canvas)
    for shape in sheet.shapes:
        value = _value(shape.label, classes)
        if value is None:
            continue
        if any(not (-w <= x <= 2 * w and -h <= y <= 2 * h) for h, w in (size,) for x, y in shape.points):
            raise DataError(f"'{sheet.path}' has '{shape.label:.60}' far outside of its image; mend it or take it out")
        if shape.kind == "mask":
            _stamp(canvas, sheet.path, shape, value)
        else:
            _stroke(pen, shape, value)
    return np.array(canvas)


def _value(label: str, classes: Sequence[str]) -> int | None:
    if label in classes:
        return list(classes).index(label) + 1
    return VOID if folded(label) in VOIDS else 0 if is_background(label) else None


def _stamp(canvas: Image.Image, path: Path, shape: Shape, value: int) -> None:
    """Draw a shape that has pixels of its own; its points are the first and last of them."""
    (x, y), (right, bottom) = (tuple(map(int, point)) for point in shape.points)
    with opened(path, shape.png) as image:
        if image.size != (right - x + 1, bottom - y + 1):
            raise DataError(f"'{path}' has a mask of '{shape.label:.60}' that does not fill its box; {ADVICE}")
        with decoding(path):
            canvas.paste(value, (x, y), image.convert("1", dither=Image.Dither.NONE))


def _stroke(pen: ImageDraw.ImageDraw, shape: Shape, value: int) -> None:
    if shape.kind == "circle":
        (x, y), edge = shape.points
        radius = math.dist((x, y), edge)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=value, outline=value)
    elif shape.kind == "rectangle" and len(shape.points) == 2:
        (left_x, top), (right, bottom) = shape.points
        box = (min(left_x, right), min(top, bottom), max(left_x, right), max(top, bottom))
        pen.rectangle(box, fill=value, outline=value)
    else:
        pen.polygon(list(shape.points), fill=value, outline=value)
