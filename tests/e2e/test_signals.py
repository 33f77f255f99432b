"""Real processes, really killed: commands end within seconds in one sentence, and leave no server behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.pace import wait_for, within

ROOT = Path(__file__).parents[2]
SECONDS = 12
"""In which a command has to end; it gives itself five."""
STOPPED = "wilss: stopped; the same command goes on where it stopped"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="processes are looked up in /proc"),
]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    begun: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, root: Path = tmp_path / "root", **env: str) -> subprocess.Popen[str]:
        own = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "WILSS_"))}
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.cli", *arguments, "--root", str(root)],
            **{"cwd": ROOT, "env": {**own, "OMP_NUM_THREADS": "1", **env}, "text": True},  # type: ignore[arg-type]
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_heed_control_c,
        )
        begun.append(process)
        return process

    yield begin
    for process in begun:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _heed_control_c() -> None:  # what runs in the background of a shell, as CI may, is born deaf to it
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run(*more: str) -> tuple[str, ...]:
    return ("run", "scenes-15-5", "--preset", "tiny", "--method", "finetune", "--set", "data.n_train=96", *more)


def servers_of(home: Path) -> list[int]:
    """Processes whose working folder is Prefect's home."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == home and "Z" not in (entry / "stat").read_text().rpartition(")")[2][:3]:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def read_until(process: subprocess.Popen[str], line_start: str) -> list[str]:
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if line.startswith(line_start):
            return seen
    pytest.fail(f"'{line_start}' never came:\n{''.join(seen)}")


def server_starts(process: subprocess.Popen[str], home: Path) -> None:
    wait_for(lambda: servers_of(home), 60, "the server's process")


def server_imports(process: subprocess.Popen[str], home: Path) -> None:
    server_starts(process, home)
    time.sleep(2)


def trains(process: subprocess.Popen[str], home: Path) -> None:
    read_until(process, "base student: base")


def just_begun(process: subprocess.Popen[str], home: Path) -> None:
    wait_for(lambda: catches(process.pid, signal.SIGTERM), 10, "a command that hears signals")


def catches(pid: int, number: int) -> bool:
    """Whether a process has set what it does on a signal; before, Python dies of SIGTERM as every program does."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool(int(lines["SigCgt"], 16) >> (number - 1) & 1)


MOMENTS = [just_begun, server_starts, server_imports, trains]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("to_group", [False, pytest.param(True, marks=pytest.mark.whole)])
def test_a_signal_ends_a_command_within_seconds(  # type: ignore[no-untyped-def]
    start, tmp_path: Path, moment: Callable[..., None], number: int, code: int, to_group: bool
) -> None:
    home = tmp_path / "root" / "prefect"
    process = start(*run("base.epochs=200"))
    moment(process, home)
    (os.killpg if to_group else os.kill)(process.pid, number)
    with within(SECONDS):
        output, _ = process.communicate(timeout=10 * SECONDS)
    assert process.returncode == code, output
    assert "Traceback" not in output
    assert output.strip().splitlines()[-1] == STOPPED
    wait_for(lambda: not servers_of(home), 6, f"the end of the server {servers_of(home)}")


@pytest.mark.parametrize("moment", MOMENTS[1:])
def test_a_killed_command_leaves_no_server(start, tmp_path: Path, moment: Callable[..., None]) -> None:  # type: ignore[no-untyped-def]
    home = tmp_path / "root" / "prefect"
    process = start(*run("base.epochs=200"))
    moment(process, home)
    (server,) = servers_of(home)
    process.kill()
    assert process.wait(SECONDS) == -signal.SIGKILL
    wait_for(lambda: server not in servers_of(home), 6, f"the end of the server {server}")
    assert servers_of(home) == [], "nor does another take its place"


def test_a_run_goes_on_when_its_server_is_killed(start, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    process = start(*run("base.epochs=20"))
    trains(process, tmp_path)
    (server,) = servers_of(tmp_path / "root" / "prefect")
    os.kill(server, signal.SIGKILL)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    assert "server has ended" in output
    assert list((tmp_path / "root" / "runs").glob("*/report.json"))


def test_a_damaged_database_is_put_aside(start, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    home = tmp_path / "root" / "prefect"
    home.mkdir(parents=True)
    (home / "prefect.db").write_bytes(b"no database" * 1000)
    process = start(*run("base.epochs=1", "step.epochs=1"))
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    assert (home / "prefect.db.damaged").is_file()


def test_a_server_that_cannot_start_is_named(start, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    home = tmp_path / "root" / "prefect"
    (home / "prefect.db").mkdir(parents=True)
    with within(40):
        process = start(*run("base.epochs=1"))
        output, _ = process.communicate(timeout=240)
    assert process.returncode == 2
    assert output.strip().splitlines()[-1].startswith("wilss: Prefect's temporary server does not start (")
    assert str(home) in output
    assert "Traceback" not in output


def test_what_the_environment_says_breaks_no_run(start, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    odd = tmp_path / "r %41 ?x#'ü"
    names = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY")
    proxies = dict.fromkeys(names, "http://127.0.0.1:9")
    others = {"PREFECT_API_URL": "", "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false", "HOME": "/proc"}
    arguments = run("base.epochs=1", "step.epochs=1", "data.n_eval=8")
    process = start(*arguments, **proxies, **others, root=odd)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    assert (odd / "prefect" / "prefect.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [odd.name]
