"""Stored scores of episodes, damaged or from others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stores.episodes import SCORES, read_scores, save_scores
from wilss.errors import FormatError


def test_scores_come_back(tmp_path: Path) -> None:
    save_scores([3, 1], [(1, 2, 3, 4), (5, 6, 7, 8)], tmp_path)
    found = read_scores(tmp_path)
    assert found.class_ids.tolist() == [3, 1]
    assert found.counts.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]


@pytest.mark.parametrize(
    "content",
    [
        *(None, "", "[]", '{"class_ids": [1]}', '{"class_ids": ["a"], "counts": [[1]]}'),
        *("[" * 100_000, '{"class_ids": 1, "counts": 2}'),
        json.dumps({"class_ids": [10**30], "counts": [[1] * 4]}),
        json.dumps({"class_ids": [1.7], "counts": [[1] * 4]}),
        json.dumps({"class_ids": [-3], "counts": [[1] * 4]}),
        json.dumps({"class_ids": [3], "counts": [[1, 2, -3, 4]]}),
        json.dumps({"class_ids": [3, 1], "counts": [[1] * 4]}),
    ],
)
def test_scores_that_are_gone_or_damaged_are_told(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / SCORES).write_text(content)
    with pytest.raises(FormatError, match=r"scores\.json' is damaged.*; take its folder anew"):
        read_scores(tmp_path)
