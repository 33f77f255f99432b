"""Which runs have a process on this machine, as its own process table says."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

RUN = b"PREFECT__FLOW_RUN_ID="
PROC = Path("/proc")


def runs_alive(proc: Path = PROC) -> set[str] | None:
    """Ids of the runs that a process of this user works on; None where the machine does not tell.

    The run's id in a process's environment is what counts: the number of a process is given to others later.
    """
    if not (proc / "self" / "environ").exists():
        return None
    found = set()
    for folder in proc.iterdir():
        if folder.name.isdigit():
            with suppress(OSError):  # it has ended meanwhile, or is somebody else's
                found |= _ids(folder)
    return found


def _ids(folder: Path) -> set[str]:
    parts = (folder / "environ").read_bytes().split(b"\0")
    return {part.removeprefix(RUN).decode(errors="replace") for part in parts if part.startswith(RUN)}


def is_alive(pid: int) -> bool:
    """Whether a process is there, and is not a dead one that nobody has waited for."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with suppress(OSError):
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return True
