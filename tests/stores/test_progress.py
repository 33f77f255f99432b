"""What long stages show where there is no terminal."""

from __future__ import annotations

import pytest

import stores.progress as progress
from stores.progress import stage_progress


class Clock:
    """Seconds that a test moves on."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(progress, "time", found)
    return found


def test_what_is_counted_has_a_pace_since_the_first_call(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with stage_progress("labels of step 1", "images") as show:
        show("label", 40, 100, 0.0)  # done by an earlier run
        clock.now += 20
        show("label", 70, 100, 0.0)
        clock.now += 5
        show("label", 90, 100, 0.0)
        clock.now += 5
        show("label", 100, 100, 0.0)
    assert capsys.readouterr().err.splitlines() == [
        "labels of step 1: label 70/100, 1.5 images/s",
        "labels of step 1: label 100/100, 2 images/s",
    ]


def test_it_begins_anew_where_less_is_done_than_at_first(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with stage_progress("labels of step 1", "images") as show:
        show("label", 50, 100, 0.0)
        show("label", 10, 100, 0.0)  # a worker was lost
        clock.now += 10
        show("label", 30, 100, 0.0)
    assert capsys.readouterr().err == "labels of step 1: label 30/100, 2 images/s\n"


def test_other_stages_show_none(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with stage_progress("base student") as show:
        clock.now += 20
        show("base", 1, 2, 0.5)
        clock.now += 20
        show("base", 2, 2, 0.0)
    assert capsys.readouterr().err.splitlines() == ["base student: base 1/2, loss 0.500", "base student: base 2/2"]
