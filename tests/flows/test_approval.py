"""A person is asked: the run of a deployment is suspended with a form, and goes on with the answer."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from stores.artefacts import Store
from stores.gates import read_gates, write_gate
from wilss.aliases import aliases_of
from wilss.report.gate import GateReport
from wilss.retrain import make_retrain_spec
from wilss.settings import Settings

pytestmark = pytest.mark.usefixtures("prefect_backend")

SPEC = make_retrain_spec(
    {
        "run": {"benchmark": "scenes-15-5", "preset": "tiny", "method": "finetune", "step": {"epochs": 1}},
        "step": 0,
        "gate": {"floor": 0, "least_per_class": 0},
        "approval": {"wanted": True, "hours": 2},
    }
)
Work = Callable[[], Any]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, prefect_backend: None) -> Path:
    from flows.base import run_base

    root = tmp_path_factory.mktemp("trained")
    for seed in (1, 0):
        run_base(SPEC.run.model_copy(update={"seed": seed}), Settings(root=root))
    return root


@pytest.fixture
def asked(trained: Path, tmp_path: Path) -> tuple[Path, Any, Work]:
    """A root, a flow run of a deployment, and what its worker does with it."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import Pause
    from prefect.flow_engine import run_flow

    from flows.retrain import run_retraining

    root = tmp_path / "root"
    shutil.copytree(trained, root)
    given = {"spec": SPEC.model_dump(mode="json", exclude_unset=True), "settings": {"root": str(root)}}
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow(run_retraining)
        deployment = client.create_deployment(flow_id=flow_id, name=f"approval-{tmp_path.name}")
        run = client.create_flow_run_from_deployment(deployment, parameters=given, tags=["started-by:night shift"])

    def work() -> Any:
        with get_client(sync_client=True) as client:
            now = client.read_flow_run(run.id)
        with suppress(Pause):
            run_flow(run_retraining, flow_run=now, parameters=given, return_type="state")
        with get_client(sync_client=True) as client:
            return client.read_flow_run(run.id).state

    return root, run.id, work


def answer(flow_run: Any, **form: object) -> None:
    from prefect.flow_runs import resume_flow_run

    resume_flow_run(flow_run, run_input=form)


def newest(root: Path) -> GateReport:
    return next(read_gates(root))


def test_yes_moves_the_alias_and_says_who(asked: tuple[Path, Any, Work], monkeypatch: pytest.MonkeyPatch) -> None:
    root, run, work = asked
    state = work()
    assert (state.name, aliases_of(root)) == ("Suspended", {"challenger": newest(root).challengers[0]})
    waiting = newest(root)
    assert (waiting.outcome, waiting.started_by) == ("waiting", "night shift")
    assert timedelta(hours=1.9) < datetime.fromisoformat(waiting.deadline) - datetime.now(UTC) < timedelta(hours=2)

    monkeypatch.setattr("flows.retrain.judged", lambda *_: pytest.fail("judged anew"))
    answer(run, approve=True, who="Ada\x1b[2J\n", why="looked at ten images")
    state = work()
    assert state.name == "Promoted"
    report = newest(root)
    assert (report.outcome, report.answer.who, report.answer.why) == ("promoted", r"Ada\x1b[2J", "looked at ten images")  # type: ignore[union-attr]
    assert len(list(read_gates(root))) == 1, "the same record"
    assert aliases_of(root)["champion"] == report.challengers[0]


def test_no_leaves_everything_and_the_next_run_does_not_ask_again(asked: tuple[Path, Any, Work]) -> None:
    from flows.retrain import run_retraining

    root, run, work = asked
    work()
    during = run_retraining(SPEC, Settings(root=root), return_state=True)
    assert (during.name, "waits for an answer until" in during.message) == ("Nothing to do", True)
    answer(run, approve=False, who="Ada", why="blurred")
    assert work().name == "Not promoted"
    assert "champion" not in aliases_of(root)
    assert (newest(root).outcome, newest(root).reason) == ("declined", "Ada said no: blurred")
    after = run_retraining(SPEC, Settings(root=root), return_state=True)
    assert (after.name, "Ada said no: blurred; put it to use with" in after.message) == ("Nothing to do", True)


def test_an_answer_after_the_deadline_means_no(asked: tuple[Path, Any, Work]) -> None:
    root, run, work = asked
    work()
    late = (datetime.now(UTC) - timedelta(minutes=1)).isoformat(timespec="seconds")
    write_gate(root, newest(root).model_copy(update={"deadline": late}))
    answer(run, approve=True, who="Ada")
    assert work().name == "Not promoted"
    assert newest(root).outcome == "no answer"
    assert "champion" not in aliases_of(root)


def test_an_answer_that_is_no_answer_is_refused(asked: tuple[Path, Any, Work]) -> None:
    root, run, work = asked
    work()
    with pytest.raises(RuntimeError, match=r"who|approve"):
        answer(run, approve="perhaps")
    assert newest(root).outcome == "waiting"


def test_the_model_that_was_judged_is_promoted_only_over_the_one_it_was_held_against(
    asked: tuple[Path, Any, Work],
) -> None:
    from stores.registry import promote

    root, run, work = asked
    work()
    other = Store(root).all("checkpoints")[0].digest
    assert other != newest(root).challengers[0]
    promote(root, other, expected=None, who="me", why="by hand")
    answer(run, approve=True, who="Ada")
    assert work().name == "Not promoted"
    assert newest(root).outcome == "overtaken"
