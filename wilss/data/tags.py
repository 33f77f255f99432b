"""Image-level labels from a CSV file."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wilss.errors import DataError, DataNotFoundError, did_you_mean


@dataclass(frozen=True)
class LabelRow:
    """One row: its number in the file (from 1, the header), the image as written, and class names."""

    number: int
    image: str
    names: tuple[str, ...]


def label_rows(path: Path, classes: Collection[str], images: Collection[str] = ()) -> Iterator[LabelRow]:
    """Rows of a table with a header line; nothing but the header is checked.

    The first column names the image, all others class names: one a column, or several in a column separated by ";" or
    "|", or by spaces where the column as a whole is no known class.

    Args:
        classes, images: what is known of both; a first line that names one of them is no header.

    Raises DataNotFoundError when there is no file, DataError when it is no text or has no header.
    """
    if not path.is_file():
        raise DataNotFoundError(f"labels file '{path}' does not exist; give a CSV with the header image_id,labels")
    with path.open(newline="", encoding="utf-8-sig") as handle:
        try:
            for number, row in enumerate(csv.reader(handle), start=1):
                if not any(cell.strip() for cell in row):
                    continue
                names = [name for cell in row[1:] for name in _split(cell.strip(), classes)]
                if number > 1:
                    yield LabelRow(number, row[0].strip(), tuple(dict.fromkeys(names)))
                elif row[0].strip() in images or any(name in classes for name in names):
                    raise DataError(
                        f"'{path}' begins with the labels of '{row[0].strip()}'; its first line must be a header, such "
                        "as image_id,labels"
                    )
        except (UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"'{path}' is no CSV in UTF-8 ({error}); save it as one") from error


def read_labels(
    path: Path,
    classes: Sequence[str],
    images: Collection[str] | None = None,
    ignore: Collection[str] = (),
    where: Path = Path("the data"),
) -> dict[str, tuple[int, ...]]:
    """Image id -> class ids (from 1, ascending); see `label_rows` for the format.

    Args:
        images: ids that exist; None does not look. where: their folder, for the message.
        ignore: class names that are passed over.

    Raises DataError with the row number for an unknown class, an image that does not exist, no image id or a repeated
    one; DataNotFoundError when the table itself is not there.
    """
    table: dict[str, tuple[int, ...]] = {}
    for row in label_rows(path, (*classes, *ignore), images or ()):
        if not row.image or row.image in table:
            problem = "repeats image id " + repr(row.image) if row.image else "has no image id"
            raise DataError(f"row {row.number} of '{path}' {problem}; every image needs exactly one row")
        if images is not None and row.image not in images:
            raise DataError(
                f"row {row.number} of '{path}' names image '{row.image}', which is not in '{where}'; remove it"
            )
        for name in row.names:
            if name not in classes and name not in ignore:
                raise DataError(f"row {row.number} of '{path}' names the class '{name}'.{did_you_mean(name, classes)}")
        table[row.image] = tuple(sorted(classes.index(name) + 1 for name in row.names if name in classes))
    return table


def _split(cell: str, classes: Collection[str]) -> list[str]:
    if cell in classes:
        return [cell]
    separator = r"\s*[;|]\s*" if re.search("[;|]", cell) else r"\s+"
    return [name for name in re.split(separator, cell) if name]
