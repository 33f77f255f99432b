"""A real Prefect server and worker: deploy, trigger, schedule, and a bad parameter refused by the server."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
PREFECT = str(Path(sys.executable).with_name("prefect"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Environment of a fresh server on a free local port."""
    home = tmp_path_factory.mktemp("prefect")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {
        **os.environ,
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "WILSS_ROOT": str(home / "wilss"),
        "OMP_NUM_THREADS": "1",
    }
    with (home / "server.log").open("w") as log:
        process = subprocess.Popen(
            [PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(port)],
            env=env,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_for(lambda: _healthy(env["PREFECT_API_URL"]), 180, "the server's health answer")
            yield env
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2).json() is True
    except httpx.HTTPError:
        return False


def _wait_for(condition: object, seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.5)


def prefect(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [PREFECT, "--no-prompt", *arguments]
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def api(env: dict[str, str], path: str, **body: object) -> object:
    answer = httpx.post(f"{env['PREFECT_API_URL']}{path}", json=body, timeout=30)
    answer.raise_for_status()
    return answer.json()


def test_deploy_trigger_and_schedule(server: dict[str, str]) -> None:
    created = prefect(server, "work-pool", "create", "wilss", "--type", "process")
    assert created.returncode == 0, created.stderr
    deployed = prefect(server, "deploy", "--all", "--prefect-file", "deployments/prefect.yaml")
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr

    found = {f"{d['name']}": d for d in api(server, "/deployments/filter")}  # type: ignore[attr-defined]
    assert {"scenes-15-5", "voc-15-5", "scenes-15-5-nightly"} <= set(found)
    schedule = found["scenes-15-5-nightly"]["schedules"][0]
    assert schedule["schedule"]["cron"] == "0 3 * * *"
    assert schedule["active"]

    refused = prefect(server, "deployment", "run", "benchmark/scenes-15-5", "--param", 'spec={"typo": 1}')
    assert refused.returncode != 0
    assert "typo" in refused.stdout + refused.stderr

    spec = json.dumps({"benchmark": "scenes-15-5", "preset": "tiny"})
    triggered = prefect(server, "deployment", "run", "benchmark/scenes-15-5", "--param", f"spec={spec}")
    assert triggered.returncode == 0, triggered.stdout + triggered.stderr
    worked = prefect(server, "worker", "start", "--pool", "wilss", "--run-once", "--limit", "1")
    assert worked.returncode == 0, worked.stdout + worked.stderr

    def finished() -> bool:
        names = [r["state_name"] for r in api(server, "/flow_runs/filter")]  # type: ignore[attr-defined]
        assert not {"Crashed", "Failed"} & set(names), worked.stdout + worked.stderr
        return "Completed" in names

    _wait_for(finished, 300, "the triggered run")
    reports = list((Path(server["WILSS_ROOT"]) / "runs").glob("*/report.json"))
    assert len(reports) == 1
    assert json.loads(reports[0].read_text())["steps"][-1]["n_classes"] == 20
    # The nightly schedule has runs of its own waiting: the triggered one is the one that completed.
    of_state = {"state": {"type": {"any_": ["COMPLETED"]}}}
    (flow_run,) = api(server, "/flow_runs/filter", flow_runs=of_state)  # type: ignore[misc]
    edges: set[tuple[str, str]] = set()

    def has_them_all() -> bool:
        edges.update(graph(server, flow_run["id"]))
        return edges >= EDGES

    _wait_for(has_them_all, 60, f"the edges {EDGES - edges} of the run's graph")


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


def graph(env: dict[str, str], flow_run: str) -> set[tuple[str, str]]:
    """Edges of a flow run as the server's page draws them: names of task runs, without Prefect's random endings."""
    answer = httpx.get(f"{env['PREFECT_API_URL']}/flow_runs/{flow_run}/graph-v2", timeout=30)
    nodes = dict(answer.raise_for_status().json()["nodes"])
    names = {key: re.sub("-[0-9a-f]{3}$", "", node["label"]) for key, node in nodes.items()}
    return {(names[parent["id"]], names[key]) for key, node in nodes.items() for parent in node["parents"]}
