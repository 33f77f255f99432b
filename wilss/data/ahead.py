"""Looking at many files in several processes: with small files Pillow works mostly in Python, one thread at a time.

Each process is `wilss.data.looking`, which is given paths on its standard input: unlike `multiprocessing` that neither
copies this process with its threads and models nor runs somebody's script a second time. No torch.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wilss.errors import DataNotFoundError
from wilss.packages import python_path

if TYPE_CHECKING:
    from wilss.data.stamps import Stamps

MANY = 1000
"""Files from which on several processes pay: they take a second to begin."""
AT_ONCE = 64
MOST_PROCESSES = 8


def look_ahead(stamps: Stamps, kind: str, paths: Sequence[Path]) -> None:
    """Have facts of files remembered. What a process could not tell, as it ended, is left for whoever asks."""
    parts = _Parts(paths)
    threads = [threading.Thread(target=_look, args=(stamps, kind, parts)) for _ in range(_processes())]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class _Parts(Iterator[Sequence[Path]]):
    """Parts of a list that several threads take."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths, self._start, self._lock = paths, 0, threading.Lock()

    def __next__(self) -> Sequence[Path]:
        with self._lock:
            part = self._paths[self._start : self._start + AT_ONCE]
            self._start += AT_ONCE
        if not part:
            raise StopIteration
        return part


def _processes() -> int:
    return max(1, min(MOST_PROCESSES, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2))


def _look(stamps: Stamps, kind: str, parts: _Parts) -> None:
    try:
        process = _started()
    except OSError:  # no processes are left, or this interpreter has no file
        return
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        for part in parts:
            before = _stamps_of(stamps, part)
            try:
                process.stdin.write(json.dumps([kind, [_told(stamps, path) for path in before]]) + "\n")
                process.stdin.flush()
                answer = process.stdout.readline()
            except BrokenPipeError:
                return
            if not answer.endswith("\n"):  # it was killed
                return
            for (path, stamp), found in zip(before.items(), json.loads(answer), strict=True):
                stamps.remember(path, stamp, found)
        process.stdin.close()


def _told(stamps: Stamps, path: Path) -> list[str | int]:
    """A file and where its bytes are, as `wilss.data.looking` takes it."""
    part = stamps.place.lies(path)
    return [os.fsdecode(path), os.fsdecode(part.file), part.start, part.size]


def _stamps_of(stamps: Stamps, paths: Sequence[Path]) -> dict[Path, str]:
    found = {}
    for path in paths:
        try:
            found[path] = stamps.place.stamp(path)[0]
        except DataNotFoundError:  # since it was listed
            continue
    return found


def _started() -> subprocess.Popen[str]:
    """A process that no signal to this one's group reaches: it ends when its input does."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "wilss.data.looking"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": python_path()},
        start_new_session=True,
    )
