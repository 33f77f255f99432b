"""What the address of a gallery asks for, and addresses that ask for something else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from stores.labels.query import Query
from wilss.errors import SpecError

RANGE = "in."
"""Before the name of a column: ``in.score=0.1:0.5``."""
LEAST = "least"
"""The lowest quality, as a field of the page: short for ``in.score=0.9:``."""
SEVERAL = ("class", "state", "size")
"""May be asked for several times."""
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Asked:
    """The query of an address, in the order in which it was written. pairs: without the number of a page."""

    pairs: Pairs = ()
    page: int = 1

    @classmethod
    def of(cls, params: QueryParams) -> Asked:
        """Read an address. Raises SpecError for a page that is no number."""
        number = params.get("page") or "1"
        if not number.isdecimal() or len(number) > 9 or int(number) < 1:
            raise SpecError(f"there is no page '{number[:40]}'; pages are numbered from 1")
        known = (*SEVERAL, "text", "sort", "down", LEAST)
        pairs = [(k, v) for k, v in params.multi_items() if v and (k in known or k.startswith(RANGE))]
        return cls(tuple(dict.fromkeys(pairs)), int(number))

    @property
    def query(self) -> Query:
        """What is asked of the rows. Raises SpecError for a range that is none."""
        classes, states, sizes = (tuple(v for k, v in self.pairs if k == key) for key in SEVERAL)
        single = dict(self.pairs)
        ranges = {k.removeprefix(RANGE): _limits(k, v) for k, v in self.pairs if k.startswith(RANGE)}
        if LEAST in single:
            low, high = ranges.get("score", (-math.inf, math.inf))
            ranges["score"] = max(low, _limits(LEAST, f"{single[LEAST]}:")[0]), high
        sort = single.get("sort", Query.sort)
        return Query(classes, states, sizes, single.get("text", ""), ranges, sort, "down" in single)

    def has(self, key: str, value: str) -> bool:
        """Whether this is asked for."""
        return (key, value) in self.pairs

    def value(self, key: str, default: str = "") -> str:
        """The last value of a key."""
        return dict(self.pairs).get(key, default)

    def with_(self, key: str, *values: str) -> Asked:
        """The same with these values of a key alone; none drops it."""
        rest = tuple(pair for pair in self.pairs if pair[0] != key)
        return replace(self, pairs=(*rest, *((key, value) for value in values if value)), page=1)

    def at(self, page: int) -> Asked:
        """The same at another page."""
        return replace(self, page=page)

    def text(self, more: Iterable[tuple[str, str]] = ()) -> str:
        """The address's query with its question mark, "" for none."""
        pages = [("page", str(self.page))] if self.page > 1 else []
        pairs: Sequence[tuple[str, str]] = [*self.pairs, *pages, *more]
        return f"?{urlencode(pairs, errors='surrogateescape')}" if pairs else ""


def _limits(key: str, text: str) -> tuple[float, float]:
    low, colon, high = text.partition(":")
    try:
        limits = float(low or "-inf"), float(high or "inf")
    except ValueError:
        limits = math.nan, math.nan
    if not colon or any(map(math.isnan, limits)):
        raise SpecError(f"'{key[:60]}={text[:60]}' is no range; write it as lowest:highest, such as 0.2:0.5")
    return limits
