"""Tags that lie beside each image of a shard, as a table of labels would hold them. No torch."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from wilss.data.class_names import ClassNames, is_several
from wilss.data.places.bringing import bring
from wilss.data.places.place import Place
from wilss.data.tags import LabelRow, Labels
from wilss.data.text import read_text
from wilss.errors import DataError, FormatError
from wilss.outside import parse_json

NAMES = "classes.txt"
"""Beside the shards: a class name a line, of which the first has number 0."""
MEMBER = "labels"
"""Of a sample's JSON: a name, or a list of names or numbers."""
NUMBER = re.compile(r"\d{1,9}")
BESIDE = "write labels.csv beside its shards, or KEY.cls or KEY.json beside each image in them"
FORM = f'write {{"{MEMBER}": ["cat", "dog"]}}'
Cells = list[str | int]


def written_labels(
    root: Path,
    tags: Mapping[str, tuple[Path, ...]],
    classes: Collection[str],
    ignore: Collection[str],
    place: Place,
) -> Labels:
    """The tags of samples.

    Args:
        tags: see `wilss.data.places.place.Layout`. classes, ignore: names that are known; without any, every name is.

    Raises DataError where there are none, for tags that cannot be read, or are numbers that no `NAMES` explains.
    """
    if not tags:
        raise DataError(f"'{root}' has no labels: {BESIDE}")
    bring(place, (path for paths in tags.values() for path in paths))
    found = {image_id: told for image_id, paths in tags.items() if (told := _cells_of(paths, place)) is not None}
    texts = [cell for _, cells in found.values() for cell in cells if isinstance(cell, str)]
    several = is_several(texts, (*classes, *ignore))
    reader = _Reader(root, ClassNames((*classes, *ignore), several), place)
    rows, places, respelt = [], dict[int, Path](), dict[str, str]()
    for number, (image_id, (path, cells)) in enumerate(found.items(), start=1):
        names = tuple(dict.fromkeys(name for cell in cells for name in reader.names(path, cell)))
        rows.append(LabelRow(number, path.name, image_id, names))
        places[number] = path
        respelt |= {cell: name for cell in cells if isinstance(cell, str) for name in names if _is_other(cell, name)}
    return Labels(root, tuple(rows), several, "", respelt, places=places)


def _is_other(cell: str, name: str) -> bool:
    return cell != name and cell.casefold() == name.casefold()


def _cells_of(paths: Sequence[Path], place: Place) -> tuple[Path, Cells] | None:
    """The first file that holds tags, and what it holds; None where none does."""
    for path in paths:
        text = read_text(path, place).content
        if path.name.lower().endswith(".json"):
            if (cells := _of_json(path, text)) is not None:
                return path, cells
        else:
            return path, [line.strip() for line in text.split("\n") if line.strip()]
    return None


def _of_json(path: Path, text: str) -> Cells | None:
    """The member `MEMBER` of a sample's JSON; None where it has none, and tells other things."""
    try:
        content = parse_json(text, f"'{path}' is no JSON", FORM)
    except FormatError as error:
        raise DataError(str(error)) from error
    if not isinstance(content, dict) or MEMBER not in content:
        return None
    given: Any = content[MEMBER]
    cells = given if isinstance(given, list) else [given]
    if not all(isinstance(cell, str | int) and not isinstance(cell, bool) for cell in cells):
        raise DataError(f"'{path}' has '{MEMBER}': {json.dumps(given)[:80]}, which are no names; {FORM}")
    return [cell.strip() if isinstance(cell, str) else cell for cell in cells]


class _Reader:
    """Reads cells as names of classes; numbers by the list beside the shards."""

    def __init__(self, root: Path, known: ClassNames, place: Place) -> None:
        self._file, self._known = root / NAMES, known
        self._listed = tuple(_lines(self._file, place)) if place.is_file(self._file) else ()

    def names(self, path: Path, cell: str | int) -> list[str]:
        """The names of a cell. Raises DataError for a number that stands for none."""
        text = str(cell)
        if self._known.known(text) is None and NUMBER.fullmatch(text):
            return [self._by_number(path, int(text))]
        return self._known.of_cell(text)

    def _by_number(self, path: Path, number: int) -> str:
        if not self._listed:
            raise DataError(
                f"'{path}' holds the number {number}, and nothing says which class that is; write the names into "
                f"'{self._file}', one a line, of which the first has the number 0, or names into the samples"
            )
        if number >= len(self._listed):
            seen = f"'{path}' holds the number {number}, and '{self._file}' names {len(self._listed)} classes"
            raise DataError(f"{seen}, from 0 to {len(self._listed) - 1}; correct one of them")
        name = self._listed[number]
        if not name:
            raise DataError(
                f"'{path}' holds the number {number}, and '{self._file}:{number + 1}' is blank; name the class"
            )
        return self._known.known(name) or name


def _lines(path: Path, place: Place) -> Iterator[str]:
    return (line.strip() for line in read_text(path, place).content.rstrip("\n").split("\n"))
