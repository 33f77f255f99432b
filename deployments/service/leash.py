"""``python -P -m deployments.service.leash MODULE ARGUMENT...``: a module that ends when its starter does.

Workers and the processes of runs are started this way, so that nothing goes on alone: not after Ctrl-C, nor after a
SIGKILL that nobody can hear. What a run was making lies in its staging folder, and the next run takes it up.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading
import time

STARTER = "WILSS_LEASH"
"""Environment variable: the process id of who starts a leashed process, which may be gone before that looks."""
LOOK = 0.3
"""Seconds between two looks at the starter."""


def main() -> None:
    """Run the module as if it were the program."""
    starter = int(os.environ.get(STARTER) or os.getppid())
    os.environ[STARTER] = str(os.getpid())  # for those that this process starts
    threading.Thread(target=_follow, args=(starter,), daemon=True).start()
    module, *arguments = sys.argv[1:]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _follow(starter: int) -> None:
    """End this process at once when the starter is gone; whatever native code does, a thread is heard."""
    while os.getppid() == starter:
        time.sleep(LOOK)
    os._exit(1)


if __name__ == "__main__":
    main()
