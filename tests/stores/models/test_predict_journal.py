"""What a journal of predictions says is believed only as far as the files say so too."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from stores.models.predict_inputs import Input, result_names, stamp_of
from stores.models.predict_journal import JOURNAL, TABLE, Done, Journal, Writing, column_names

CLASSES = {0: "background", 3: "=cat", 4: "width"}


def done(folder: Path, name: str, key: str = "k", **changes: object) -> Done:
    (folder / f"{name}.png").write_text(name)
    files = {f"{name}.png": stamp_of(folder / f"{name}.png")}
    facts = {"key": key, "place": f"/{name}", "path": name, "stamp": (1, 2), "name": name, "files": files}
    return Done.model_validate({**facts, "width": 3, "height": 2, "pixels": {0: 2, 3: 4}, **changes})


def test_what_was_written_is_known_and_a_cut_line_is_passed_over(tmp_path: Path) -> None:
    with Writing(Journal(tmp_path), CLASSES, "k") as writing:
        writing.begin("/a", "a")
        writing.finish(done(tmp_path, "a"))
        writing.begin("/b", "b")
    with (tmp_path / JOURNAL).open("a") as file:
        file.write('[1]\n{"begun": 5}\n' + done(tmp_path, "c").model_dump_json()[:-9])
    journal = Journal(tmp_path)
    assert set(journal.entries) == {"/a"}
    assert set(journal.begun) == {"/b"}
    assert journal.is_finished("k", "/a", (1, 2))
    assert not journal.is_finished("k", "/a", (1, 3))
    assert not journal.is_finished("other", "/a", (1, 2))
    assert not journal.is_finished("k", "/a", None)
    assert journal.owns("k", "/b", "b.png"), "begun and not finished"
    assert journal.owns("k", "/a", "a.png")
    assert not journal.owns("other", "/a", "a.png")
    assert not journal.owns("other", "/b", "b.png")
    (tmp_path / "a.png").write_text("painted over")
    assert not journal.owns("k", "/a", "a.png")
    assert journal.is_finished("k", "/a", (1, 2)), "and kept"
    (tmp_path / "a.png").unlink()
    assert not journal.is_finished("k", "/a", (1, 2))
    assert journal.standing("k") == []


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/../../evil", "", "."])
def test_names_that_lead_out_of_the_folder_are_not_believed(tmp_path: Path, name: str) -> None:
    entry = done(tmp_path, "a").model_dump()
    lines = [
        {"key": "k", "place": "/b", "begun": name},
        {**entry, "place": "/c", "name": name},
        {**entry, "place": "/d", "files": {name: (1, 2)}},
    ]
    (tmp_path / JOURNAL).write_text("".join(json.dumps(line) + "\n" for line in [*lines, entry]))
    journal = Journal(tmp_path)
    assert (set(journal.begun), set(journal.entries)) == (set(), {"/a"})


def test_a_file_whose_name_is_no_text_is_noted(tmp_path: Path) -> None:
    with Writing(Journal(tmp_path), CLASSES, "k") as writing:
        writing.begin("/bad\udcff", "bad")
        writing.finish(done(tmp_path, "bad", place="/bad\udcff", path="bad\udcff"))
    assert set(Journal(tmp_path).entries) == {"/bad\udcff"}
    with Writing(Journal(tmp_path), CLASSES, "k"):
        assert "bad" in (tmp_path / TABLE).read_text()


def test_the_table_is_mended_when_it_is_opened_again_and_names_no_formula(tmp_path: Path) -> None:
    with Writing(Journal(tmp_path), CLASSES, "k") as writing:
        writing.finish(done(tmp_path, "a", path="=a"))
    whole = (tmp_path / TABLE).read_text()
    (tmp_path / TABLE).write_text(whole[:-7])
    with Writing(Journal(tmp_path), CLASSES, "k"):
        assert (tmp_path / TABLE).read_text() == whole
    with (tmp_path / TABLE).open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row == {
        **{"path": "'=a", "result": "a.png", "width": "3", "height": "2"},
        **{"background": "33.333", "'=cat": "66.667", "width (class)": "0.000"},
    }
    assert column_names(CLASSES)[-1] == "width (class)"
    with Writing(Journal(tmp_path), CLASSES, "other"):
        assert (tmp_path / TABLE).read_text().count("\n") == 1, "rows of other options are not among them"
    assert set(Journal(tmp_path).entries) == {"/a"}, "and not forgotten"


def test_names_are_kept_and_new_ones_keep_away_from_them(tmp_path: Path) -> None:
    def one(path: str, under: str) -> Input:
        return Input(tmp_path / path, Path(under))

    first, second, third = one("x/a.png", "a"), one("y/a.png", "a"), one("z/A.png", "sub/A")
    assert result_names([first, second, third], ("", "-overlay"), {}) == ["a", "a-2", "sub/A"]
    known = {second.place: "a", str(tmp_path / "gone.png"): "a-2"}
    assert result_names([first, second], ("", "-overlay"), known) == ["a-3", "a"]
    assert result_names([one("q/a.png", "SUB/a"), third], ("",), {}) == ["SUB/a", "sub/A-2"]
