"""What ``wilss status`` says of a real server's runs and pools."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from deployments.catalogue import DEPLOYMENTS, deploy, flow_of
from deployments.service.overview import Overview, RunLine, look
from deployments.service.register import have_pool
from deployments.service.status import Status, lines_of, status_of
from flows.api import Api
from tests.commands import Wilss, command_line
from wilss.errors import ServerRefusedError


@pytest.fixture
def api(prefect_backend: None) -> Iterator[Api]:
    from prefect.settings import PREFECT_API_URL

    with Api(str(PREFECT_API_URL.value())) as found:
        yield found


@pytest.fixture
def pool(api: Api) -> str:
    """A pool without a worker, and the deployment benchmark/NAME of the same name."""
    name = f"gpu:{uuid4().hex[:6]}"
    have_pool(api, name, "python -m nothing", "/")
    deploy([replace(DEPLOYMENTS[0], name=name)], name, api)
    return name


def trigger(api: Api, pool: str) -> str:
    deployment = api.get(f"/deployments/name/benchmark/{pool}")
    return str(api.post(f"/deployments/{deployment['id']}/create_flow_run")["id"])


def line_of(api: Api, run: str, runs: str = "waiting") -> RunLine:
    overview: Overview = look(api, datetime.now(UTC))
    (found,) = (line for line in getattr(overview, runs) if line.id == run)
    return found


def heartbeat(api: Api, pool: str) -> None:
    api.post(f"/work_pools/{pool}/workers/heartbeat", {"name": "one", "heartbeat_interval_seconds": 30})


def test_what_waits_says_why(api: Api, pool: str) -> None:
    run = trigger(api, pool)
    assert line_of(api, run).why == f"pool {pool} has no worker; 'wilss up' starts one"
    assert f"of benchmark/{pool}, Scheduled" in line_of(api, run).sentence
    heartbeat(api, pool)
    assert line_of(api, run).why == f"a worker of pool {pool} takes it next"
    api.patch(f"/work_pools/{pool}", {"is_paused": True})
    assert line_of(api, run).why == f"pool {pool} is paused; resume it with 'prefect work-pool resume {pool}'"
    api.patch(f"/work_pools/{pool}", {"is_paused": False})
    other = trigger(api, pool)
    api.post(f"/flow_runs/{other}/set_state", {"state": {"type": "PENDING"}})
    name = line_of(api, other, "running").name
    assert line_of(api, run).why == f"pool {pool} is at work on run {name} (pending)"
    assert line_of(api, other, "running").state == "Pending"
    api.post(f"/flow_runs/{run}/set_state", {"state": {"type": "PENDING"}})  # the server lets it wait: the limit is 1
    api.patch(f"/work_pools/{pool}", {"concurrency_limit": 5})
    overview = look(api, datetime.now(UTC))
    assert [line.state for line in (*overview.waiting, *overview.planned) if line.id == run] == [
        "AwaitingConcurrencySlot"
    ]


def test_a_silent_worker_is_none(api: Api, pool: str) -> None:
    heartbeat(api, pool)
    (found,) = (one for one in look(api, datetime.now(UTC)).pools if one.name == pool)
    assert found.sentence == f"{pool}: 1 worker, 0 at work, 0 waiting"
    api.post(f"/work_pools/{pool}/workers/heartbeat", {"name": "one", "heartbeat_interval_seconds": 1})
    time.sleep(2.6)
    (found,) = (one for one in look(api, datetime.now(UTC)).pools if one.name == pool)
    assert found.sentence == f"{pool}: has no worker, 0 at work, 0 waiting"


def test_an_approval_is_waited_for_until_its_deadline(api: Api, pool: str) -> None:
    run, deadline = trigger(api, pool), datetime.now(UTC) + timedelta(hours=2)
    state = {"type": "PAUSED", "state_details": {"pause_timeout": deadline.isoformat(), "pause_reschedule": True}}
    api.post(f"/flow_runs/{run}/set_state", {"state": state, "force": True})
    assert line_of(api, run).why.startswith(f"it waits for an answer until {deadline.astimezone():%Y-%m-%d %H:%M}")


def test_what_failed_last_says_with_what(api: Api, pool: str) -> None:
    run = trigger(api, pool)
    state = {"type": "FAILED", "message": "there is no benchmark 'voc-15'"}
    api.post(f"/flow_runs/{run}/set_state", {"state": state, "force": True})
    assert line_of(api, run, "failed").why == "there is no benchmark 'voc-15'"


def test_deploying_again_changes_nothing_but_what_is_told_otherwise(api: Api, pool: str) -> None:
    path = f"/deployments/name/benchmark/{pool}"
    schedule = {"schedule": {"cron": "0 3 * * *", "timezone": "Europe/Paris"}, "active": True, "slug": "night"}
    before = api.get(path)
    api.post(f"/deployments/{before['id']}/schedules", [schedule])
    api.post(f"/deployments/{before['id']}/pause_deployment")
    before = api.get(path)
    deploy([replace(DEPLOYMENTS[0], name=pool)], pool, api)
    assert api.get(path)["updated"] == before["updated"], "not even touched"
    deploy([replace(DEPLOYMENTS[0], name=pool, description="another", limit=3)], pool, api)
    after = api.get(path)
    assert after["description"] == "another"
    assert after["global_concurrency_limit"]["limit"] == 3
    assert after["paused"] is True
    assert [one["slug"] for one in after["schedules"]] == ["night"]


def test_everything_that_can_be_run_is_there_and_the_server_holds_its_parameters(api: Api, pool: str) -> None:
    assert [getattr(flow_of(entry), "name", "") for entry in DEPLOYMENTS] == [entry.kind for entry in DEPLOYMENTS]
    entries = [replace(entry, name=f"{entry.name}-{pool}") for entry in DEPLOYMENTS]
    assert deploy(entries, pool, api) == [entry.full_name for entry in entries]
    for entry in entries:
        found = api.get(f"/deployments/name/{entry.full_name}")
        assert found["entrypoint"] == entry.entrypoint
        assert found["enforce_parameter_schema"]
        for name, field in found["parameter_openapi_schema"]["properties"].items():
            assert field.get("title"), f"{entry.full_name} {name}"
            assert field.get("description"), f"{entry.full_name} {name}"
        with pytest.raises(ServerRefusedError, match="typo"):
            api.post(f"/deployments/{found['id']}/create_flow_run", {"parameters": {**found["parameters"], "typo": 1}})


def test_without_a_service_it_says_how_to_start_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wilss: Wilss = command_line(capsys, monkeypatch)
    code, out, _ = wilss("status", "--root", tmp_path)
    assert code == 1
    assert out.splitlines()[0] == f"no service is up for '{tmp_path}'; start it with 'wilss up'"
    code, out, _ = wilss("down", "--root", tmp_path)
    assert code == 0
    assert out == f"no service is up for '{tmp_path}'\n"
    found = status_of(tmp_path / "none")
    assert (found.up, found.disk) == (False, {})
    assert lines_of(Status.model_validate_json(found.model_dump_json())) == lines_of(found)
