"""Gives cases to a worker, and starts another one when it hangs or dies."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.formats import FORMATS

SECONDS = 60
"""That a case may take, three to six commands."""
MANY = 40
"""Cases of one process."""
MEMORY = 1 << 30
"""Bytes that a case may add to the most that its process has taken."""


@dataclass(frozen=True)
class Outcome:
    """One case. problems: empty for what people are owed: a result, or one sentence and an exit code."""

    case: int
    format: str
    seconds: float
    memory: int
    problems: tuple[str, ...]


def try_cases(examples: Path, cases: Sequence[int], seed: int) -> Iterator[Outcome]:
    """Spoil and read, case by case."""
    worker = _start(examples, seed)
    for done, number in enumerate(cases):
        if done and done % MANY == 0:  # what one process maps in all is no case's fault
            _end(worker)
            worker = _start(examples, seed)
        answer, why = _ask(worker, number)
        if answer is None:
            _end(worker)
            worker = _start(examples, seed)
            answer = {"case": number, "format": list(FORMATS)[number % len(FORMATS)], "seconds": SECONDS, "memory": 0}
            answer["problems"] = [why]
        if answer["memory"] > MEMORY:
            answer["problems"].append(f"took {answer['memory'] >> 20} MB more")
        yield Outcome(**{**answer, "problems": tuple(answer["problems"])})
    _end(worker)


def _end(worker: subprocess.Popen[str]) -> None:
    worker.kill()
    worker.wait()


def _start(examples: Path, seed: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.fuzz.worker", str(examples), str(seed)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment, bufsize=1)


def _ask(worker: subprocess.Popen[str], number: int) -> tuple[dict[str, object] | None, str]:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(f"{number}\n")
    if not select.select([worker.stdout], [], [], SECONDS)[0]:
        return None, f"no end after {SECONDS} s"
    line = worker.stdout.readline()
    return (json.loads(line), "") if line else (None, f"the process died ({worker.wait()})")
