"""Evaluations in a store that came from others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tasks.fewshot_workspace import open_fewshot, scores_recipe

from tasks.evaluate import Confusions
from tasks.fewshot import SCORES, read_scores
from wilss.errors import FormatError
from wilss.fewshot.spec import make_fewshot_spec
from wilss.outside import checked
from wilss.spec import Settings


@pytest.mark.parametrize(
    "content",
    ["[" * 100_000, json.dumps({"class_ids": [10**30], "counts": [[1] * 4]}), '{"class_ids": 1, "counts": 2}'],
)
def test_scores_that_are_none(tmp_path: Path, content: str) -> None:
    ws = open_fewshot(make_fewshot_spec({"benchmark": "scenes-5i", "fold": 0}), Settings(root=tmp_path))
    folder = ws.store.path("evaluations", scores_recipe(ws, "eval").digest)
    folder.mkdir(parents=True)
    (folder / SCORES).write_text(content)
    with pytest.raises(FormatError, match=r"scores\.json' is damaged"):
        read_scores(ws, "eval")


@pytest.mark.parametrize(
    "tables",
    [[], {"full": [[1]]}, {"full": [[1, 2], [3]]}, {"full": [[1, 2], [3, -4]]}, {"full": [[1, 2], [3, 2**63]]}],
)
def test_evaluations_that_are_none(tmp_path: Path, tables: Any) -> None:
    sound = checked(Confusions, {"classes": ["a"], "tables": {"full": [[1, 2], [3, 4]]}}, tmp_path, "")
    assert sound.matrices()["full"].tolist() == [[1, 2], [3, 4]]
    with pytest.raises(FormatError, match="is damaged"):
        checked(Confusions, {"classes": ["a"], "tables": tables}, tmp_path, "")
