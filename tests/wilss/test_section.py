"""What of a section counts in a digest."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from wilss.section import LATER, Section


class Inner(Section):
    size: int = 3
    shape: Annotated[str, LATER] = "round"
    lists: Annotated[tuple[int, ...], LATER] = Field(default_factory=tuple)


class Outer(Section):
    name: str | None = None
    inner: Inner = Inner(shape="square")
    other: Inner | None = None
    new: Annotated[Inner, LATER] = Inner()


def test_fields_that_came_later_count_once_they_are_set() -> None:
    assert Inner().plain() == {"size": 3}
    assert Inner(size=4, shape="flat", lists=(1,)).plain() == {"size": 4, "shape": "flat", "lists": [1]}
    assert Inner().model_dump() == {"size": 3, "shape": "round", "lists": ()}  # reports and files tell all


def test_so_they_do_in_sections_of_sections() -> None:
    assert Outer().plain() == {"name": None, "inner": {"size": 3, "shape": "square"}, "other": None}
    assert Outer(inner=Inner(), other=Inner()).plain() == {"name": None, "inner": {"size": 3}, "other": {"size": 3}}
    assert Outer(new=Inner(size=4)).plain(["name", "inner"]) == {"other": None, "new": {"size": 4}}
