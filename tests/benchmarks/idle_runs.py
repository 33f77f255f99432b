"""What runs that find everything leave behind: ``python -m tests.benchmarks.idle_runs [--runs 200]``.

A real service makes a tiny benchmark once; the same deployment is then run again and again, and nothing has to be made.
Before and after, when nothing is at work, the processes of the service are counted, their threads and open files, the
entries of all temporary folders, and the bytes of the database, of which a run's own share is what retention prunes.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from tests.benchmarks import last_line
from tests.e2e.serving import Serving, serving

SETTLE = 8.0
"""Seconds in which the server writes what it was told last."""


def measure(runs: int, batch: int = 20, alone: Callable[[], Any] = nullcontext) -> dict[str, object]:
    """Run it so often, ``batch`` runs at a time, and compare.

    Args:
        alone: makes a context that each batch runs in.
    """
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as service:
        with alone():
            service.finish(service.trigger())
            service.finish(service.trigger())  # the first one that finds everything imports what stays imported
            before = counted(service)
        print(f"before {before}", flush=True)
        done, seconds = 0, 0.0
        while done < runs:
            with alone():
                begun, number = time.monotonic(), min(batch, runs - done)
                for run in [service.trigger() for _ in range(number)]:
                    service.finish(run)
                done, seconds = done + number, seconds + time.monotonic() - begun
                print(f"{done:4} {counted(service)}", flush=True)
        after = counted(service)
    growth = {key: after[key] - before[key] for key in before}
    return {
        "runs": runs,
        "seconds_per_run": seconds / runs,
        "database_bytes_per_run": growth["database"] / runs,
        "before": before,
        "growth": growth,
    }


def counted(service: Serving) -> dict[str, int]:
    """Of all processes of the service: how many, their threads, open files; temporary entries; bytes in use."""
    time.sleep(SETTLE)
    pids = service.everything()
    temporary = [service.root / "service" / "tmp", service.folder / "tmp"]
    return {
        "processes": len(pids),
        "threads": sum(len([*Path(f"/proc/{pid}/task").iterdir()]) for pid in pids),
        "files": sum(len([*Path(f"/proc/{pid}/fd").iterdir()]) for pid in pids),
        "temporary": sum(1 for path in temporary for _ in path.rglob("*")),
        "database": in_use(service.root / "service" / "prefect" / "prefect.db"),
        "memory": sum(resident(pid) for pid in pids),
    }


def in_use(database: Path) -> int:
    """Bytes of the pages of a database that hold something."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        count, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
    finally:
        connection.close()
    return int((count - free) * size)


def resident(pid: int) -> int:
    """Bytes of memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Print what grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    last_line("idle_runs", measure(parser.parse_args().runs))


if __name__ == "__main__":
    main()
