"""A temporary Prefect server, run as a script by `flows.server`: it ends with the process that started it.

Arguments: the number of an open, listening socket, and the process id of the starter. Standard input is a pipe whose
other end the starter holds. Whatever way the starter ends, that end closes.
"""

from __future__ import annotations

import os
import select
import shutil
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path

NAMED = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
KEPT_RUNS = 100
"""Finished runs whose records are kept; of older ones only what Prefect still works on."""
FORGOTTEN_DAYS = 30
"""A run that has not ended by then was killed."""
GRACE = 3.0
"""Seconds in which the server may write what it was sent last."""
OLD = {
    "flow_run": "COALESCE(end_time, datetime(created, '+{days} days')) <= :cut",
    "log": "timestamp <= :cut",
    "event_resources": "occurred <= :cut",
    "events": "occurred <= :cut",
}
"""Tables of records and which of their rows go; states and task runs go with their flow run."""


def main(listening: int, starter: int) -> None:
    """Serve until the starter is gone."""
    stop = _Stop()
    threading.Thread(target=_follow, args=(starter, stop), daemon=True).start()
    database = Path("prefect.db")
    empty = empty_database()
    if database.is_file():
        tidy(database)
    elif os.environ.get(NAMED) == f"sqlite+aiosqlite:///{database}":
        begin_with(empty, database)
    is_new = not database.is_file()
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            """Nothing can be written between the end of this and the copy, as the loop is not given back."""
            await super().startup(sockets)
            if is_new and self.started and database.is_file():
                keep_empty(database, empty)

    config = uvicorn.Config(
        "prefect.server.api.server:create_app", factory=True, log_level="error", lifespan="on", access_log=False
    )
    server = Server(config)
    stop.gently = lambda: setattr(server, "should_exit", True)
    server.run(sockets=[socket.socket(fileno=listening)])
    if not server.started:
        sys.exit(3)


class _Stop:
    """How to end: at once before there is a server, gently afterwards."""

    gently: Callable[[], None] | None = None


def _follow(starter: int, stop: _Stop) -> None:
    """Wait for the end of the starter; the pipe may be held by others it forked, so its process id counts too."""
    while os.getppid() == starter:
        if select.select([0], [], [], 1.0)[0] and not os.read(0, 1):
            break
    if stop.gently is not None:
        stop.gently()
        time.sleep(GRACE)
    os._exit(0)


def empty_database() -> Path:
    """Where this user's caches keep a database of this release of Prefect without any history."""
    caches = os.environ.get("XDG_CACHE_HOME")
    with suppress(RuntimeError):  # a user without a home
        caches = caches or str(Path.home() / ".cache")
    return Path(caches or "caches").resolve() / "wilss" / f"prefect-{version('prefect')}.db"


def begin_with(empty: Path, database: Path) -> None:
    """Copy the empty database: all of Prefect's migrations take six seconds. Remove it where it is damaged."""
    if not empty.is_file():
        return
    partial = database.with_name(f"{database.name}.{os.getpid()}.partial")
    try:
        with closing(sqlite3.connect(f"{empty.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            pages, of, checked, runs = (
                connection.execute(question).fetchone()[0]
                for question in (
                    "PRAGMA page_count",
                    "PRAGMA page_size",
                    "PRAGMA quick_check",
                    "SELECT count(*) FROM flow_run",
                )
            )
        if (pages * of, checked, runs) == (empty.stat().st_size, "ok", 0):
            shutil.copyfile(empty, partial)
            for ending in (
                "-wal",
                "-shm",
            ):  # of a database that somebody took away: SQLite would write them into this one
                database.with_name(database.name + ending).unlink(missing_ok=True)
            partial.replace(database)
            return
    except sqlite3.DatabaseError:
        pass
    except OSError:  # of the disk or of rights, and no fault of what is kept
        partial.unlink(missing_ok=True)
        return
    with suppress(OSError):
        empty.unlink()


def keep_empty(database: Path, empty: Path) -> None:
    """Keep a copy of a database that was just made; where caches cannot be written to, the next one is made too."""
    partial = empty.with_name(f"{empty.name}.{os.getpid()}.partial")
    with suppress(sqlite3.Error, OSError):
        empty.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(partial)) as target:
                source.backup(target)
                target.execute("PRAGMA journal_mode=DELETE")
            partial.replace(empty)
        finally:
            partial.unlink(missing_ok=True)


def tidy(database: Path, kept: int = KEPT_RUNS) -> None:
    """Bound the history: only the newest finished runs keep their records; a damaged file is put aside.

    What another release of Prefect has in other tables stays.
    """
    try:
        with sqlite3.connect(database, timeout=5) as connection:
            _forget(connection, kept)
    except sqlite3.OperationalError:
        return  # locked by another server, or tables of another release: the history stays as it is
    except sqlite3.DatabaseError as error:
        aside = database.with_name(f"{database.name}.damaged")
        print(f"'{database.resolve()}' is damaged ({error}); it is put aside as '{aside.name}'", file=sys.stderr)
        database.replace(aside)
        for ending in ("-wal", "-shm"):
            database.with_name(database.name + ending).unlink(missing_ok=True)
    finally:
        if "connection" in locals():
            connection.close()


def _forget(connection: sqlite3.Connection, kept: int) -> None:
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    ended = "SELECT end_time FROM flow_run WHERE end_time IS NOT NULL ORDER BY end_time DESC LIMIT 1 OFFSET ?"
    if cut := connection.execute(ended, (kept,)).fetchone():
        for table, old in OLD.items():
            connection.execute(f"DELETE FROM {table} WHERE {old.format(days=FORGOTTEN_DAYS)}", {"cut": cut[0]})


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
