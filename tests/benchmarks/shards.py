"""What 100,000 shards cost that do nothing: ``python -m tests.benchmarks.shards``.

First Prefect alone, some hundred shards as task runs of one flow, one after the other, with a server and database of
their own; then Dask's scheduler alone, all of them over two workers, as many at a time as a run sends. For both:
seconds a shard; for the scheduler also how the second half compares with the first, and the memory it took. The last
line is JSON, with the hours that both would take for the shards of 10^6, 10^8 and 10^9 images.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from logging import CRITICAL
from pathlib import Path

from tests.benchmarks import last_line

SHARD = 128
"""Images of a label set's shard."""
HERE = {"host": "127.0.0.1", "dashboard_address": None}
SIZES = (10**6, 10**8, 10**9)


def nothing(shard: int) -> int:
    """A shard that is done at once."""
    return shard


def prefect_seconds(count: int) -> float:
    """Seconds of a shard as a task run."""
    code = (
        "import sys; from pathlib import Path; from tests.benchmarks.orchestration import shards; "
        f"print(shards(Path(sys.argv[1]), {count})['tasks'])"
    )
    with tempfile.TemporaryDirectory() as root:
        done = subprocess.run([sys.executable, "-c", code, root], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1]) / count


def dask_seconds(count: int) -> dict[str, float]:
    """Seconds of a shard, of the first and the second half, and the memory that the scheduler took more, in MiB."""
    from distributed import Client, LocalCluster, as_completed

    from flows.dask_mapping import AHEAD

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, silence_logs=CRITICAL, **HERE) as cluster,  # type: ignore[no-untyped-call]
        Client(cluster) as client,  # type: ignore[no-untyped-call]
    ):
        before, begun = _resident(), time.perf_counter()
        coming: Iterator[int] = iter(range(count))
        waiting = as_completed([client.submit(nothing, shard, pure=False) for shard in islice(coming, AHEAD)])  # type: ignore[no-untyped-call]
        done, half = 0, 0.0
        for future in waiting:
            assert future.status == "finished"
            done += 1
            half = time.perf_counter() - begun if done == count // 2 else half
            if (shard := next(coming, None)) is not None:
                waiting.add(client.submit(nothing, shard, pure=False))  # type: ignore[no-untyped-call]
        taken = time.perf_counter() - begun
        assert done == count
        more = _resident() - before
    return {"seconds": taken / count, "growth": (taken - half) / half, "mib": more / 2**20}


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=100_000)
    parser.add_argument("--tasks", type=int, default=500)
    given = parser.parse_args()
    task, dask = prefect_seconds(given.tasks), dask_seconds(given.shards)
    hours = {
        f"{n:.0e}": {"prefect": n / SHARD * task / 3600, "dask": n / SHARD * dask["seconds"] / 3600} for n in SIZES
    }
    print(f"Prefect {1e3 * task:.1f} ms a shard; Dask {1e3 * dask['seconds']:.2f} ms, {dask['mib']:.0f} MiB more")
    last_line("shards", {"shards": given.shards, "task_seconds": task, "dask": dask, "hours": hours})


if __name__ == "__main__":
    main()
