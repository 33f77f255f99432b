"""The setting ``runner``: what it may be, and what is said where it cannot be had, before anything is computed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flows.machine import machine_settings, variables_of
from flows.runners import parts_of, require_runner
from wilss.errors import RunnerError, SpecError
from wilss.settings import Settings
from wilss.spec import make_spec

RUN = ("run", "scenes-15-5", "--preset", "tiny")


@pytest.fixture
def web_server() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.mark.parametrize("runner", ["spark", "dask:", "dask: ", "Dask", "threads:4", ""])
def test_what_is_no_runner_is_one_sentence(wilss, runner: str) -> None:  # type: ignore[no-untyped-def]
    code, out, err = wilss(*RUN, "--runner", runner, "--dry-run")
    assert (code, out) == (2, "")
    assert err == (
        f"wilss: runner '{runner}' is none of threads, dask and dask:ADDRESS, such as dask:tcp://127.0.0.1:8786; give "
        "another with --runner, or with WILSS_RUNNER\n"
    )


def test_it_comes_from_the_environment_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WILSS_RUNNER", "dask:tcp://10.0.0.5:8786")
    settings = machine_settings()
    assert settings.scheduler == "tcp://10.0.0.5:8786"
    assert variables_of(settings)["WILSS_RUNNER"] == "dask:tcp://10.0.0.5:8786"
    assert machine_settings(runner="threads").scheduler == ""


def test_it_is_in_no_digest() -> None:
    spec = make_spec({"benchmark": "scenes-15-5"})
    assert "runner" not in str(spec.facts())
    assert Settings(runner="dask").sources == Settings().sources


@pytest.mark.usefixtures("prefect_backend")
def test_an_address_without_a_scheduler_is_one_sentence(wilss, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    address = f"tcp://127.0.0.1:{free_port()}"
    code, out, err = wilss(*RUN, "--root", tmp_path, "--runner", f"dask:{address}")
    assert (code, out) == (2, "")
    assert f"wilss: no Dask scheduler answers at '{address}' (" in err
    assert err.endswith(
        "); start one with 'dask scheduler', name another with --runner dask:ADDRESS, or give --runner threads\n"
    )
    assert "Traceback" not in err
    assert not (tmp_path / "checkpoints").exists(), "nothing was computed before"


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:PORT", "nonsense://x", "tcp://no such host:1", "8786", "tls://127.0.0.1:PORT"]
)
def test_so_is_what_is_no_scheduler(address: str, web_server: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import flows.dask_connect

    monkeypatch.setattr(flows.dask_connect, "CONNECT_SECONDS", 2.0)
    with pytest.raises(RunnerError, match="no Dask scheduler answers at '") as told:
        require_runner(Settings(runner=f"dask:{address.replace('PORT', str(web_server))}"))
    assert "\n" not in str(told.value)


def test_a_missing_extra_names_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    import flows.runners

    monkeypatch.setattr(flows.runners, "PACKAGES", ("distributed_of_nobody", "prefect_dask"))
    with pytest.raises(SpecError, match=r"needs distributed-of-nobody; install them with pip install 'wilss\[dask\]'"):
        require_runner(Settings(runner="dask"))
    require_runner(Settings())


def test_parts_are_whole_but_for_the_last() -> None:
    assert parts_of(10, 4) == [4, 4, 2]
    assert parts_of(8, 4) == [4, 4]
    assert parts_of(0, 4) == []
