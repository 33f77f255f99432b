"""Which class a colour or number of masks stands for, as a table tells it. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wilss.data.bring.batch import chosen_classes, is_background
from wilss.data.class_names import folded
from wilss.data.colours import VOIDS, read_labelmap
from wilss.data.palette import Colour
from wilss.data.source import VOID
from wilss.data.tables import read_table
from wilss.errors import DataError
from wilss.outside import read_json

FORMS = "a labelmap.txt (name:red,green,blue::), a CSV with the header name,red,green,blue or name,id, or JSON of these"
MOST = 65_535


@dataclass(frozen=True)
class PixelMap:
    """What pixels stand for.

    classes: by mask value. values: colour, or number of a mask that holds numbers -> mask value here; 0 background,
    255 void. coloured: whether they are colours. origin: in words.
    """

    classes: tuple[str, ...]
    values: dict[Colour | int, int]
    coloured: bool
    origin: str


def numbered(wanted: Sequence[str]) -> PixelMap:
    """Masks that hold the number of a class: 0 background, k the k-th, 255 void."""
    classes = chosen_classes(wanted, wanted)
    values: dict[Colour | int, int] = {0: 0, **{k: k for k in range(1, len(classes) + 1)}, VOID: VOID}
    return PixelMap(classes, values, False, "--classes")


def read_map(path: Path, wanted: Sequence[str] = ()) -> PixelMap:
    """Read a table of colours or numbers; names such as "background" and "void" stand for no class.

    Args:
        wanted: classes in order; else those of the table, in its order. Others of the table become background.

    Raises DataError for a table of neither, a colour or number that stands twice, or an unknown wanted name.
    """
    rows = _rows(path)
    coloured = {len(key) for _, key in rows} == {3}
    if not coloured and {len(key) for _, key in rows} != {1}:
        raise DataError(f"'{path}' is no table of colours or numbers; give {FORMS}")
    names = [name for name, _ in rows if folded(name) not in VOIDS]
    classes = chosen_classes(list(dict.fromkeys(names)), wanted)
    values: dict[Colour | int, int] = {}
    for name, key in rows:
        pixel: Colour | int = (key[0], key[1], key[2]) if coloured else key[0]
        if pixel in values:
            raise DataError(f"'{path}' gives {pixel} to '{name}' and to another class; give each its own")
        values[pixel] = _value(name, classes)
    if not coloured and 0 not in values:
        values[0] = 0
    return PixelMap(classes, values, coloured, f"'{path.name}'")


def _value(name: str, classes: Sequence[str]) -> int:
    if name in classes:
        return list(classes).index(name) + 1
    return VOID if folded(name) in VOIDS and not is_background(name) else 0


def _rows(path: Path) -> list[tuple[str, tuple[int, ...]]]:
    """Names, each with three channels or one number."""
    if path.suffix.lower() == ".json":
        return _of_json(path)
    if path.suffix.lower() == ".txt":
        return _of_labelmap(path)
    found = []
    for record in read_table(path, ()).records:
        name, *cells = record.cells
        found.append((name, _numbers(path, f":{record.number}", cells)))
    return found


def _of_labelmap(path: Path) -> list[tuple[str, tuple[int, ...]]]:
    """A label map's lines; how they are written is held by `read_labelmap`."""
    read_labelmap(path, ())
    lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    parts = [line.strip().split(":") for line in lines if not line.lstrip().startswith("#")]
    return [(part[0].strip(), _numbers(path, "", part[1].split(","))) for part in parts]


def _of_json(path: Path) -> list[tuple[str, tuple[int, ...]]]:
    content = read_json(path, f"give {FORMS}")
    if isinstance(content, dict):
        content = [{"name": name, "value": value} for name, value in content.items()]
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise DataError(f"'{path}' is no table of colours or numbers; give {FORMS}")
    found = []
    for entry in content:
        name, value = (
            entry.get("name"),
            next((entry[k] for k in ("value", "color", "colour", "id") if k in entry), None),
        )
        if not isinstance(name, str):
            raise DataError(f"'{path}' has an entry without a name; give {FORMS}")
        found.append((name, _numbers(path, "", value if isinstance(value, list) else [value])))
    return found


def _numbers(path: Path, place: str, cells: Sequence[object]) -> tuple[int, ...]:
    try:
        numbers = tuple(int(str(cell)) for cell in cells if str(cell).strip())
    except ValueError as error:
        raise DataError(f"'{path}{place}' holds {list(cells)!r:.60}; give {FORMS}") from error
    most = 255 if len(numbers) == 3 else MOST
    if len(numbers) not in (1, 3) or not all(0 <= number <= most for number in numbers):
        raise DataError(f"'{path}{place}' holds {list(cells)!r:.60}; give {FORMS}")
    return numbers
