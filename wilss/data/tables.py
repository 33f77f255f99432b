"""Tables of labels as people's programs write them: delimiters, quotes, and a column a class. No torch."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from wilss.data.image_names import image_id_of
from wilss.data.places.place import DISK, Place
from wilss.data.text import Text, read_text
from wilss.errors import DataError

DELIMITERS = ",\t;|"
SEP = re.compile(r'"?sep=([,;|:\t])"?', re.IGNORECASE)
"""First line by which spreadsheets tell their delimiter."""
MARKS = frozenset({"x", "+", "-", "*", "\u2713", "\u2714", "y", "n"})
"""By which people tick a column of a class."""
NUMBER = re.compile(r"[-+]?[0-9]+(?:[.,][0-9]+)?(?:e[-+]?[0-9]+)?")
WHOLE = re.compile(r"[0-9]+")
YES, NO = frozenset({"1", "1.0", "true", "yes"}), frozenset({"0", "0.0", "false", "no", ""})
PLAIN = frozenset(
    f"{word}{end}"
    for word in ("label", "class", "name", "tag", "category", "target")
    for end in ("", "s", "es", "_name", "_id", "_index")
) | {"categories", "id", "y"}
"""Headers of a column that holds names, where no class is known."""
SPLITS = frozenset({"train", "training", "trainval", "val", "valid", "validation", "test", "testing", "eval", "dev"})
"""Cells of a column that parts the images, where no class is known."""
HEADER = "its first line must be a header, such as image_id,labels"


@dataclass(frozen=True)
class Record:
    """A line of a table: its number in the file (from 1), and its cells without blanks around them."""

    number: int
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table with a header.

    one_hot: whether the other columns are classes, and their cells yes or no. text: that it was read from.
    """

    path: Path
    header: tuple[str, ...]
    records: tuple[Record, ...]
    one_hot: bool
    text: Text


def read_table(path: Path, classes: Collection[str], names: Collection[str] = (), place: Place = DISK) -> Table:
    """Read a table.

    Args:
        classes, names: what is known of class names and images; a first line that holds one of them is no header,
            unless classes have columns of their own.
        place: where it lies.

    Raises DataNotFoundError when there is no file, DataError when it is no table, or has no header.
    """
    text = read_text(path, place)
    records = _records(path, text.content)
    if not records:
        raise DataError(f"'{path}' is empty; {HEADER}")
    header, body = records[0].cells, tuple(records[1:])
    one_hot = _has_columns_of_classes(path, header, body, classes, names)
    if header[0] in names or (not one_hot and _names_class(header[1:], classes)):
        raise DataError(f"'{path}' begins with the labels of '{header[0]}'; {HEADER}")
    return Table(path, header, body, one_hot, text)


def require_labels(table: Table, classes: Collection[str]) -> None:
    """Raise DataError for a table of labels whose columns, or lengths of rows, leave open what its cells mean.

    Args:
        classes: what is known of class names.
    """
    if not classes:
        _require_one_kind(table.path, table.header, table.records)
        _require_names(table)
    if table.one_hot:
        _require_full_rows(table.path, table.header, table.records)


def _records(path: Path, content: str) -> list[Record]:
    try:
        delimiter, found = _parted(content)
    except csv.Error as error:
        raise DataError(f"'{path}' is no table of text ({error}); save it as CSV in UTF-8") from error
    return [_checked(path, record, found[0], delimiter) for record in found]


def _parted(content: str) -> tuple[str, list[Record]]:
    """The delimiter and the lines that are not blank. Raises csv.Error for a cell of more than 128 KiB."""
    first, _, rest = content.partition("\n")
    told = SEP.fullmatch(first.strip())
    delimiter, source, start = (told[1], rest, 2) if told else (_delimiter(content), content, 1)
    rows = enumerate(csv.reader(io.StringIO(source), delimiter=delimiter), start=start)
    cut = ((number, tuple(cell.strip() for cell in cells)) for number, cells in rows)
    return delimiter, [Record(number, cells) for number, cells in cut if any(cells)]


def _delimiter(content: str) -> str:
    """That which parts the header into most cells; of a header of one cell, the first line below it."""
    lines = [line for line in content[: 1 << 20].split("\n") if line.strip()][:2]
    for line in lines:
        most = max(DELIMITERS, key=lambda delimiter: len(next(csv.reader([line], delimiter=delimiter))))
        if len(next(csv.reader([line], delimiter=most))) > 1:
            return most
    return ","


def _checked(path: Path, record: Record, header: Record, delimiter: str) -> Record:
    if any("\n" in cell for cell in record.cells):
        raise DataError(f"'{path}:{record.number}' opens a quote that the line does not close; close it, or double it")
    others = [d for d in DELIMITERS if d != delimiter and len(record.cells) == 1 < len(header.cells)]
    for other in others:
        if other in record.cells[0]:
            raise DataError(
                f"'{path}:{record.number}' is parted by {other!r}, the header by {delimiter!r}; write one of them"
            )
    return record


def _has_columns_of_classes(
    path: Path, header: Sequence[str], body: Sequence[Record], classes: Collection[str], names: Collection[str]
) -> bool:
    """Whether every class has a column; without known classes the cells alone decide."""
    columns, known = header[1:], {name.casefold() for name in classes}
    cells = {cell.casefold() for record in body for cell in record.cells[1:]}
    named = [name for name in columns if name.casefold() in known]
    odd = cells - YES - NO
    if len(columns) > 1 and len({*named}) == len(columns) and not odd and image_id_of(header[0]) == header[0]:
        return True  # also of classes that are called 0 and 1
    of_classes = bool(named) or (not classes and len(columns) > 1)
    if odd and odd <= MARKS and of_classes and not cells & known and header[0] not in names:
        raise DataError(_odd_cell(path, columns, body, odd))
    if not cells & (YES | NO - {""}) or cells & known or (classes and not named):
        return False
    if odd and named:
        raise DataError(_odd_cell(path, columns, body, odd))
    if odd:
        return False
    return bool(named) or len(columns) > 1 or columns[0].casefold() not in PLAIN


def _odd_cell(path: Path, columns: Sequence[str], body: Sequence[Record], odd: Collection[str]) -> str:
    wrong = next(r for r in body if any(cell.casefold() in odd for cell in r.cells[1:]))
    cells_of = zip_longest(columns, wrong.cells[1:], fillvalue="")
    column, cell = next((name, cell) for name, cell in cells_of if cell.casefold() in odd)
    return (
        f"'{path}:{wrong.number}' holds '{cell}' in the column '{column}'; where a class has a column of its own, "
        "every column holds 0 or 1: write these, or remove the column"
    )


def _require_one_kind(path: Path, header: Sequence[str], body: Sequence[Record]) -> None:
    """Raise DataError for columns that cannot all be labels: names beside numbers, 0 and 1 beside others, a split."""
    kinds: dict[str, tuple[str, str]] = {}
    for place, column in enumerate(header[1:], start=1):
        cells = [cell for record in body for cell in record.cells[place : place + 1] if cell]
        if kind := _kind_of(cells):
            kinds.setdefault(
                kind, (column, next(c for c in cells if kind != "numbers" or c.casefold() not in YES | NO))
            )
    if (len(header) > 2 and "split" in kinds) or len(kinds) > 1:
        kind = next(kind for kind in ("split", "numbers", "words") if kind in kinds)
        column, cell = kinds[kind]
        raise DataError(
            f"'{path}' holds '{cell}' in the column '{column}', and something else in another; all hold names, or "
            "every column is a class and holds 0 or 1: remove the columns that are no labels, or name the classes"
        )


def _require_names(table: Table) -> None:
    """Raise DataError for columns of numbers alone, which are scores or places, and for classes called by numbers.

    Whole numbers in a single column may be names; that is told (`wilss.data.tags.row_findings`).
    """
    columns = table.header[1:]
    cells = [(column, cell) for r in table.records for column, cell in zip(columns, r.cells[1:], strict=False) if cell]
    if table.one_hot:
        cells = [(column, column) for column in columns if column]
    odd = [(column, cell) for column, cell in cells if table.one_hot or len(columns) > 1 or not WHOLE.fullmatch(cell)]
    if odd and all(NUMBER.fullmatch(cell) for _, cell in cells):
        column, cell = odd[0]
        what = "has only columns called by numbers" if table.one_hot else "holds only numbers"
        where = f"'{cell}'" if table.one_hot else f"'{cell}' in the column '{column}'"
        raise DataError(
            f"'{table.path}' {what}, such as {where}, which name no class; write class names in the header and 0 or 1 "
            "below, or a column of names, or name the classes if they are called so"
        )


def _kind_of(cells: Sequence[str]) -> str:
    """What a column holds, "" nothing."""
    found = {cell.casefold() for cell in cells}
    if not found:
        return ""
    if found <= YES | NO:
        return "flags"
    if found <= SPLITS and len(found) > 1:
        return "split"
    return "numbers" if all(NUMBER.fullmatch(cell) for cell in found) else "words"


def _require_full_rows(path: Path, header: Sequence[str], body: Sequence[Record]) -> None:
    """Raise DataError for a row of another length than the header, of which nobody knows whose cells are whose.

    Empty cells behind the last column are none, nor are columns without a name: spreadsheets write them.
    """
    for record in body:
        differs = any(record.cells[len(header) :]) or any(header[len(record.cells) :])
        if differs:
            raise DataError(
                f"'{path}:{record.number}' has {len(record.cells)} cells, the header {len(header)}; write one cell a "
                "column, 0 or 1 for each class"
            )


def _names_class(cells: Sequence[str], classes: Collection[str]) -> bool:
    return any(name in classes for cell in cells for name in (cell, *re.split(r"[;|,\s]+", cell)))
