"""Files appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from wilss.outputs import file_names, whole_file


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
    assert file_names(["a b", "a_b", "../a", ".x", "x", "a/b", "é"]) == [
        "a_b",
        "a_b-2",
        "_a",
        "x",
        "x-2",
        "a_b-3",
        "é",
    ]
