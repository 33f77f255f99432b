"""Class names as tables write them: in other cases, several in a cell, or names that no step learns. No torch."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import cached_property

from wilss.data.image_names import composed

ANY = "*"
"""In a benchmark's ``ignore``: every name that is no class."""
SEPARATORS = re.compile(r"\s*[;|,]\s*")
BACKGROUND = frozenset({"background", "_background_", "__background__", "bg"})
"""What annotation tools call pixels of no class; masks hold 0 there."""


def folded(name: str) -> str:
    """A name without what people do not see: case, ways to compose an accent, number of blanks."""
    return " ".join(composed(name).casefold().split())


class ClassNames:
    """The names that are known, and how cells are read by them.

    Args:
        names: of classes and of tags that are passed over; empty takes every name.
        several: whether cells of the table part names by ";", "|" or ","; blanks then part none.
    """

    def __init__(self, names: Iterable[str], several: bool) -> None:
        given = tuple(names)
        self.names = tuple(name for name in given if name != ANY)
        self._whole = several or ANY in given  # where any name will do, part of one is not taken for a class

    @cached_property
    def _exact(self) -> frozenset[str]:
        return frozenset(self.names)

    @cached_property
    def _folded(self) -> dict[str, str]:
        """Folded name -> name; names that differ by case alone have to be written exactly."""
        found: dict[str, str] = {}
        twice = set()
        for name in self.names:
            twice |= {folded(name)} & found.keys()
            found.setdefault(folded(name), name)
        return {key: name for key, name in found.items() if key not in twice}

    def known(self, name: str) -> str | None:
        """The name that is meant, in the case of the benchmark; None for one that is not known."""
        return name if name in self._exact else self._folded.get(folded(name))

    def of_cell(self, cell: str) -> list[str]:
        """The names of a cell, as they are known or else as they are written.

        A cell that is a name is that name. It is parted at ";" and "|", then ",", and at blanks where the table has no
        separator, or where all parts are known.
        """
        if (whole := self.known(cell)) is not None or not cell:
            return [whole] if whole is not None else []
        if cell.startswith("[") and cell.endswith("]"):  # a list as pandas writes it
            cell = re.sub(r"\s*['\"]\s*", "", cell[1:-1])
        for separator in (r"\s*[;|]\s*", r"\s*,\s*"):
            if len(parts := re.split(separator, cell)) > 1:
                return [name for part in parts if part for name in self._part(part, separator)]
        return self._spaced(cell)

    def _part(self, part: str, separator: str) -> list[str]:
        if (whole := self.known(part)) is not None:
            return [whole]
        return self.of_cell(part) if "," in part and ";" in separator else [part]

    def _spaced(self, cell: str) -> list[str]:
        if (whole := self.known(cell)) is not None:
            return [whole]
        parts = cell.split()
        known = [self.known(part) for part in parts]
        if all(known):
            return [name for name in known if name is not None]
        part_by_part = not self._whole and (not self.names or any(known))
        return [name or part for name, part in zip(known, parts, strict=True)] if part_by_part else [cell]


def is_several(cells: Iterable[str], names: Collection[str]) -> bool:
    """Whether some cell parts names by a separator."""
    return any(SEPARATORS.search(cell) and cell not in names for cell in cells)
