"""Tasks that look for what nobody needs, and delete it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stores.collect import Item, collect, find_garbage
from stores.in_use import alone_in
from tasks.base import heavy_task


@heavy_task(name="garbage")
def garbage(root: Path) -> dict[str, Any]:
    """What could go, as plain data, and why the rest of it stays."""
    with alone_in(root) as alone:
        found = find_garbage(root, alone)
    return _plain(root, found.items, found.kept)


@heavy_task(name="garbage deleted")
def collected(root: Path) -> dict[str, Any]:
    """Delete it, and say what went."""
    return _plain(root, list(collect(root)), ())


def _plain(root: Path, items: Iterable[Item], kept: Iterable[str]) -> dict[str, Any]:
    listed = [
        {"what": item.what, "of": item.name, "bytes": item.bytes, "path": str(item.path.relative_to(root))}
        for item in items
    ]
    return {"bytes": sum(item["bytes"] for item in listed), "items": listed, "kept": list(kept)}
