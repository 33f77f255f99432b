"""How much of decoded images and masks is kept in memory, by all that keep some of them together."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from weakref import WeakKeyDictionary

CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


class Room:
    """Bytes that may be kept; what an owner took is free again when the owner is gone.

    Args:
        size: bytes; a quarter of the machine's memory when left out.
    """

    def __init__(self, size: int | None = None) -> None:
        self.size = quarter_of_memory() if size is None else size
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
            if sum(self._taken.values()) + size > self.size:
                return False
            self._taken[owner] = self._taken.get(owner, 0) + size
            return True

    def free(self, owner: object) -> None:
        """An owner keeps nothing any more."""
        with self._lock:
            self._taken.pop(owner, None)


def quarter_of_memory() -> int:
    """Bytes, of the container where there is one; 2 GiB where the system does not tell how much there is."""
    names = os.sysconf_names if hasattr(os, "sysconf_names") else {}
    if "SC_PHYS_PAGES" not in names or "SC_PAGE_SIZE" not in names:
        return 2 << 30
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = CGROUP_LIMIT.read_text().strip() if CGROUP_LIMIT.is_file() else "max"
    return min(memory, int(limit) if limit.isdigit() else memory) // 4
