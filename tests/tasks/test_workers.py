"""Parts of a stage that reach a worker."""

from __future__ import annotations

from types import SimpleNamespace

import distributed
import pytest

from tasks.workers import RunElsewhere, opened
from wilss.errors import RunnerError


def test_a_part_that_comes_after_its_stage_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    held = SimpleNamespace(plugins={"its name": SimpleNamespace(run="the run")}, log_event=print)
    monkeypatch.setattr(distributed, "get_worker", lambda: held)
    with opened(RunElsewhere("its name")) as run:
        assert str(run) == "the run"
    with pytest.raises(RunnerError, match="the stage ended"), opened(RunElsewhere("another")):
        pass
