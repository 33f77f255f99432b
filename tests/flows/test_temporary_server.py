"""The database of a temporary server: begun with an empty one of this release of Prefect, where there is one."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from flows.server import TemporaryServer
from flows.temporary_server import begin_with, empty_database, keep_empty


def made(path: Path, runs: int = 0) -> Path:
    """A database with the table that is looked at."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE flow_run (id INTEGER)")
        connection.executemany("INSERT INTO flow_run VALUES (?)", [(number,) for number in range(runs)])
    return path


def runs_in(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM flow_run").fetchone()[0])


def test_a_database_that_was_made_is_kept_and_begun_with(tmp_path: Path) -> None:
    empty = tmp_path / "caches" / "wilss" / "prefect.db"
    keep_empty(made(tmp_path / "first.db"), empty)
    begin_with(empty, tmp_path / "second.db")
    assert runs_in(tmp_path / "second.db") == 0
    assert [path.name for path in empty.parent.iterdir()] == ["prefect.db"]


@pytest.mark.parametrize("fault", ["cut", "rubbish", "history"])
def test_one_that_is_damaged_or_has_a_history_is_removed(tmp_path: Path, fault: str) -> None:
    empty, database = made(tmp_path / "empty.db", 3 if fault == "history" else 0), tmp_path / "prefect.db"
    content = {"cut": empty.read_bytes()[:5000], "rubbish": b"no database" * 1000}.get(fault, empty.read_bytes())
    empty.write_bytes(content)
    begin_with(empty, database)
    assert (empty.exists(), database.exists()) == (False, False)


def test_what_is_left_of_a_database_that_was_taken_away_is_not_written_into_the_new_one(tmp_path: Path) -> None:
    empty, database = made(tmp_path / "empty.db"), tmp_path / "prefect.db"
    with closing(sqlite3.connect(made(tmp_path / "old.db"))) as connection, connection:
        connection.execute("INSERT INTO flow_run VALUES (1)")
        connection.commit()
        left = (tmp_path / "old.db-wal").read_bytes()
    assert left
    (tmp_path / "prefect.db-wal").write_bytes(left)
    begin_with(empty, database)
    assert runs_in(database) == 0
    assert not (tmp_path / "prefect.db-wal").exists()


def test_a_full_disk_is_no_fault_of_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = made(tmp_path / "empty.db")

    def full(*paths: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("flows.temporary_server.shutil.copyfile", full)
    begin_with(empty, tmp_path / "prefect.db")
    assert empty.is_file()
    assert not (tmp_path / "prefect.db").exists()


def test_without_caches_every_database_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    empty = empty_database()
    keep_empty(made(tmp_path / "first.db"), empty)
    begin_with(empty, tmp_path / "second.db")
    assert not (tmp_path / "second.db").exists()


@pytest.mark.slow
def test_a_real_server_keeps_one_and_the_next_begins_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    for name in ("first", "second"):
        home = tmp_path / name
        home.mkdir()
        monkeypatch.setenv("PREFECT_HOME", str(home))
        server = TemporaryServer(home)
        server.wait_until_it_answers()
        server.stop()
        assert runs_in(home / "prefect.db") == 0
        kept = empty_database()
        if name == "first":
            os.utime(kept, (0, 0))
    assert kept.stat().st_mtime == 0, "the second server made none"
