"""What the environment says is put right, or said at once."""

from __future__ import annotations

import importlib.util
import os
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path
from urllib.request import getproxies, proxy_bypass

import httpx
import pytest

from flows.surroundings import named_server, prefect_home, spare_loopback
from flows.temporary_server import tidy
from tests.pace import within
from wilss.errors import ServerNotFoundError, SpecError

SPELLINGS = [spelled for name in ("all_proxy", "http_proxy", "https_proxy") for spelled in (name, name.upper())]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*SPELLINGS, "no_proxy", "NO_PROXY", "PREFECT_API_URL", "PREFECT_HOME"):
        monkeypatch.setenv(name, "")  # so that the end of the test undoes what the code sets
        monkeypatch.delenv(name)


@pytest.mark.parametrize("others", ["", "intern.example, .corp", "*"])
@pytest.mark.parametrize("name", SPELLINGS)
def test_loopback_never_goes_through_a_proxy(name: str, others: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    if others:
        monkeypatch.setenv("NO_PROXY", others)
    assert spare_loopback() == []
    assert getproxies()
    assert all(proxy_bypass(host) for host in ("127.0.0.1", "localhost"))
    assert proxy_bypass("intern.example") == bool(others)
    assert proxy_bypass("pypi.org") == (others == "*")
    assert spare_loopback() == []
    assert os.environ["NO_PROXY"].count("127.0.0.1") == (others != "*")
    with socket.create_server(("127.0.0.1", 0)) as server, httpx.Client(timeout=0.3) as client:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(httpx.ReadTimeout):  # it was reached, which answers nothing
            client.get(url)


def test_a_socks_proxy_that_httpx_cannot_use_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    told = spare_loopback()
    httpx.Client().close()
    if importlib.util.find_spec("socksio") is None:
        assert told == ["ALL_PROXY is not used: a SOCKS proxy needs the package socksio (pip install socksio)"]


@pytest.mark.parametrize("url", ["", "  "])
def test_an_empty_address_is_none(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", url)
    assert named_server() == ""
    assert "PREFECT_API_URL" not in os.environ


@pytest.mark.parametrize("url", ["here", "ftp://x/api", "http://", "http://h:port/api", "http://[::1/api", "\x1b[2J"])
def test_what_is_no_address_is_said(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", url)
    with pytest.raises(ServerNotFoundError, match=r"is no address such as .* or unset PREFECT_API_URL"):
        named_server()


def test_a_server_that_is_not_there_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/api"
        monkeypatch.setenv("PREFECT_API_URL", url)
        assert named_server() == url
    for wrong in (url, "http://no-such-host.invalid/api"):
        monkeypatch.setenv("PREFECT_API_URL", wrong)
        with within(10), pytest.raises(ServerNotFoundError, match=f"no Prefect server answers at {wrong}"):
            named_server()


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert prefect_home(tmp_path / "r %41 ?x'ü") == tmp_path / "r %41 ?x'ü" / "prefect"
    (tmp_path / "file").touch()
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "file"))
    with pytest.raises(SpecError, match="file' cannot be written to"):
        prefect_home(tmp_path)


@pytest.fixture
def history(tmp_path: Path) -> Callable[[], dict[str, int]]:
    """A database as Prefect's, with 30 finished runs, one that goes on and one that was killed long ago."""
    path = tmp_path / "prefect.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            """
            CREATE TABLE flow_run (id TEXT PRIMARY KEY, end_time DATETIME, created DATETIME);
            CREATE TABLE flow_run_state (flow_run_id TEXT REFERENCES flow_run(id) ON DELETE CASCADE);
            CREATE TABLE log (timestamp DATETIME);
            CREATE TABLE events (occurred DATETIME);
            CREATE TABLE event_resources (occurred DATETIME);
            """
        )
        for day in range(1, 31):
            when = f"2026-01-{day:02} 10:00:00.000000"
            connection.execute("INSERT INTO flow_run VALUES (?, ?, ?)", (str(day), when, when))
            connection.execute("INSERT INTO flow_run_state VALUES (?)", (str(day),))
            for table in ("log", "events", "event_resources"):
                connection.execute(f"INSERT INTO {table} VALUES (?)", (when,))
        connection.execute("INSERT INTO flow_run VALUES ('now', NULL, '2026-01-02 10:00:00.000000')")
        connection.execute("INSERT INTO flow_run VALUES ('killed', NULL, '2025-11-02 10:00:00.000000')")
    connection.close()

    def count() -> dict[str, int]:
        with sqlite3.connect(path) as connection:
            tables = ("flow_run", "flow_run_state", "log", "events", "event_resources")
            found = {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}
        connection.close()
        return found

    return count


def test_only_the_newest_finished_runs_keep_records(tmp_path: Path, history: Callable[[], dict[str, int]]) -> None:
    path = tmp_path / "prefect.db"
    before = history()
    tidy(path, kept=30)
    assert history() == before
    tidy(path, kept=10)
    assert history() == {"flow_run": 11, "flow_run_state": 10, "log": 10, "events": 10, "event_resources": 10}
    with sqlite3.connect(path) as connection:
        kept = {row[0] for row in connection.execute("SELECT id FROM flow_run")}
    connection.close()
    assert kept == {"now", *map(str, range(21, 31))}


def test_the_tables_of_prefect_are_those_that_are_tidied() -> None:
    from prefect.server.database import provide_database_interface

    db = provide_database_interface()
    columns = {
        "flow_run": {"id", "end_time", "created"},
        "log": {"timestamp"},
        "events": {"occurred"},
        "event_resources": {"occurred"},
    }
    tables = db.Base.metadata.tables
    for name, needed in columns.items():
        assert needed <= {column.name for column in tables[name].columns}
    for child in ("flow_run_state", "task_run"):
        (key,) = tables[child].columns["flow_run_id"].foreign_keys
        assert (key.column.table.name, key.ondelete.lower()) == ("flow_run", "cascade")


def test_a_damaged_database_is_put_aside_and_others_are_left(
    tmp_path: Path, history: Callable[[], dict[str, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "prefect.db"
    whole = path.read_bytes()
    path.write_bytes(whole[:1000] + b"\0" * 8000)
    tidy(path)
    assert not path.exists()
    assert f"'{path}' is damaged (" in capsys.readouterr().err
    other = tmp_path / "other.db"
    sqlite3.connect(other).close()
    tidy(other, kept=0)
    assert other.is_file()
