"""Dask loads this into the workers that a run starts on its machine: Ctrl-C is for the run, which ends them.

A terminal sends it to all processes of a command; workers that heed it tell of it, each with a traceback.
"""

from __future__ import annotations

import signal


def dask_setup(_worker: object) -> None:
    """Dask calls this in the main thread of a worker's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
