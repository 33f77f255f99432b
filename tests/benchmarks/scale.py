"""What Dask costs beside two bare processes: ``python -m tests.benchmarks.scale``.

The label set of one step, made three ways in turns, each into a root of its own: by two processes that just label (they
open the run and write every other shard, no flow and no server), on a local Dask cluster of two workers with one
thread each, and by two threads. Seconds are of the whole stage, with the start of processes and the loading of models.
The result has to be the same, byte for byte.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks import last_line

GOAL = 0.85
"""Of the images a second of two bare processes."""
BARE = """
import json, sys
from pathlib import Path
from tests.benchmarks.scale import label_part
label_part(Path(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
"""


def label_part(root: Path, content: dict[str, Any], first: int, of: int) -> None:
    """Write every ``of``-th shard of step 1, from ``first`` on; the part that comes last publishes the set."""
    import torch

    from stores.labels.writer import LabelWriter
    from tasks.labels import begin_labels, label_set, label_shard

    torch.set_num_threads(1)
    run = _opened(root, content)
    begun = begin_labels.fn(run, 1)
    shards = begun.counts["shards"]
    for shard in range(first, shards, of):
        label_shard.fn(run, 1, begun, shard)
    with run.session.alone(run.node("labels", 1).recipe):
        staging = run.store.staging("labels", begun.digest)
        if staging.is_dir() and all(LabelWriter(staging).is_done(shard) for shard in range(shards)):
            label_set.fn(run, 1, [])


def _opened(root: Path, content: dict[str, Any]) -> Any:
    from stores.plans.run import Run
    from stores.plans.session import Session
    from wilss.settings import Settings
    from wilss.spec import make_spec

    return Run(make_spec(content), Session(Settings(root=root), say=lambda text: None))


def bare(root: Path, content: dict[str, Any], workers: int) -> float:
    """Seconds of processes that just label."""
    import json

    start = time.monotonic()
    words = [sys.executable, "-c", BARE, str(root), json.dumps(content)]
    started = [subprocess.Popen([*words, str(k), str(workers)], stderr=subprocess.PIPE) for k in range(workers)]
    for process in started:
        _, error = process.communicate()
        assert not process.returncode, error.decode()
    return time.monotonic() - start


def flow(root: Path, content: dict[str, Any], workers: int, runner: str) -> float:
    """Seconds of the label stage of a flow, as the command line runs it."""
    from flows.relabel import run_relabel
    from stores.artefacts import Store
    from wilss.settings import Settings
    from wilss.spec import make_spec

    run_relabel(make_spec(content), 1, Settings(root=root, runner=runner, workers=workers))
    (manifest,) = Store(root).all("labels")
    return float(manifest.notes["seconds"])


def result(root: Path) -> tuple[str, str, int]:
    """Digest of the label set, digest of its files, and number of its images."""
    from stores.artefacts import Store

    store = Store(root)
    (manifest,) = store.all("labels")
    folder, found = store.folder(manifest.ref), hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "manifest.json":
            found.update(f"{path.relative_to(folder)} ".encode() + path.read_bytes())
    return manifest.digest, found.hexdigest(), manifest.counts["images"]


def measure(count: int, rounds: int, workers: int = 2, preset: str = "demo") -> dict[str, object]:
    """Shortest seconds of each way, what Dask's are beside the bare ones, and whether all made the same."""
    content = {"benchmark": "scenes-15-5", "preset": preset, "method": "finetune", "data": {"n_train": count}}
    ways = {
        "bare": lambda root: bare(root, content, workers),
        "dask": lambda root: flow(root, content, workers, "dask"),
        "threads": lambda root: flow(root, content, workers, "threads"),
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    made = set()
    for _ in range(rounds):
        for name, way in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                took[name].append(way(Path(folder)))
                made.add(result(Path(folder)))
    seconds = {name: min(of) for name, of in took.items()}
    digests, contents, images = zip(*made, strict=True)
    for name, of in seconds.items():
        print(f"{name:<8} {of:8.1f} s, {images[0] / of:7.2f} images a second")
    return {
        "efficiency": seconds["bare"] / seconds["dask"],
        "threads_efficiency": seconds["bare"] / seconds["threads"],
        "goal": GOAL,
        "same_digest": len(set(digests)) == 1,
        "same_bytes": len(set(contents)) == 1,
        "images": images[0],
        "workers": workers,
        "rounds": rounds,
        **{f"{name}_seconds": of for name, of in seconds.items()},
    }


@contextmanager
def server() -> Iterator[None]:
    """A Prefect server, as a command starts it."""
    from flows.server import server_at_hand

    with tempfile.TemporaryDirectory() as folder:
        with server_at_hand(Path(folder)):
            import flows.relabel  # noqa: F401
        yield


def main() -> None:
    """Measure, print a table and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=6000, help="training scenes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--preset", default="demo")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)
    with server():
        facts = measure(options.count, options.rounds, options.workers, options.preset)
    last_line("scale", facts)


if __name__ == "__main__":
    main()
