"""A weights folder that is none is named before anything is fetched or computed."""

from __future__ import annotations

from pathlib import Path

import pytest

import wilss as package
from tests.pace import within
from wilss.errors import WeightsNotFoundError


@pytest.mark.parametrize(
    "command",
    [
        ("foundations", "check", "classifier:mobilenetv2_100", "--prompt", "cat"),
        ("run", "scenes-15-5"),
        ("protocol", "scenes-15-5"),
        ("few-shot", "train", "--fold", "0"),
    ],
)
@pytest.mark.parametrize("by_environment", [False, True])
def test_commands(  # type: ignore[no-untyped-def]
    wilss, tmp_path: Path, command: tuple[str, ...], by_environment: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WILSS_WEIGHTS", str(tmp_path / "wieghts") if by_environment else "")
    with within(20):
        code, _, err = wilss(*command, *(() if by_environment else ("--weights", tmp_path / "wieghts")))
    assert code == 2
    assert err.startswith(f"wilss: the weights folder '{tmp_path / 'wieghts'}' does not exist; ")
    assert "--weights or WILSS_WEIGHTS" in err
    (tmp_path / "wieghts").touch()
    assert "wieghts' is a file;" in wilss(*command, "--weights", tmp_path / "wieghts")[2]


def test_scripts(tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match="no' does not exist"):
        package.label(tmp_path / "a.png", [["cat"]], ["cat"], "small", weights=tmp_path / "no")
