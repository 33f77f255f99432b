"""Files appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from wilss.errors import SpecError
from wilss.outputs import file_names, picture_path, require_free, whole_file


@pytest.mark.parametrize("shared", [False, True])
def test_a_file_that_could_not_be_finished_leaves_the_one_before(tmp_path: Path, shared: bool) -> None:
    path = tmp_path / "state"
    path.write_text("before")

    def stop_halfway() -> None:
        with whole_file(path, shared) as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_halfway()
    assert path.read_text() == "before"
    with whole_file(path, shared) as partial:
        partial.write_text("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"


def test_files_named_by_image_ids_do_not_overwrite_each_other() -> None:
    ids = ["a b", "a_b", "../a", ".x", "x", "a/b", "é", "e\u0301", "É", "50%#1", "-x", "a.b.c", "a\nb", "a\x1b[2J"]
    assert file_names(ids) == [
        *("a b", "a_b", "_a", "x", "x-2", "a_b-2", "é", "e\u0301-2", "É-3"),
        *("50%#1", "-x", "a.b.c", "a_b-3", "a_[2J"),
    ]


def test_names_count_with_the_endings_that_their_files_have() -> None:
    names = file_names(["a-overlay", "a", "a", "a-2"], ("", "-overlay"))
    files = [name + ending for name in names for ending in ("", "-overlay")]
    assert names[0] == "a-overlay"
    assert len(set(files)) == len(files)
    many = file_names(["a"] * 20_000)
    assert len(set(many)) == 20_000


@pytest.mark.parametrize("name", ["x" * 250, "猫" * 85, "x" * 201])
def test_long_names_are_cut_and_stay_apart(tmp_path: Path, name: str) -> None:
    first, second = file_names([name + "a", name + "b"])
    assert first != second
    for one in (first, second):
        (tmp_path / f"{one}-overlay.png.partial").touch()
    assert file_names(["x" * 200]) == ["x" * 200]


def test_nothing_is_replaced_unless_it_may_be_and_an_input_never(tmp_path: Path) -> None:
    there, link, new = tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.png"
    there.touch()
    link.symlink_to("nowhere")
    require_free([new], replace=False)
    with pytest.raises(SpecError, match=r"a.png' is there already, and 1 more are; .* add --replace"):
        require_free([there, link, new], replace=False)
    require_free([there, link, new], replace=True)
    (tmp_path / "folder").mkdir()
    for replace in (False, True):
        with pytest.raises(SpecError, match="is one of the images and would be replaced"):
            require_free([tmp_path / "folder" / ".." / "a.png"], replace, [there])


def test_a_picture_may_be_asked_for_by_folder_or_without_suffix(tmp_path: Path) -> None:
    default = tmp_path / "sheets" / "x.png"
    assert picture_path(None, default) == default
    assert picture_path(tmp_path, default) == tmp_path / "x.png"
    assert picture_path(tmp_path / "new", default) == tmp_path / "new.png"
    assert picture_path(tmp_path / "a.JPG", default) == tmp_path / "a.JPG"
    with pytest.raises(SpecError, match=r"ends in \.heatmap, and pictures are written as \.png"):
        picture_path(tmp_path / "a.heatmap", default)
