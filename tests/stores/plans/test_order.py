"""The order of images is a fact of students alone, and of which images share a shard."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stores.plans.test_learnt_from import TWO, add, digests, opened, pets
from tests.wilss.sharded import shards_of

__all__ = ["pets"]


@pytest.fixture
def many(pets: Path) -> Path:
    """A folder of several images of each class."""
    for name in "efgh":
        add(pets, name, "cat", mask=True)
    return pets


def test_a_buffer_makes_other_students_and_no_other_labels(many: Path, tmp_path: Path) -> None:
    plain = digests(opened(tmp_path / "root", many, TWO)[0])
    mixed = digests(opened(tmp_path / "root", many, TWO, data={"shuffle_buffer": 3})[0])
    assert mixed["labels 1"] == plain["labels 1"]
    assert mixed["checkpoint 0"] != plain["checkpoint 0"]
    assert mixed["checkpoint 1"] != plain["checkpoint 1"]
    zero = digests(opened(tmp_path / "root", many, TWO, data={"shuffle_buffer": 0})[0])
    assert zero == plain


def test_shards_count_only_where_they_decide_the_order(many: Path, tmp_path: Path) -> None:
    shards = [shards_of(many, tmp_path / str(count), count) for count in (2, 3)]
    plain = [digests(opened(tmp_path / "root", data, TWO)[0]) for data in (many, *shards)]
    assert plain[0] == plain[1] == plain[2]
    how = {"shuffle_buffer": 3}
    mixed = [digests(opened(tmp_path / "root", data, TWO, data=how)[0]) for data in (many, *shards)]
    assert len({found["checkpoint 0"] for found in mixed}) == 3
    assert len({found["labels 1"] for found in mixed}) == 1
