"""How much of decoded images and masks is kept in memory, by all that keep some of them together."""

from __future__ import annotations

import os
import resource
import sys
import threading
from pathlib import Path
from weakref import WeakKeyDictionary

CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
STATM = Path("/proc/self/statm")
SHARE = 2 / 3
"""Of what a process may have, above which it keeps nothing more."""
LOOK = 4 << 20
"""Bytes after which the memory of the process is looked at again."""


class Room:
    """Bytes that may be kept; what an owner took is free again when the owner is gone.

    Args:
        size: bytes; a quarter of the machine's memory when left out.
        within: bytes that the process may have in all. What it has is looked at now and then: above two thirds of
            this nothing more is kept, so that models and batches have the rest, however large they are.
    """

    def __init__(self, size: int | None = None, within: int | None = None) -> None:
        self.size = quarter_of_memory() if size is None else size
        self._within, self._unseen, self._crowded = within, LOOK, False
        self._taken: WeakKeyDictionary[object, int] = WeakKeyDictionary()
        self._lock = threading.Lock()

    @property
    def taken(self) -> int:
        """Bytes that owners have now."""
        with self._lock:
            return sum(self._taken.values())

    def take(self, owner: object, size: int) -> bool:
        """Count ``size`` bytes as kept by an owner; False, and nothing counted, where there is no room for them."""
        with self._lock:
            if sum(self._taken.values()) + size > self.size or self._is_crowded(size):
                return False
            self._taken[owner] = self._taken.get(owner, 0) + size
            return True

    def free(self, owner: object) -> None:
        """An owner keeps nothing any more."""
        with self._lock:
            self._taken.pop(owner, None)

    def _is_crowded(self, size: int) -> bool:
        if self._within is None:
            return False
        self._unseen += size
        if self._unseen >= LOOK:
            self._unseen, self._crowded = 0, resident() > SHARE * self._within
        return self._crowded


def resident() -> int:
    """Bytes of memory that this process has; where the system tells no more, the most that it had so far."""
    if STATM.is_file():
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return peak_resident()


def peak_resident() -> int:
    """Most bytes of memory that this process had so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def quarter_of_memory() -> int:
    """Bytes, of the container where there is one; 2 GiB where the system does not tell how much there is."""
    names = os.sysconf_names if hasattr(os, "sysconf_names") else {}
    if "SC_PHYS_PAGES" not in names or "SC_PAGE_SIZE" not in names:
        return 2 << 30
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = CGROUP_LIMIT.read_text().strip() if CGROUP_LIMIT.is_file() else "max"
    return min(memory, int(limit) if limit.isdigit() else memory) // 4
