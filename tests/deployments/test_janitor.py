"""The janitor on a real server: runs without a process, slots that nobody holds, tasks and approvals left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from deployments.catalogue import Deployed, deploy
from deployments.service.janitor import Janitor
from deployments.service.log import ServiceLog
from deployments.service.processes import runs_alive
from deployments.service.register import have_pool
from flows.api import Api

CANCEL_NEW = Deployed(
    "benchmark",
    "flows.benchmark.run_benchmark",
    "of a test",
    {"spec": {"benchmark": "scenes-15-5"}},
    limit=1,
    collision="CANCEL_NEW",
)


@pytest.fixture
def api(prefect_backend: None) -> Iterator[Api]:
    from prefect.settings import PREFECT_API_URL

    found = Api(str(PREFECT_API_URL.value()))
    yield found
    found.close()


@pytest.fixture
def pool(api: Api) -> str:
    name = f"cpu-{uuid4().hex[:6]}"
    have_pool(api, name, "python -m nothing", "/")
    deploy([replace(CANCEL_NEW, name=name)], name, api)
    return name


@pytest.fixture
def log(tmp_path: Path) -> ServiceLog:
    return ServiceLog(tmp_path / "service.log")


def janitor_of(api: Api, pool: str, log: ServiceLog, worker: float) -> Janitor:
    return Janitor(api, log, lambda: {pool: worker})


@pytest.fixture
def taken(api: Api, pool: str) -> Callable[[], dict[str, Any]]:
    """Makes a run of the deployment and lets it be taken, as a worker does; returns it as it then is."""

    def take() -> dict[str, Any]:
        deployment = api.get(f"/deployments/name/benchmark/{pool}")
        run = api.post(f"/deployments/{deployment['id']}/create_flow_run")
        return take_again(api, run["id"])

    return take


def take_again(api: Api, run: str) -> dict[str, Any]:
    api.post(f"/flow_runs/{run}/set_state", {"state": {"type": "PENDING"}})
    found: dict[str, Any] = api.get(f"/flow_runs/{run}")
    return found


def slots(api: Api, pool: str) -> int:
    deployment = api.get(f"/deployments/name/benchmark/{pool}")
    return int(deployment["global_concurrency_limit"]["active_slots"])


def test_a_pending_run_of_a_worker_that_is_gone_frees_its_slot_and_is_taken_up_again(
    api: Api, pool: str, log: ServiceLog, taken: Callable[[], dict[str, Any]]
) -> None:
    lost = taken()
    assert (lost["state_type"], slots(api, pool)) == ("PENDING", 1)
    assert taken()["state_type"] == "CANCELLED", "the trap: without a janitor every later run is cancelled"
    janitor_of(api, pool, log, worker=0).round()
    assert slots(api, pool) == 0
    found = api.get(f"/flow_runs/{lost['id']}")
    assert found["state_name"] == "AwaitingRetry"
    assert found["state"]["message"] == "taken up again after a crash, 1 of 2"
    assert take_again(api, lost["id"])["state_type"] == "PENDING"
    said = log.path.read_text()
    assert "its process is gone (it was Pending since" in said
    assert f"janitor: run '{lost['name']}' ({lost['id'][-8:]}) has crashed" in said


def test_what_crashes_three_times_stays_crashed(
    api: Api, pool: str, log: ServiceLog, taken: Callable[[], dict[str, Any]]
) -> None:
    run, janitor = taken()["id"], janitor_of(api, pool, log, worker=0)
    for number in (1, 2):
        janitor.round()
        assert api.get(f"/flow_runs/{run}")["state"]["message"].endswith(f"{number} of 2")
        take_again(api, run)
        api.post(f"/flow_runs/{run}/set_state", {"state": {"type": "RUNNING"}})
    janitor.round()
    janitor.round()
    assert api.get(f"/flow_runs/{run}")["state_type"] == "CRASHED"
    assert slots(api, pool) == 0


def test_a_run_with_a_process_is_left_alone_whatever_its_number_was(
    api: Api, pool: str, log: ServiceLog, taken: Callable[[], dict[str, Any]]
) -> None:
    run = taken()
    api.patch(f"/flow_runs/{run['id']}", {"infrastructure_pid": str(os.getpid())})  # alive, and of another one
    env = {**os.environ, "PREFECT__FLOW_RUN_ID": run["id"]}
    process = subprocess.Popen([sys.executable, "-c", "print(1, flush=True); input()"], env=env, stdin=subprocess.PIPE)
    try:
        while run["id"] not in (runs_alive() or ()):
            time.sleep(0.05)
        janitor_of(api, pool, log, worker=0).round()
        assert api.get(f"/flow_runs/{run['id']}")["state_type"] == "PENDING"
    finally:
        process.kill()
        process.wait()
    janitor_of(api, pool, log, worker=0).round()
    assert api.get(f"/flow_runs/{run['id']}")["state_name"] == "AwaitingRetry"


def test_a_run_that_the_worker_of_now_starts_is_waited_for(
    api: Api, pool: str, log: ServiceLog, taken: Callable[[], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from deployments.service import janitor as module

    run, janitor = taken()["id"], janitor_of(api, pool, log, worker=1.0)
    for _ in range(3):
        janitor.round()
    assert api.get(f"/flow_runs/{run}")["state_type"] == "PENDING"
    monkeypatch.setattr(module, "START_GRACE", timedelta(0))
    janitor.round()
    assert api.get(f"/flow_runs/{run}")["state_name"] == "AwaitingRetry"


def test_one_look_is_not_enough_for_a_run_of_the_worker_of_now(
    api: Api, pool: str, log: ServiceLog, taken: Callable[[], dict[str, Any]]
) -> None:
    run, janitor = taken()["id"], janitor_of(api, pool, log, worker=1.0)
    api.post(f"/flow_runs/{run}/set_state", {"state": {"type": "RUNNING"}})
    janitor.round()
    assert api.get(f"/flow_runs/{run}")["state_type"] == "RUNNING"
    janitor.round()
    assert api.get(f"/flow_runs/{run}")["state_name"] == "AwaitingRetry"


def test_runs_of_a_pool_that_another_machine_serves_are_left_alone(
    api: Api, pool: str, log: ServiceLog, taken: Callable[[], dict[str, Any]]
) -> None:
    run = taken()["id"]
    api.post(f"/work_pools/{pool}/workers/heartbeat", {"name": "of-another-machine", "heartbeat_interval_seconds": 3})
    janitor_of(api, pool, log, worker=0).round()
    assert api.get(f"/flow_runs/{run}")["state_type"] == "PENDING"
    assert "of-another-machine serves pool" in log.path.read_text()


def test_a_run_that_is_being_cancelled_without_a_process_is_cancelled(
    api: Api, pool: str, log: ServiceLog, taken: Callable[[], dict[str, Any]]
) -> None:
    run = taken()["id"]
    api.post(f"/flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})
    janitor_of(api, pool, log, worker=0).round()
    assert api.get(f"/flow_runs/{run}")["state_type"] == "CANCELLED"
    assert slots(api, pool) == 0


def test_slots_that_no_run_holds_are_free_again(api: Api, pool: str, log: ServiceLog) -> None:
    limit = api.get(f"/deployments/name/benchmark/{pool}")["global_concurrency_limit"]["id"]
    api.patch(f"/v2/concurrency_limits/{limit}", {"active_slots": 1})
    janitor = janitor_of(api, pool, log, worker=1.0)
    janitor.round()
    assert slots(api, pool) == 1, "the server may be in between"
    janitor.round()
    assert slots(api, pool) == 0


def test_an_approval_that_nobody_gave_in_time_means_no(
    api: Api, pool: str, log: ServiceLog, taken: Callable[[], dict[str, Any]]
) -> None:
    runs = []
    for deadline in (timedelta(seconds=-1), timedelta(hours=1)):
        runs.append(taken()["id"])
        api.post(f"/flow_runs/{runs[-1]}/set_state", {"state": {"type": "RUNNING"}})
        details = {"pause_timeout": (datetime.now(UTC) + deadline).isoformat(), "pause_reschedule": True}
        paused = {"type": "PAUSED", "state_details": details}
        api.post(f"/flow_runs/{runs[-1]}/set_state", {"state": paused, "force": True})
        janitor_of(api, pool, log, worker=0).round()
    ended, waiting = (api.get(f"/flow_runs/{run}") for run in runs)
    assert (ended["state_type"], ended["state_name"]) == ("CANCELLED", "Not approved")
    assert ended["state"]["message"].startswith("no answer by ")
    assert ended["state"]["message"].endswith(", which means no")
    assert waiting["state_type"] == "PAUSED"


def test_tasks_of_an_ended_run_do_not_stay_running(
    api: Api,
    pool: str,
    log: ServiceLog,
    taken: Callable[[], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from deployments.service import janitor as module

    monkeypatch.setattr(module, "TASK_GRACE", timedelta(0))
    run = taken()["id"]
    api.post(f"/flow_runs/{run}/set_state", {"state": {"type": "RUNNING"}})
    told = {"flow_run_id": run, "task_key": "t", "dynamic_key": "0", "state": {"type": "RUNNING"}}
    task = api.post("/task_runs/", told)["id"]
    janitor = janitor_of(api, pool, log, worker=1.0)
    janitor.round()
    assert api.get(f"/task_runs/{task}")["state_type"] == "RUNNING", "its run is at work"
    api.post(f"/flow_runs/{run}/set_state", {"state": {"type": "FAILED"}, "force": True})
    janitor.round()
    assert api.get(f"/task_runs/{task}")["state_type"] == "CRASHED"


def test_when_the_service_ends_what_was_at_work_waits_and_it_is_no_crash(
    api: Api, pool: str, log: ServiceLog, taken: Callable[[], dict[str, Any]]
) -> None:
    run, janitor = taken()["id"], janitor_of(api, pool, log, worker=1.0)
    janitor.put_back()
    found = api.get(f"/flow_runs/{run}")
    assert found["state_name"] == "AwaitingRetry"
    assert slots(api, pool) == 0
    assert all(state["type"] != "CRASHED" for state in api.get(f"/flow_run_states/?flow_run_id={run}"))


def test_a_server_that_does_not_answer_is_said_once(log: ServiceLog) -> None:
    janitor = janitor_of(Api("http://127.0.0.1:9/api"), "cpu", log, worker=0)
    janitor.round()
    janitor.round()
    janitor.put_back()
    said = log.path.read_text().splitlines()
    assert len(said) == 2
    assert said[0].endswith("janitor: the server does not answer; looking again")
