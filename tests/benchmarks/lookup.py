"""What looking up a finished run costs: ``python -m tests.benchmarks.lookup``.

A finished ``scenes-10-2 --preset tiny`` is started again. The reference is what cannot be spared: one reading of the
run's tags, and a bare start of Prefect's temporary server; each is a process of its own, as the run is, and the three
take turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks import last_line

RUN = ("scenes-10-2", "--preset", "tiny")
TAGS = """
from wilss.data.scenes.source import ScenesSource
from wilss.spec import make_spec
data = make_spec({"benchmark": "scenes-10-2", "preset": "tiny"}).data
assert ScenesSource(data.world, data.n_train, data.n_eval).tags("train")
"""
SERVER = """
import sys
from pathlib import Path
from flows.server import server_at_hand
with server_at_hand(Path(sys.argv[1])):
    pass
"""


def measure(rounds: int) -> dict[str, object]:
    """Median seconds of each process, and the ratio."""
    with tempfile.TemporaryDirectory() as folder:
        again = [sys.executable, "-m", "flows.cli", "run", *RUN, "--root", folder]
        commands = {
            "tags": [sys.executable, "-c", TAGS],
            "server": [sys.executable, "-c", SERVER, folder],
            "run again": again,
        }
        _seconds(again)  # makes everything, and the server's database
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                times[name].append(_seconds(command))
                print(f"{name:<10} {times[name][-1]:6.1f} s", flush=True)
    tags, server, found = (statistics.median(times[name]) for name in commands)
    return {
        "ratio": found / (tags + server),
        "reference": "one reading of the tags and a bare start of Prefect's server",
        "reference_seconds": tags + server,
        "seconds": found,
        "rounds": rounds,
    }


def _seconds(command: list[str]) -> float:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "WILSS_"))}
    start = time.perf_counter()
    done = subprocess.run(command, env=env, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return time.perf_counter() - start


def main() -> None:
    """Measure, print every time and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    last_line("lookup", measure(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
