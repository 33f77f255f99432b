"""``wilss up`` in an empty folder: addresses, a run, what is said of it, and nothing left in the end."""

from __future__ import annotations

import json
import os
import re
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from flows.api import Api
from stores.locks import held_now
from tests.e2e.serving import TINY, Serving, has_process, kill, processes, serving
from tests.pace import wait_for, within
from wilss.errors import ServerRefusedError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("empty")) as found:
        yield found


def test_its_three_addresses_answer_on_this_machine_alone(service: Serving) -> None:
    card = service.service
    assert httpx.get(f"{card.api}/health").json() is True
    assert "<title>" in httpx.get(card.interface, follow_redirects=True, headers={"accept": "text/html"}).text
    assert "wilss" in httpx.get(card.inspector, follow_redirects=True).text
    settings = httpx.get(f"{card.interface}/ui-settings").json()
    assert settings["api_url"] == card.api
    own = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ports = {f"{urlsplit(address).port:04X}" for address in (card.api, card.inspector)}
    listening = {where for where in (line[1] for line in own if line[3] == "0A") if where.partition(":")[2] in ports}
    assert {where.partition(":")[0] for where in listening} == {"0100007F"}
    assert len(listening) == 2


def test_a_second_up_says_that_it_is_up(service: Serving) -> None:
    with within(5):
        again = service.wilss("up")
    assert again.returncode == 0
    assert f"up already, process {service.service.pid}" in again.stdout + again.stderr
    assert service.service.inspector in again.stdout


def test_a_port_in_use_is_one_sentence(service: Serving, tmp_path: Path) -> None:
    port = str(urlsplit(service.service.api).port)
    other = Serving(tmp_path)
    refused = other.wilss("up", "--port", port)
    assert refused.returncode == 2
    assert f"wilss: port {port} cannot be used (Address already in use); end what listens there" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not other.leftovers()


def test_the_server_refuses_wrong_parameters_before_there_is_a_run(service: Serving) -> None:
    for wrong, named in (
        ({"spec": {"benchmark": "scenes-15-5", "typo": 1}}, "typo"),
        ({"spec": {"benchmark": "scenes-15-5", "seed": -1}}, "seed"),
        ({"spec": {"benchmark": "scenes-15-5", "step": {"epochs": "many"}}}, "epochs"),
    ):
        with pytest.raises(ServerRefusedError, match=named):
            service.trigger("benchmark/default", **wrong)
    with pytest.raises(ServerRefusedError, match="step"):
        service.trigger("step/default", spec={"benchmark": "scenes-15-5"}, step="one")


def test_a_run_is_made_by_the_worker_and_its_artefacts_lie_under_the_root(service: Serving) -> None:
    run, second = service.trigger(), service.trigger()
    wait_for(lambda: service.run(run)["state_type"] == "RUNNING", 90, "the run to begin", service.logs)
    status = json.loads(service.wilss("status", "--json").stdout)
    assert [line["id"] for line in status["running"]] == [run]
    (waiting,) = status["waiting"]
    assert waiting["id"] == second
    assert waiting["why"] == f"pool cpu is at work on run {service.run(run)['name']} (running)"
    assert status["pools"] == [{"name": "cpu", "workers": 1, "paused": False, "waiting": 1, "running": 1}]
    service.finish(run)
    service.finish(second)
    assert len(service.report()["steps"]) == 2
    assert not list((service.folder / "tmp").iterdir())
    edges: set[tuple[str, str]] = set()

    def has_them_all() -> bool:
        edges.update(graph(service.api, run))
        return edges >= EDGES

    wait_for(has_them_all, 60, f"the edges {EDGES - edges} of the run's graph")


EDGES = {
    ("labels of step 1, begun", "labels of step 1, shard 0"),
    ("labels of step 1, shard 0", "labels of step 1"),
    ("labels of step 1", "student of step 1"),
    ("base student", "student of step 1"),
    ("memory bank", "student of step 1"),
    ("base student", "evaluation of step 0"),
    ("student of step 1", "evaluation of step 1"),
    ("evaluation of step 0", "report"),
    ("evaluation of step 1", "report"),
}


def graph(api: Api, flow_run: str) -> set[tuple[str, str]]:
    """Edges of a flow run as the server's page draws them: names of task runs, without Prefect's random endings."""
    nodes = dict(api.get(f"/flow_runs/{flow_run}/graph-v2")["nodes"])
    names = {key: re.sub("-[0-9a-f]{3}$", "", node["label"]) for key, node in nodes.items()}
    return {(names[parent["id"]], names[key]) for key, node in nodes.items() for parent in node["parents"]}


def test_a_run_that_is_cancelled_ends_with_its_process(service: Serving) -> None:
    run = service.trigger(spec={**TINY, "seed": 1})
    wait_for(lambda: service.run(run)["state_type"] == "RUNNING", 90, "the run to begin", service.logs)
    assert has_process(run)
    service.api.post(f"/flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})
    wait_for(lambda: service.run(run)["state_type"] == "CANCELLED", 60, "the end of the run", service.logs)
    wait_for(lambda: not has_process(run), 10, "the end of its process")


def test_a_pool_without_a_worker_is_said_within_ten_seconds(service: Serving) -> None:
    os.kill(service.service.pid, 19)  # SIGSTOP: it cannot start another one
    try:
        kill(service.worker)
        run = service.trigger()
        said = wait_for(
            lambda: "pool cpu has no worker" in (text := service.wilss("status").stdout) and text,
            10,
            "what status says",
        )
        assert f"waits: '{service.run(run)['name']}' of benchmark/default" in said
    finally:
        os.kill(service.service.pid, 18)
    service.finish(run)
    assert "worker-cpu has ended (signal 9); it is started again" in service.logs()


def test_a_server_that_is_killed_is_replaced_at_its_address(service: Serving) -> None:
    address, killed = service.service.api, service.server
    kill(killed)
    wait_for(lambda: service.api.answers() and service.server != killed, 60, "another server", service.logs)
    assert service.service.api == address
    service.finish(service.trigger())


def test_down_leaves_nothing(service: Serving) -> None:
    card = service.service
    with within(12):
        assert "ended: server" in service.down()
    assert service.leftovers() == []
    for address in (card.api, card.inspector):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", urlsplit(address).port or 0), timeout=1)
    assert sorted(path.name for path in (service.root / "service").iterdir()) == [
        "logs",
        "pools.json",
        "prefect",
        "up.lock",
    ]
    for lock in service.root.rglob("*.lock"):
        with held_now(lock) as free:
            assert free, lock
    assert list((service.folder / "tmp").iterdir()) == []
    assert "no service is up" in service.down()
    status = service.wilss("status")
    assert status.returncode == 1
    assert "no service is up" in status.stdout


@pytest.mark.whole
def test_what_is_killed_hard_ends_with_all_its_processes(tmp_path: Path) -> None:
    with serving(tmp_path, "--auth", "me:secret") as found:
        assert httpx.get(f"{found.service.api}/flow_runs/count").status_code in (401, 405)
        assert httpx.post(f"{found.service.api}/flow_runs/filter", json={}).status_code == 401
        run = found.trigger("benchmark/nightly")
        wait_for(lambda: found.run(run)["state_type"] == "RUNNING", 90, "the run to begin", found.logs)
        kill(found.service.pid)
        wait_for(lambda: not found.leftovers(), 10, "the end of all processes", lambda: str(processes()))
        assert "no service is up" in found.wilss("status").stdout
        found.up("--auth", "me:secret")
        assert found.run(run)["state_type"] in ("SCHEDULED", "PENDING", "RUNNING")
        found.finish(run)
        found.finish(found.trigger("benchmark/nightly"))
        assert "taken up again after a crash, 1 of 2" in found.logs()


def test_runs_past_their_days_are_deleted(tmp_path: Path) -> None:
    home = tmp_path / "root" / "service" / "prefect"
    home.mkdir(parents=True)  # the server looks every two seconds here, instead of every hour
    own = 'active = "quick"\n[profiles.quick]\nPREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS = "2"\n'
    (home / "profiles.toml").write_text(own)
    with serving(tmp_path, "--keep-days", "1") as found:
        deployment = found.api.get("/deployments/name/gc/default")["id"]
        old, new = (found.api.post(f"/deployments/{deployment}/create_flow_run", {})["id"] for _ in range(2))
        for run in (old, new):
            found.api.post(f"/flow_runs/{run}/set_state", {"state": {"type": "CANCELLED"}, "force": True})
        assert kept_by(found) == {old, new}
        with closing(sqlite3.connect(home / "prefect.db", timeout=20)) as database, database:
            database.execute("update flow_run set end_time = datetime(end_time, '-25 hours') where id = ?", (old,))
        wait_for(lambda: old not in kept_by(found), 30, "the end of the old run", found.logs)
        assert kept_by(found) == {new}


def kept_by(found: Serving) -> set[str]:
    return {run["id"] for run in found.api.post("/flow_runs/filter", {})}
