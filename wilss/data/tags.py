"""Image-level labels from a table: names of classes a row, or a column a class. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from wilss.data.class_names import ANY, BACKGROUND, ClassNames, folded, is_several
from wilss.data.findings import Finding, Severity
from wilss.data.image_names import image_id_of, known_id
from wilss.data.places.place import DISK, Place
from wilss.data.tables import NUMBER, YES, Table, read_table, require_labels
from wilss.errors import DataError, did_you_mean

NEAR = 0.8
"""Likeness from which a name that is passed over looks like a misspelt class."""
FEW_ROWS = 10
"""Of fewer rows with names it says nothing that each has names of its own."""


@dataclass(frozen=True)
class LabelRow:
    """One row: its number in the file, the image as written, its id where it is at hand, and names of classes."""

    number: int
    image: str
    image_id: str | None
    names: tuple[str, ...]


@dataclass(frozen=True)
class Labels:
    """A table of labels.

    several: whether names are parted by separators or columns. doubt: what to add to messages about names.
    respelt: written -> name, where they differ by case. numbered: whether no class is known, and all names are numbers.
    places: number -> file of a row that has one of its own.
    """

    path: Path
    rows: tuple[LabelRow, ...]
    several: bool
    doubt: str
    respelt: Mapping[str, str]
    numbered: bool = False
    places: Mapping[int, Path] = field(default_factory=dict)

    def place(self, number: int) -> str:
        """Where a row stands."""
        return str(self.places.get(number) or f"{self.path}:{number}")

    @property
    def names(self) -> tuple[str, ...]:
        """All names of classes, sorted."""
        return tuple(sorted({name for row in self.rows for name in row.names}))


def label_table(
    path: Path,
    classes: Collection[str] = (),
    names: Mapping[str, str] | None = None,
    ignore: Collection[str] = (),
    place: Place = DISK,
) -> Labels:
    """Read a table; its rows are not checked.

    The first column names the image, by id or file, all others class names: one a column, or several in a column (see
    `ClassNames.of_cell`); or every column is a class, and holds 0 or 1.

    Args:
        classes, ignore: names that are known; without any, every name is taken.
        names: file names and ids of the images at hand -> id.
        place: where the table lies.

    Raises DataNotFoundError when there is no file, DataError when it is no table, has no header, or columns that are no
    labels.
    """
    table = read_table(path, (*classes, *ignore), names or (), place)
    require_labels(table, (*classes, *ignore))
    cells = [] if table.one_hot else [cell for record in table.records for cell in record.cells[1:]]
    several = table.one_hot or len(table.header) > 2 or is_several(cells, (*classes, *ignore))
    known = ClassNames((*classes, *ignore), several)
    rows = tuple(_rows(table, known, names))
    written = {cell for cell in (*cells, *(table.header[1:] if table.one_hot else ())) if known.known(cell)}
    respelt = {cell: name for cell in written if (name := known.known(cell)) is not None and name != cell}
    found = {name for row in rows for name in row.names}
    numbered = bool(found) and not classes and all(NUMBER.fullmatch(name) for name in found)
    return Labels(path, rows, several, table.text.doubt, respelt, numbered)


def _rows(table: Table, known: ClassNames, names: Mapping[str, str] | None) -> Iterator[LabelRow]:
    columns = [known.known(name) or name for name in table.header[1:]]
    for record in table.records:
        image, *cells = record.cells
        if table.one_hot:
            found = [name for name, cell in zip(columns, cells, strict=False) if cell.casefold() in YES]
        else:
            found = [name for cell in cells for name in known.of_cell(cell)]
        image_id = image_id_of(image).lstrip("/") if names is None else known_id(image, names)
        yield LabelRow(record.number, image, image_id, tuple(dict.fromkeys(found)))


def read_labels(
    path: Path,
    classes: Sequence[str],
    names: Mapping[str, str] | None = None,
    ignore: Collection[str] = (),
    where: Path = Path("the data"),
) -> dict[str, tuple[int, ...]]:
    """Image id -> class ids (from 1, ascending); see `label_table` for the format.

    Args:
        names: file names and ids of the images at hand -> id; None takes any image. where: their folder.
        ignore: class names that are passed over; "*" stands for all that are no class.

    Raises DataError for the first row that `row_findings` refuses, DataNotFoundError when there is no table.
    """
    table = label_table(path, classes, names, ignore)
    for finding in row_findings(table, classes, names, ignore, where):
        if finding.severity == "refuse":
            raise DataError(str(finding))
    return class_ids(table, classes)


def class_ids(table: Labels, classes: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Image id -> class ids (from 1, ascending) of the rows whose images are at hand."""
    ids = {name: number for number, name in enumerate(classes, start=1)}
    rows = ((row.image_id, row.names) for row in table.rows if row.image_id is not None)
    return {image_id: tuple(sorted(ids[name] for name in names if name in ids)) for image_id, names in rows}


def row_findings(
    table: Labels,
    classes: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
    ignore: Collection[str] = (),
    where: Path = Path("the data"),
) -> list[Finding]:
    """What is wrong with rows, and what was read otherwise than written; arguments as of `read_labels`."""
    found = [*_image_findings(table, names, where), *_class_findings(table, classes, ignore)]
    if table.numbered:
        seen = f"calls all classes by numbers, such as '{table.names[0]}', and images are scored by the words of a name"
        cure = "write names, unless the classes are called so"
        found.append(Finding("warn", "numbers", str(table.path), seen, cure))
    if table.doubt:
        seen = f"is not UTF-8 and was read as cp1252, {len(table.rows)} rows"
        found.append(Finding("note", "encoding", str(table.path), seen, "save it as UTF-8 where names look odd"))
    if table.respelt:
        written, name = min(table.respelt.items())
        seen = f"writes {len(table.respelt)} class names in another way, such as '{written}' for '{name}'"
        found.append(Finding("note", "spelling", str(table.path), seen, "nothing has to be done"))
    return found


def _image_findings(table: Labels, names: Mapping[str, str] | None, where: Path) -> Iterator[Finding]:
    missing = [row for row in table.rows if row.image and row.image_id is None]
    if missing and len(missing) == len(table.rows) > 1:
        example = f" and not '{next(iter(names.values()))}'" if names else ""
        seen = f"names no image of '{where}', but {len(missing)} such as '{missing[0].image}'{example}{table.doubt}"
        yield Finding("refuse", "no-image", str(table.path), seen, "give the table of these images, or their folder")
        return
    first: dict[str, int] = {}
    for row in table.rows:
        place = table.place(row.number)
        if not row.image:
            yield Finding("refuse", "no-image", place, "has no image id", "write the image's name in the first column")
        elif row.image_id is None:
            seen = f"names image '{row.image}', which is not in '{where}'{table.doubt}"
            yield Finding("refuse", "no-image", place, seen, "put the file there, correct the name, or remove the row")
        elif row.image_id in first:
            seen = f"repeats image id '{row.image_id}' of row {first[row.image_id]}"
            cure = f"write one row an image, with all its classes: {row.image_id},cat;dog"
            yield Finding("refuse", "repeated-row", place, seen, cure)
        else:
            first[row.image_id] = row.number


def _captions(table: Labels, counted: Mapping[str, int]) -> Iterator[Finding]:
    """Names that hardly come again are what somebody says of an image, or its id."""
    told, once = sum(bool(row.names) for row in table.rows), [name for name, count in counted.items() if count == 1]
    if told >= FEW_ROWS and 2 * len(once) > told:
        seen = f"has {len(once)} names that one image alone has, of {told} images, such as '{once[0][:80]}'"
        cure = "give the benchmark, whose classes are known, or write names of classes if these are captions or ids"
        yield Finding("warn", "names-of-one-image", str(table.path), seen, cure)


def _class_findings(table: Labels, classes: Sequence[str], ignore: Collection[str]) -> Iterator[Finding]:
    counted = Counter(name for row in table.rows for name in row.names)
    first = {name: row.number for row in reversed(table.rows) for name in row.names}
    unknown = [name for name in first if classes and name not in classes and name not in ignore]
    for name in unknown if ANY not in ignore else ():
        seen = f"names the class '{name}', which is none, in {counted[name]} row(s){table.doubt}"
        cure = f"correct it, or add it to the benchmark's ignore.{did_you_mean(name, classes)}"
        if folded(name) in BACKGROUND:
            cure = "remove it: every image may have background, and it is learnt without a tag"
        yield Finding("refuse", "unknown-class", table.place(first[name]), seen, cure)
    if unknown and ANY in ignore:
        yield from _passed_over(table, unknown, counted, classes, first)
    if not classes:
        yield from _captions(table, counted)
    for name in () if classes else counted:
        if folded(name) in BACKGROUND:
            cure = "remove it: every image may have background, and it is learnt without a tag"
            yield Finding("refuse", "background", table.place(first[name]), f"names the class '{name}'", cure)


def _passed_over(
    table: Labels, unknown: Sequence[str], counted: Mapping[str, int], classes: Sequence[str], first: Mapping[str, int]
) -> Iterator[Finding]:
    rows, shown = sum(counted[name] for name in unknown), ", ".join(sorted(unknown)[:5])
    seen = f"has {rows} tags of {len(unknown)} names that no step learns: {shown}"
    yield Finding("note", "ignored-tags", str(table.path), seen, "nothing has to be done")
    words = {folded(word): word for name in unknown for word in name.split()}
    for name in unknown:
        place = table.place(first[name])
        if near := get_close_matches(folded(name), [folded(c) for c in classes], 1, NEAR):
            seen = f"names '{name}' ({counted[name]} rows), which is passed over and nearly the class '{near[0]}'"
            yield Finding("warn", "nearly-a-class", place, seen, "correct it if the class is meant")
    parted = sorted(name for name in classes if folded(name) in words)
    if parted:
        whole = next(name for name in unknown if any(folded(word) == folded(parted[0]) for word in name.split()))
        seen = f"names '{whole}', which is passed over and holds the name of the class '{parted[0]}'"
        cure = "write ';' between names if several are meant"
        severity: Severity = "warn" if table.several else "refuse"
        yield Finding(severity, "nearly-a-class", table.place(first[whole]), seen, cure)
