"""Triggers, schedules, answers and events against a real server: what it refuses, what it keeps, what it starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from deployments import following
from deployments.answering import answer, waiting_run
from deployments.catalogue import DEPLOYMENTS, Deployed, deploy
from deployments.deploying import deploy_own, remove_own
from deployments.flow_runs import find_run, read_run
from deployments.following import Log, code_of
from deployments.own import Own, attach
from deployments.schedules import listed, read_schedules, restore
from deployments.waiting import why_waiting
from flows.api import Api
from flows.api import Api as Server
from flows.events import IMAGES_SETTLED, REVIEW_FINISHED, event_behind, folder_resource, labels_resource, post
from tests.commands import command_line
from tests.pace import wait_for
from wilss.errors import ArtefactNotFoundError, ServerNotFoundError, SpecError

pytestmark = pytest.mark.usefixtures("prefect_backend")
SPEC = {"benchmark": "scenes-15-5", "preset": "tiny"}
STEP = ["step", "--benchmark", "scenes-15-5", "--preset", "tiny", "--step", "1"]
POOL = "triggers"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def api(prefect_backend: None) -> Api:
    """A server with a pool that no worker looks at, and the deployments of benchmarks and steps."""
    from prefect.settings import PREFECT_API_URL

    api = Api(PREFECT_API_URL.value())
    api.post("/work_pools/", {"name": POOL, "type": "process", "base_job_template": {}})
    deploy(
        [one for one in DEPLOYMENTS if one.full_name in ("benchmark/default", "step/default")], POOL, Server(api.url)
    )
    return api


@pytest.fixture
def wilss(
    api: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.setenv("PREFECT_API_URL", api.url)
    monkeypatch.setenv("WILSS_ROOT", str(tmp_path))
    return command_line(capsys, monkeypatch)


def planned_by(api: Api) -> set[str]:
    """Names of the schedules that runs are planned for."""
    runs = api.post("/flow_runs/filter", {"flow_runs": {"tags": {"all_": ["auto-scheduled"]}}})
    return {run["created_by"]["display_value"] for run in runs}


def runs_of(api: Api, deployment: dict[str, Any], **filters: Any) -> list[dict[str, Any]]:
    chosen = {"deployment_id": {"any_": [deployment["id"]]}, **filters}
    return list(api.post("/flow_runs/filter", {"flow_runs": chosen}))


def test_a_trigger_makes_one_run_and_says_who_began_it(api: Api, wilss: Any) -> None:
    code, out, err = wilss("trigger", *STEP, "--detach")
    assert code == 0, err
    run = find_run(api, out.split("(")[1].split(")")[0])
    assert f"page: {api.url.removesuffix('/api')}/runs/flow-run/{run.id}" in out
    assert run.started_by
    assert (run.parameters["step"], run.parameters["spec"]["preset"]) == (1, "tiny")
    assert find_run(api, run.id[-8:]).id == find_run(api, run.name).id == run.id
    assert why_waiting(api, run) == f"pool {POOL} has no worker; 'wilss up' starts one"
    code, out, err = wilss("cancel", run.id)
    assert (code, "is cancelled; it had not begun" in out) == (0, True), err
    state = read_run(api, run.id).state
    assert state is not None
    assert code_of(state) == 3
    code, _, err = wilss("cancel", run.id)
    assert (code, "has ended already (cancelled)" in err) == (2, True)


def test_the_server_refuses_wrong_parameters_before_a_run_exists(api: Api) -> None:
    from deployments.triggering import begin_run, find_deployment

    deployment = find_deployment(api, "step", "default")
    before = len(runs_of(api, deployment))
    wrong = {
        "'spec.step.epochs': -1 is less than the minimum of 1": {"spec": {**SPEC, "step": {"epochs": -1}}, "step": 1},
        "Additional properties are not allowed ('typo' was unexpected)": {"spec": {**SPEC, "typo": 1}, "step": 1},
        "'step': 'x' is not of type 'integer'": {"spec": SPEC, "step": "x"},
    }
    for message, parameters in wrong.items():
        with pytest.raises(SpecError) as error:
            begin_run(api, deployment, parameters, [])
        assert message in str(error.value)
    assert len(runs_of(api, deployment)) == before


def test_what_is_not_there_is_named(api: Api, wilss: Any) -> None:
    code, _, err = wilss("trigger", *STEP, "--deployment", "defualt")
    assert (code, "no deployment 'step/defualt' on the server. Did you mean 'default'?" in err) == (2, True)
    code, _, err = wilss("trigger", "gc")
    assert (code, "there is no deployment 'gc/default'" in err) == (2, True)
    code, _, err = wilss("trigger", *STEP, "--deployment", "../x")
    assert (code, "cannot be called so" in err) == (2, True)
    code, _, err = wilss("logs", "nobody-knows-it")
    assert (code, "no run is called 'nobody-knows-it'." in err) == (2, True)


def test_a_server_that_is_not_there_is_one_sentence(wilss: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    code, _, err = wilss("trigger", *STEP)
    assert (code, "no Prefect server answers at http://127.0.0.1:9/api" in err) == (2, True)
    monkeypatch.delenv("PREFECT_API_URL")
    code, _, err = wilss("trigger", *STEP)
    assert (code, "no service is up for" in err) == (2, True)
    with pytest.raises(ServerNotFoundError):
        post("http://127.0.0.1:9/api", IMAGES_SETTLED, folder_resource("x"), {})


def test_a_schedule_keeps_its_parameters_over_pause_and_a_lost_server(api: Api, wilss: Any, tmp_path: Path) -> None:
    code, out, err = wilss(
        "schedule", "add", *STEP, "--cron", "0 3 * * *", "--timezone", "Europe/Paris", "--name", "night"
    )
    assert code == 0, err
    assert "schedule night: step 1 of scenes-15-5, cron '0 3 * * *', Europe/Paris" in out
    assert out.count(" 03:00 +0") == 3
    assert "Europe/Paris changes its clocks on " in out
    told = json.loads((tmp_path / "service" / "schedules" / "night.json").read_text())
    assert told["parameters"]["step"] == 1

    def there() -> dict[str, Any]:
        deployment = api.get("/deployments/name/step/default")
        (one,) = [one for one in deployment["schedules"] if one["slug"] == "night"]
        return dict(one)

    assert there()["schedule"] == {"cron": "0 3 * * *", "timezone": "Europe/Paris", "day_or": True}
    assert wilss("schedule", "add", *STEP, "--every", "6h", "--name", "other")[0] == 0
    for command, active in (("pause", False), ("resume", True)):
        code, _, err = wilss("schedule", command, "night")
        assert code == 0, err
        assert (there()["active"], there()["parameters"]) == (active, told["parameters"])
        planned = planned_by(api)
        assert ("night" in planned, "other" in planned) == (active, True), "planned at once, others too"
    assert wilss("schedule", "rm", "other")[0] == 0
    assert "other" not in planned_by(api)
    deployment = api.get("/deployments/name/step/default")
    api.delete(f"/deployments/{deployment['id']}/schedules/{there()['id']}")
    assert [one.on_server for one in listed(api, tmp_path)] == [False]
    assert "not on the server" in wilss("schedule", "list")[1]
    (tmp_path / "service" / "schedules" / "broken.json").write_text("{")
    assert restore(api, tmp_path) == ["night"]
    (tmp_path / "service" / "schedules" / "broken.json").unlink()
    assert restore(api, tmp_path) == []
    assert there()["parameters"] == told["parameters"]
    code, out, _ = wilss("schedule", "list", "--json")
    (one,) = json.loads(out)
    assert (one["name"], one["on_server"], len(one["next"]), one["last"]) == ("night", True, 3, None)
    code, _, err = wilss("schedule", "add", *STEP, "--every", "6h", "--name", "night")
    assert (code, "a schedule 'night' is there already" in err) == (2, True)
    code, _, err = wilss("schedule", "rm", "nigth")
    assert (code, "Did you mean 'night'?" in err) == (2, True)
    assert wilss("schedule", "rm", "night")[0] == 0
    assert read_schedules(tmp_path) == []
    assert not [one for one in api.get("/deployments/name/step/default")["schedules"] if one["slug"] == "night"]


def test_what_the_server_does_not_take_leaves_no_schedule(api: Api, wilss: Any, tmp_path: Path) -> None:
    code, _, err = wilss("schedule", "add", "gc", "--every", "1d")
    assert (code, "there is no deployment 'gc/default'" in err) == (2, True)
    assert read_schedules(tmp_path) == []


def suspended(api: Api, run_id: str, until: datetime) -> None:
    """A run that waits for an answer, as a flow that suspends itself leaves it."""
    key, keys = "suspended-1", ("schema", "response", "description")
    details = {"pause_timeout": until.isoformat(), "pause_reschedule": True, "pause_key": "1"}
    details["run_input_keyset"] = {name: f"{key}-{name}" for name in keys}  # type: ignore[assignment]
    schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"approve": {"type": "boolean"}, "who": {"type": "string"}, "why": {"type": "string"}},
        "required": ["approve", "who"],
    }
    if not api.found(f"/flow_runs/{run_id}/input/{key}-schema"):
        api.post(f"/flow_runs/{run_id}/input", {"key": f"{key}-schema", "value": json.dumps(schema)})
    state = {"type": "PAUSED", "name": "Suspended", "state_details": details}
    answered = api.post(f"/flow_runs/{run_id}/set_state", {"state": state, "force": True})
    assert answered["status"] == "ACCEPT", answered


def test_an_answer_lets_a_suspended_run_go_on(api: Api, wilss: Any) -> None:
    for waiting in api.rows("/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["PAUSED"]}}}}):
        api.post(f"/flow_runs/{waiting['id']}/set_state", {"state": {"type": "CANCELLED"}, "force": True})  # of others
    out = wilss("trigger", *STEP, "--detach")[1]
    run_id = out.split("(")[1].split(")")[0]
    code, _, err = wilss("approve", run_id, "--yes", "--why", "better")
    assert (code, "does not wait for an answer, it is scheduled" in err) == (2, True)
    with pytest.raises(ArtefactNotFoundError, match="no run waits for an answer"):
        waiting_run(api)
    suspended(api, run_id, datetime.now(UTC) - timedelta(minutes=1))
    code, _, err = wilss("approve", run_id, "--yes", "--why", "better")
    assert (code, "which has passed; no answer meant no" in err) == (2, True)
    suspended(api, run_id, datetime.now(UTC) + timedelta(hours=1))
    state = read_run(api, run_id).state
    assert state is not None
    assert code_of(state) == 4
    with pytest.raises(SpecError, match="the server does not take the answer"):
        answer(api, waiting_run(api), "perhaps", "me", "why")  # type: ignore[arg-type]
    code, out, err = wilss("approve", "--no", "--why", "ring fell", "--who", "Ada")
    assert (code, "refused by Ada" in out) == (0, True), err
    assert json.loads(json.dumps(api.get(f"/flow_runs/{run_id}/input/suspended-1-response"))) == {
        "approve": False,
        "who": "Ada",
        "why": "ring fell",
    }
    state = read_run(api, run_id).state
    assert state is not None
    assert state.name == "Resuming"
    wilss("cancel", run_id)


def test_a_log_is_told_line_by_line_once(api: Api, wilss: Any) -> None:
    run_id = wilss("trigger", *STEP, "--detach")[1].split("(")[1].split(")")[0]
    log = Log(api, run_id)

    def write(numbers: range) -> None:
        lines = [
            {
                "flow_run_id": run_id,
                "level": 20,
                "message": f"line {n}",
                "name": "wilss",
                "timestamp": (datetime.now(UTC) + timedelta(milliseconds=n)).isoformat(),
            }
            for n in numbers
        ]
        api.post("/logs/", lines)

    write(range(450))
    assert [line.text for line in log.new()] == [f"line {n}" for n in range(450)]
    assert list(log.new()) == []
    write(range(450, 460))
    assert [line.text for line in log.new()] == [f"line {n}" for n in range(450, 460)]
    code, out, _ = wilss("logs", run_id, "--json")
    first = json.loads(out.splitlines()[0])
    assert (code, first["text"], first["run"]) == (0, "line 0", run_id)
    wilss("cancel", run_id)


@pytest.mark.slow
def test_events_start_what_is_deployed_once_each(api: Api, tmp_path: Path) -> None:
    own = Own("pets", "mine", {"benchmark": "scenes-15-5", "method": "fmwiss", "seed": 0}, {"data": str(tmp_path)}, 1)
    made = list(deploy_own(api, tmp_path, own, POOL))
    ids = {one.kind: one.id for one in made if one.kind in ("benchmark", "step")}
    for _ in range(2):  # deployed again, they are not attached twice
        told = attach(api, own, ids)
    assert told[0] == "new images of pets (wilss.images.settled) start step"
    step = api.get("/deployments/name/step/pets")
    time.sleep(1)  # the server reads new automations now and then
    for event_id in [UUID(int=7), UUID(int=7)]:
        post(api.url, IMAGES_SETTLED, folder_resource("pets"), {"images": 12}, event_id)
    post(api.url, IMAGES_SETTLED, folder_resource("others"), {"images": 12})
    (run,) = wait_for(lambda: runs_of(api, step), 30, "a run that the event began")
    assert (run["parameters"]["step"], run["parameters"]["spec"]["benchmark"]) == (1, "scenes-15-5")
    assert run["created_by"]["display_value"] == "new images of pets"
    heard = wait_for(lambda: event_behind(api.url, run["id"]), 30, "the event behind the run")
    assert heard.words == f"event {IMAGES_SETTLED} of wilss.folder.pets, 12 images ({UUID(int=7)})"
    post(api.url, REVIEW_FINISHED, labels_resource("mine"), {"step": 1, "images": 3}, uuid4())
    both = wait_for(lambda: [*found] if len(found := runs_of(api, step)) == 2 else None, 30, "a run of the review")
    reviewed = next(one for one in both if one["id"] != run["id"])
    assert (reviewed["parameters"]["step"], reviewed["parameters"]["spec"]["labels"]) == (1, "reviewed")
    for one in both:
        api.post(
            f"/flow_runs/{one['id']}/set_state", {"state": {"type": "CANCELLED", "name": "Cancelled"}, "force": True}
        )

    changed = Own("pets", "mine", {**own.spec, "seed": 4}, own.settings, 1)
    told = {made.kind: made.changed for made in deploy_own(api, tmp_path, changed, POOL)}
    assert told["step"] == ("spec.seed: 0 -> 4",)
    kept = tmp_path / "service" / "deployments" / "pets.json"
    assert json.loads(kept.read_text())["step"]["spec"]["seed"] == 4, "for who collects garbage"
    lines = list(remove_own(api, tmp_path, "pets"))
    assert "step/pets is removed" in lines
    assert not kept.exists()
    assert not [one for one in api.post("/automations/filter", {}) if "pets" in one["name"]]
    with pytest.raises(ArtefactNotFoundError, match="nothing is deployed as 'pets'"):
        list(remove_own(api, tmp_path, "pets"))


def test_ctrl_c_leaves_the_run_alone_and_says_how_to_go_on(api: Api, tmp_path: Path) -> None:
    env = {**os.environ, "PREFECT_API_URL": api.url, "WILSS_ROOT": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", "from deployments.command import main; main()", "trigger", *STEP]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        begun = process.stdout.readline()
        assert f" waits: pool {POOL} has no worker" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        try:
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
        assert process.returncode == 130, said
    run_id = begun.split("(")[1].split(")")[0]
    assert f"goes on; follow it: wilss logs {run_id} --follow" in said
    assert "stopped" not in said
    state = read_run(api, run_id).state
    assert state is not None
    assert state.type == "SCHEDULED"
    set_state(api, run_id, "CANCELLED")


def set_state(api: Api, run_id: str, kind: str, message: str = "") -> None:
    state = {"type": kind, "name": kind.title(), "message": message}
    answered = api.post(f"/flow_runs/{run_id}/set_state", {"state": state, "force": True})
    assert answered["status"] == "ACCEPT", answered


def test_who_waits_is_told_why_and_sees_a_crashed_run_go_on(
    api: Api, wilss: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (wilss("trigger", *STEP, "--detach")[1].split("(")[1].split(")")[0] for _ in range(2))
    api.post(f"/work_pools/{POOL}/workers/heartbeat", {"name": "w", "heartbeat_interval_seconds": 30})
    assert why_waiting(api, read_run(api, second)) == f"a worker of pool {POOL} takes it next"
    set_state(api, first, "RUNNING")
    name = read_run(api, first).name
    expected = f"pool {POOL} is at work on run {name} (running)"
    assert why_waiting(api, read_run(api, second)) == expected
    monkeypatch.setattr(following, "POLL", 0.2)
    set_state(api, first, "CRASHED", "its process is gone")

    def janitor() -> None:
        time.sleep(2)
        set_state(api, first, "SCHEDULED", "taken up again")
        time.sleep(1)
        set_state(api, first, "COMPLETED", "3 parts made")

    said: list[str] = []
    thread = threading.Thread(target=janitor)
    thread.start()
    run = following.follow(api, first, lambda line: None, said.append)
    thread.join()
    assert run.state is not None
    assert run.state.sentence == "completed: 3 parts made"
    assert f"{name} crashed: its process is gone; the service may take it up again" in said
    code, out, err = wilss("cancel", second)
    assert (code, "is cancelled" in out) == (0, True), err


def test_a_watch_tells_once_and_again_what_it_may_not_have_told(api: Api, wilss: Any, tmp_path: Path) -> None:
    from tests.deployments.test_watching import photo, table

    pets = tmp_path / "pets"
    (pets / "images").mkdir(parents=True)
    for number in range(2):
        photo(pets / "images" / f"{number}.jpg", number)
    table(pets, ["0.jpg,cat", "1.jpg,dog"])
    words = ("watch", pets, "--name", "two", "--at-least", "2", "--settle", "0.1", "--once")
    code, out, err = wilss(*words)
    assert (code, "told: wilss.images.settled of wilss.folder.two, 2 images" in out) == (0, True), err
    code, out, err = wilss(*words)
    assert (code, out, "0 of 2 new tagged images have settled" in err) == (0, "", True)
    path = tmp_path / "service" / "watch" / "two.json"
    watched = json.loads(path.read_text())
    event_id = str(uuid4())
    watched["pending"], watched["told"] = {"id": event_id, "told": watched["told"]}, {}
    path.write_text(json.dumps(watched))  # as who was killed before the server's answer leaves it
    for _ in range(2):
        path.write_text(json.dumps(watched))
        code, out, err = wilss(*words)
        assert (code, event_id in out) == (0, True), err
    asked = {"filter": {"event": {"name": [IMAGES_SETTLED]}, "resource": {"id": ["wilss.folder.two"]}}}
    assert len(api.post("/events/filter", asked)["events"]) == 2, "the same one is kept once"
    assert wilss("watch", tmp_path, "--once")[0] == 2
    (pets / "labels.csv").unlink()
    code, _, err = wilss(*words)
    assert (code, "labels.csv" in err) == (2, True)


def test_deployments_of_ones_own_are_entries_of_the_catalogue() -> None:
    assert all(isinstance(entry, Deployed) for entry in Own("a", "b", {}, {}, 1).entries())
