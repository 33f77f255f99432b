"""What Prefect costs: ``python -m tests.benchmarks.orchestration``.

The same benchmark twice in fresh processes, as a flow with its temporary server and as plain functions. What the bodies
of the tasks take is left out on both sides, as training takes minutes and never the same: the share is what is left of
the one, less what is left of the other without the import of Prefect. Then 500 shards that do nothing, as tasks of one
flow and as calls of a function. The first run of a user makes a database that later roots begin with; what that takes
is told apart ("first_database").
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.benchmarks import last_line

SHARDS = 500
KINDS = ("", " cpu")
"""Seconds by the clock, and of computing in all processes, which tell more on a machine that others use too."""
GOALS = {"seconds": 8.0, "percent": 5.0, "seconds_per_shard": 0.1}
SPECS = {
    "demo": {
        "benchmark": "scenes-15-5",
        "base": {"epochs": 4},
        "step": {"epochs": 4},
        "fmwiss": {"warmup_epochs": 1},
    },
    "tiny": {"benchmark": "scenes-15-5", "preset": "tiny"},
}
TASKS = {
    "flows.stages": (
        "base_student",
        "memory_bank",
        "step_student",
        "begin_labels",
        "label_shard",
        "label_set",
    ),
    "flows.scoring": ("evaluation",),
    "flows.benchmark": ("prepare_data", "write_report"),
}


class Clock:
    """Seconds inside of what it has wrapped, by the clock and of computing."""

    def __init__(self) -> None:
        self.seconds = self.computing = 0.0

    def around(self, body: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(body)  # Prefect reads parameters off it
        def timed(*given: Any, **named: Any) -> Any:
            start, computed = time.perf_counter(), time.process_time()
            try:
                return body(*given, **named)
            finally:
                self.seconds += time.perf_counter() - start
                self.computing += time.process_time() - computed

        return timed


def as_flow(name: str, root: Path) -> dict[str, float]:
    """Run a benchmark as the command line does; seconds in the bodies of its tasks."""
    from flows.server import server_at_hand

    clock = Clock()
    with server_at_hand(root):
        import importlib

        from flows.benchmark import run_benchmark
    for module, names in TASKS.items():
        for task in (getattr(importlib.import_module(module), one) for one in names):
            task.fn = clock.around(task.fn)
    spec, settings = _given(name, root)
    run_benchmark(spec, settings)
    return {"bodies": clock.seconds, "bodies cpu": clock.computing}


def as_functions(name: str, root: Path) -> dict[str, float]:
    """The same stages without a flow, a task or a server; also what importing Prefect took."""
    start, computed = time.perf_counter(), time.process_time()

    imported, import_cpu = time.perf_counter() - start, time.process_time() - computed
    import importlib

    clock = Clock()
    for module, names in TASKS.items():
        home = importlib.import_module(module)
        for one in names:
            setattr(home, one, clock.around(getattr(home, one).fn))
    stages = importlib.import_module("flows.stages")
    stages._label = lambda run, step: _labelled(stages, run, step)
    spec, settings = _given(name, root)
    importlib.import_module("flows.benchmark").run_benchmark.fn(spec, settings)
    found = {"bodies": clock.seconds, "bodies cpu": clock.computing}
    return {**found, "import": imported, "import cpu": import_cpu}


def _labelled(stages: Any, run: Any, step: int) -> Any:
    start, begun = time.monotonic(), stages.begin_labels(run, step)
    shards = [stages.label_shard(run, step, begun, shard) for shard in range(begun.counts["shards"])]
    return stages.label_set(run, step, shards, time.monotonic() - start)


def shards(root: Path, count: int) -> dict[str, float]:
    """Seconds of shards that do nothing, as tasks side by side with one worker, and as calls."""
    from flows.server import server_at_hand

    with server_at_hand(root):
        from prefect import flow
        from prefect.task_runners import ThreadPoolTaskRunner

        from tasks.base import heavy_task

    def nothing(shard: int) -> int:
        return shard

    task = heavy_task(name="label shard", task_run_name="shard {shard}")(nothing)
    took: list[float] = []

    @flow(name="shards", persist_result=False)
    def all_of_them() -> None:
        start = time.perf_counter()
        with ThreadPoolTaskRunner(max_workers=1) as runner:
            runner.map(task, {"shard": list(range(count))}).result()
        took.append(time.perf_counter() - start)

    all_of_them()
    start = time.perf_counter()
    for shard in range(count):
        nothing(shard)
    return {"tasks": took[0], "calls": time.perf_counter() - start}


def _given(name: str, root: Path) -> Any:
    from wilss.settings import Settings
    from wilss.spec import make_spec

    return make_spec(SPECS[name]), Settings(root=root)


def measure(name: str, rounds: int, count: int = SHARDS) -> dict[str, object]:
    """Prefect's share of a run in seconds and percent, the least of some rounds, and seconds of an empty shard."""
    with tempfile.TemporaryDirectory() as caches, patch.dict(os.environ, XDG_CACHE_HOME=caches):
        return _measured(name, rounds, count)


def _measured(name: str, rounds: int, count: int) -> dict[str, object]:
    first_database = _first_database()
    shares, walls, computing = [], [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            functions = _child("functions", name, Path(folder) / "functions")
            flow = _child("flow", name, Path(folder) / "flow")
        left, left_cpu = (functions[f"wall{of}"] - functions[f"bodies{of}"] - functions[f"import{of}"] for of in KINDS)
        shares.append(flow["wall"] - flow["bodies"] - left)
        walls.append(functions["bodies"] + left + shares[-1])
        computing.append(flow["wall cpu"] - flow["bodies cpu"] - left_cpu)
        told = f"{name}: Prefect {shares[-1]:.1f} s of {walls[-1]:.1f} s, of which {computing[-1]:.1f} s computing"
        print(told, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        empty = _child("shards", str(count), Path(folder))
    share = min(shares)
    return {
        "run": name,
        "seconds": share,
        "computing": computing[shares.index(share)],
        "percent": 100 * share / walls[shares.index(share)],
        "seconds_per_shard": (empty["tasks"] - empty["calls"]) / count,
        "shards": count,
        "first_database": first_database,
        "goals": GOALS,
        "rounds": rounds,
    }


def _first_database() -> float:
    """Seconds by which a run takes longer that has no database to begin with."""
    with tempfile.TemporaryDirectory() as folder:
        first, then = (_child("shards", "1", Path(folder) / name)["wall"] for name in ("first", "next"))
    return first - then


def _child(what: str, name: str, root: Path) -> dict[str, float]:
    """What a fresh process measured, and its seconds from start to end, in which its server has to stop."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "WILSS_"))}
    command = [sys.executable, "-m", "tests.benchmarks.orchestration", "--child", what, name, str(root)]
    start, before = time.perf_counter(), os.times()
    done = subprocess.run(command, env=env, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout.splitlines()[-1]), "wall": wall, "wall cpu": cpu}


def main() -> None:
    """Measure, print every round and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", choices=list(SPECS), default="demo")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--child", nargs=3, metavar=("WHAT", "RUN", "ROOT"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child is None:
        last_line("orchestration", measure(given.run, given.rounds))
        return
    what, name, root = given.child
    Path(root).mkdir(exist_ok=True)
    run = {"flow": as_flow, "functions": as_functions}
    found = shards(Path(root), int(name)) if what == "shards" else run[what](name, Path(root))
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
