"""A training on several devices: a process each, watched by the one that asked for it.

Like torchrun's workers they know each other by rank; unlike them they end within a second when one of them ends, or
when whoever watches does. Nothing that is sent is a pickle: orders and news are lines of JSON in pipes.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import torch
import torch.distributed as dist

from wilss import errors
from wilss.errors import DamagedArtefactError, TrainingError, WilssError
from wilss.packages import python_path
from wilss.parallel.process import LOOPBACK, PATIENCE, Order

GRACE = 2.0
"""Seconds after a process failed in which the others may tell why they fail too."""
LOOK = 0.1
Hear = Callable[[str, list[Any]], None]
"""Takes the kind ("said" or "moved") and the content of what the first process tells."""


def on_each(work: str, arguments: dict[str, Any], devices: list[str], hear: Hear) -> Any:
    """Have a function done by as many processes as there are devices, and wait; returns what it returns in the first.

    Args:
        work: "module:function" of plain arguments and `wilss.parallel.process.Telling`.
        devices: of each process, such as "cuda:0".

    Raises the error that a process tells of, and TrainingError for one that ends otherwise. None is left then.
    """
    with socket.create_server((LOOPBACK, 0)) as meeting, tempfile.TemporaryDirectory(prefix="wilss-ranks-") as logs:
        store = dist.TCPStore(  # type: ignore[attr-defined]
            LOOPBACK,
            meeting.getsockname()[1],
            len(devices),
            is_master=True,
            timeout=PATIENCE,
            wait_for_workers=False,
            master_listen_fd=os.dup(meeting.fileno()),
        )
        crew = _Crew(Path(logs), hear)
        try:
            for rank, device in enumerate(devices):
                order = Order(
                    work=work, arguments=arguments, rank=rank, count=len(devices), device=device, port=store.port
                )
                crew.start(order)
            return crew.watched()
        finally:
            crew.end()
            del store


class _Crew:
    """The processes of one training."""

    def __init__(self, logs: Path, hear: Hear) -> None:
        self._logs, self._hear = logs, hear
        self._processes: list[subprocess.Popen[bytes]] = []
        self._readers: list[Thread] = []
        self._news: queue.SimpleQueue[tuple[int, str, Any]] = queue.SimpleQueue()
        self._errors: dict[int, dict[str, Any]] = {}
        self._result: Any = None

    def start(self, order: Order) -> None:
        """Start one; no signal to this process's group reaches it."""
        threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, torch.get_num_threads() // order.count))
        with self._log(order.rank).open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "wilss.parallel.process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONPATH": python_path(), "OMP_NUM_THREADS": threads},
                start_new_session=True,
            )
        self._processes.append(process)
        self._readers.append(Thread(target=self._read, args=(order.rank, process), daemon=True))
        self._readers[-1].start()
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended, which `watched` tells
            process.stdin.write(order.model_dump_json().encode() + b"\n")
            process.stdin.flush()

    def watched(self) -> Any:
        """Wait for all; the result of the first. Raises what one of them tells, or TrainingError."""
        while not self._failed() and any(process.poll() is None for process in self._processes):
            self._listen()
        if self._failed():
            until = time.monotonic() + GRACE
            while time.monotonic() < until and any(process.poll() is None for process in self._processes):
                self._listen()
        codes = [process.poll() for process in self._processes]
        self.end()
        while not self._news.empty():
            self._listen()
        if any(code != 0 for code in codes):
            raise self._cause(codes)
        return self._result

    def end(self) -> None:
        """Leave none. What they keep is written whole or not at all, so that none needs time for it."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
        for process, reader in zip(self._processes, self._readers, strict=True):
            process.wait()
            reader.join()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                with suppress(BrokenPipeError):  # it ended before it was told what to do
                    pipe.close()

    def _failed(self) -> bool:
        return bool(self._errors) or any(process.poll() not in (None, 0) for process in self._processes)

    def _listen(self) -> None:
        try:
            rank, kind, content = self._news.get(timeout=LOOK)
        except queue.Empty:
            return
        if kind == "error":
            self._errors[rank] = content
        elif rank == 0 and kind == "result":
            self._result = content
        elif rank == 0:
            self._hear(kind, content)

    def _read(self, rank: int, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.endswith(b"\n"):  # else it was killed as it wrote
                kind, content = json.loads(line)
                self._news.put((rank, kind, content))

    def _log(self, rank: int) -> Path:
        return self._logs / f"{rank}.log"

    def _cause(self, codes: list[int | None]) -> Exception:
        """What went wrong first: where one of them is gone, the others only tell that it is."""
        if known := [error for told in self._errors.values() if (error := _known(told)) is not None]:
            return known[0]
        rank, how = self._odd(codes)
        return TrainingError(
            f"process {rank + 1} of {len(codes)} of the training {how}, and the others were ended; start it again and "
            "it goes on from what it kept last"
        )

    def _odd(self, codes: list[int | None]) -> tuple[int, str]:
        """Which process ended as none should, and how; what it printed is printed."""
        silent = {rank: code for rank, code in enumerate(codes) if code and rank not in self._errors}
        rank = min(silent, key=lambda rank: silent[rank], default=next(iter(self._errors), 0))  # signals are negative
        sys.stderr.write(self._log(rank).read_text(errors="replace"))
        if rank not in silent:
            return rank, "failed ({kind}: {text})".format(**self._errors[rank])
        return rank, _signal(-silent[rank]) if silent[rank] < 0 else f"ended with exit code {silent[rank]}"


def _signal(number: int) -> str:
    name = signal.Signals(number).name
    memory = ", as the system does when memory runs out" if number == signal.SIGKILL else ""
    return f"was ended by {name}{memory}"


def _known(told: dict[str, Any]) -> Exception | None:
    """The error that a process told of, as it raised it; None for one that no user is told."""
    if "damage" in told:
        fault, cure, folder, file = told["damage"]
        return DamagedArtefactError(fault, cure, Path(folder), file)
    if told["kind"] == "OutOfMemoryError":
        return torch.OutOfMemoryError(told["text"])
    if "system" in told and not told["ours"]:
        number, text, name = told["system"]
        return OSError(number, text, name or None)
    return getattr(errors, told["kind"], WilssError)(told["text"]) if told["ours"] else None
