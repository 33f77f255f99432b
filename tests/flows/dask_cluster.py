"""Schedulers and workers of Dask as processes of their own, and what a run leaves."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stores.artefacts import Store
from tests.e2e.serving import processes

ROOT = Path(__file__).parents[2]


@contextmanager
def dask_process(name: str, *words: str, first: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """``dask scheduler`` or ``dask worker`` on this machine alone.

    Args:
        first: folder in which it looks for packages before all others.
    """
    path = [str(folder) for folder in (first, ROOT) if folder]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "dask", name, "--host", "127.0.0.1", "--no-dashboard", *words]
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30)


@contextmanager
def scheduler() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process of a scheduler, and its address."""
    with dask_process("scheduler", "--port", "0") as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if "Scheduler at:" in line:
                yield process, line.split()[-1]
                return
        raise AssertionError("".join(said))


@contextmanager
def worker(address: str, first: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """One worker of a scheduler, once it is connected."""
    with dask_process("worker", address, "--nthreads", "1", "--no-nanny", first=first) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if "Registered to:" in line:
                break
        else:
            raise AssertionError("".join(said))
        yield process


def own_workers(of: int) -> list[int]:
    """Processes of a local cluster that a process has started."""
    return [pid for pid, parent, words in processes() if parent == of and "multiprocessing.spawn" in words]


def content(root: Path, kind: str) -> dict[str, str]:
    """Path below the kind -> digest of every file of all artefacts of a kind, but their manifests, which have dates."""
    files = [path for path in (root / kind).glob("??/*/**/*") if path.is_file() and path.name != "manifest.json"]
    found = {str(path.relative_to(root / kind)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert found, f"there are no {kind}"
    return found


def digests(root: Path) -> set[str]:
    """Of all artefacts."""
    store = Store(root)
    return {m.digest for kind in ("labels", "banks", "checkpoints", "evaluations") for m in store.all(kind)}
