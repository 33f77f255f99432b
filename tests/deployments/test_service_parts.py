"""Parts of the service without a server: the leash, children, environments, options."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deployments.service import children
from deployments.service.children import Child, bound_log
from deployments.service.options import (
    UpOptions,
    client_environment,
    device_environment,
    require_sound,
    server_environment,
)
from deployments.service.ports import free_port, listening_socket
from deployments.service.processes import is_alive
from deployments.service.starting import options_of
from flows.machine import variables_of
from tests.pace import wait_for, within
from wilss.errors import SpecError
from wilss.settings import Settings

CHECKOUT = str(Path(__file__).parents[2])
SLEEPER = """
import subprocess, sys, time
command = [sys.executable, "-P", "-m", "deployments.service.leash", "sleeper"]
print(subprocess.Popen(command).pid, flush=True)
time.sleep(600)
"""


def sleeper(folder: Path, code: str = "") -> None:
    (folder / "sleeper.py").write_text(
        f"import os, sys, time\n{code}\nprint('begun', sys.argv[1:], flush=True)\ntime.sleep(600)"
    )


def child_of(folder: Path, env: dict[str, str] | None = None) -> Child:
    path = os.pathsep.join([CHECKOUT, str(folder)])
    return Child(
        "one", "sleeper", ("--a", "b"), {**os.environ, "PYTHONPATH": path, **(env or {})}, folder / "one.log", folder
    )


def test_on_the_leash_a_process_ends_with_its_starter_however_that_ends(tmp_path: Path) -> None:
    sleeper(tmp_path)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([CHECKOUT, str(tmp_path)])}
    starter = subprocess.Popen([sys.executable, "-c", SLEEPER], env=env, stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    leashed = int(starter.stdout.readline())
    assert "begun" in starter.stdout.readline()
    os.kill(starter.pid, signal.SIGKILL)
    starter.wait()
    wait_for(lambda: not is_alive(leashed), 3, "its end")
    starter.stdout.close()


def test_a_process_whose_starter_was_gone_before_it_looked_ends_too(tmp_path: Path) -> None:
    sleeper(tmp_path)
    child = child_of(tmp_path, {"WILSS_LEASH": "999999999"})
    child.start()
    wait_for(lambda: child.code is not None, 5, "its end")
    assert child.code == 1


def test_a_child_has_its_arguments_its_log_and_an_end(tmp_path: Path) -> None:
    sleeper(tmp_path, "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    child = child_of(tmp_path, {"WILSS_LEASH": str(os.getpid())})
    child.start()
    wait_for(lambda: "begun ['--a', 'b']" in child.tail(), 10, "its first line")
    child.ask_to_end()
    with within(2):
        child.end(0.3)
    assert child.code == -signal.SIGKILL


def test_a_child_that_ends_again_and_again_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(children.time, "monotonic", lambda: now[0])

    def ends_after(seconds: float) -> bool:
        child.start()
        child.end(0)
        now[0] += seconds
        return child.may_start_again()

    sleeper(tmp_path)
    child = child_of(tmp_path, {"WILSS_LEASH": str(os.getpid())})
    assert [ends_after(children.SOON - 1) for _ in range(children.RESTARTS)] == [True, True, True, True, False]
    assert all(ends_after(children.SOON + 1) for _ in range(20)), "what worked is started again"
    assert [ends_after(1) for _ in range(children.RESTARTS)] == [True, True, True, True, False]


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("alembic.util.exc.CommandError: Can't locate revision identified by 'abc'", "written by a newer Prefect"),
        ("ConnectionRefusedError: [Errno 111] Connect call failed ('127.0.0.1', 5432)", "its database does not answer"),
        ("sqlite3.DatabaseError: file is not a database", "its database is damaged: move 'prefect.db' away"),
        ("ValueError: something new", "exit code 3: begun / ValueError: something new / Application startup failed."),
    ],
)
def test_why_a_child_ended_is_said_in_words(log: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "sleeper.py").write_text(
        f"import sys\nprint('begun')\nprint({log!r})\nprint('Application startup failed.')\nsys.exit(3)"
    )
    (tmp_path / "one.log").write_text("No space left on device, said one that ran before\n")
    child = child_of(tmp_path, {"WILSS_LEASH": str(os.getpid())})
    child.start()
    wait_for(lambda: child.code is not None, 10, "its end")
    assert said in children.why(child)


def test_logs_stay_small_while_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "LOG_BYTES", 1000)
    log = tmp_path / "a.log"
    with log.open("ab", buffering=0) as writer:
        for number in range(100):
            writer.write(f"line {number:04d} {'x' * 40}\n".encode())
            bound_log(log)
    assert log.stat().st_size <= 1100
    kept = (tmp_path / "a.log.1").read_text() + log.read_text()
    assert kept.endswith("line 0099 " + "x" * 40 + "\n")
    assert (tmp_path / "a.log.1").stat().st_size <= 1000


def test_children_have_nothing_of_the_callers_prefect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PREFECT_API_URL": "http://elsewhere/api",
        "PREFECT_API_KEY": "k",
        "PREFECT_PROFILES_PATH": "/p",
        "PREFECT_API_DATABASE_CONNECTION_URL": "sqlite+aiosqlite:////elsewhere.db",
        "WILSS_AUTH": "a:secret",
        "WILSS_WEIGHTS": "/weights",
    }.items():
        monkeypatch.setenv(name, value)
    options = UpOptions(root=tmp_path / "root", folder=tmp_path, settings={"WILSS_ROOT": str(tmp_path / "root")})
    server, client = server_environment(options, 4201), client_environment(options, 4201)
    for env in (server, client):
        assert not {"PREFECT_API_KEY", "PREFECT_PROFILES_PATH", "WILSS_AUTH"} & env.keys()
        assert "secret" not in str(env)
        assert env["PREFECT_HOME"] == str(tmp_path / "root" / "service" / "prefect")
        assert env["DO_NOT_TRACK"] == "1"
        assert env["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
        assert env["WILSS_WEIGHTS"] == "/weights"
        assert env["WILSS_ROOT"] == str(tmp_path / "root")
    assert "PREFECT_API_URL" not in server
    assert server["PREFECT_SERVER_DATABASE_CONNECTION_URL"] == "sqlite+aiosqlite:///prefect.db"
    assert client["PREFECT_API_URL"] == "http://127.0.0.1:4201/api"
    with_password = options.model_copy(update={"auth": "me:secret", "database": "postgresql://u:p@h/d"})
    assert server_environment(with_password, 1)["PREFECT_SERVER_API_AUTH_STRING"] == "me:secret"
    assert (
        server_environment(with_password, 1)["PREFECT_SERVER_DATABASE_CONNECTION_URL"] == "postgresql+asyncpg://u:p@h/d"
    )


def test_a_pool_is_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert device_environment("cpu") == {"WILSS_DEVICE": "cpu"}
    assert device_environment("gpu:1") == {"WILSS_DEVICE": "cuda", "CUDA_VISIBLE_DEVICES": "1"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-7")
    assert device_environment("gpu:1")["CUDA_VISIBLE_DEVICES"] == "GPU-7"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"auth": "me"}, "--auth is not USER:PASSWORD"),
        ({"auth": ":x"}, "--auth is not USER:PASSWORD"),
        ({"database": "mysql://a/b"}, "--database names a 'mysql' database"),
        ({"port": 70000}, "port"),
        ({"keep_days": 0}, "keep_days"),
    ],
)
def test_options_that_cannot_be_are_one_sentence(given: dict[str, object], said: str) -> None:
    told = {"port": 4200, "inspector_port": 8460, "database": "", "keep_days": 30, "auth": "", **given}
    with pytest.raises(SpecError, match=said):
        options_of(Settings(), told)


def test_secrets_come_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WILSS_AUTH", "me:secret")
    told = {"port": 0, "inspector_port": 0, "database": "", "keep_days": 30, "auth": ""}
    assert require_sound(options_of(Settings(), told)).auth == "me:secret"
    assert options_of(Settings(), {**told, "auth": "you:other"}).auth == "you:other"


def test_paths_of_settings_hold_in_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = variables_of(Settings(root=Path("r"), data=Path("d"), imports=(Path("a.py"), Path("b.py")), workers=2))
    files = os.pathsep.join([str(tmp_path / "a.py"), str(tmp_path / "b.py")])
    assert told == {
        "WILSS_ROOT": str(tmp_path / "r"),
        "WILSS_DATA": str(tmp_path / "d"),
        "WILSS_IMPORTS": files,
        "WILSS_DEVICE": "auto",
        "WILSS_DEVICES": "1",
        "WILSS_RUNNER": "threads",
        "WILSS_WORKERS": "2",
    }


def test_a_port_in_use_says_so() -> None:
    with listening_socket(0, "--port") as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            SpecError, match=rf"port {port} cannot be used \(Address already in use\); end what listens"
        ):
            free_port(port, "--port")
    assert free_port(port, "--port") == port
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(SpecError, match="choose another with --in"):
        listening_socket(other.getsockname()[1], "--inspector-port")
