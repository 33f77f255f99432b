"""Files appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from wilss.outputs import whole_file


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
