"""Annotation files are read record by record, whatever their encoding and wherever a read cuts them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wilss.data.coco import stream
from wilss.data.coco.stream import records
from wilss.errors import FormatError


def test_records_are_read_one_by_one_in_any_encoding(tmp_path: Path) -> None:
    content = {"info": {"a": [1, {"b": 2}]}, "n": 12345, "list": [1.5, "x]", {"y": ","}, [], "z" * 200_000], "none": []}
    expected = [("info", content["info"]), ("n", 12345), *(("list", v) for v in content["list"])]
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        (tmp_path / "a.json").write_text(json.dumps(content, indent=1), encoding=encoding)
        assert list(records(tmp_path / "a.json", "mend it")) == expected
    (tmp_path / "twice.json").write_text('{"a": 1, "b": [2], "a": 3}')
    with pytest.raises(FormatError, match="the key 'a' comes twice"):
        list(records(tmp_path / "twice.json", "mend it"))
    with pytest.raises(FormatError, match=r"\(No such file or directory\); mend it"):
        list(records(tmp_path / "b.json", "mend it"))
    (tmp_path / "c.json").mkdir()
    with pytest.raises(FormatError, match="Is a directory"):
        list(records(tmp_path / "c.json", "mend it"))


@pytest.mark.parametrize("chunk", range(1, 12))
def test_records_may_be_cut_anywhere(tmp_path: Path, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "CHUNK", chunk)
    monkeypatch.setattr(stream, "MARGIN", 1)
    (tmp_path / "a.json").write_text('{"n": 123456789, "a": [-1.25e3, {"b": [1, 22, 333]}, "x y"]}')
    expected = [("n", 123456789), ("a", -1250.0), ("a", {"b": [1, 22, 333]}), ("a", "x y")]
    assert list(records(tmp_path / "a.json", "mend it")) == expected
