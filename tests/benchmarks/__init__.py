"""Measured ratios: ``python -m tests.benchmarks.NAME`` prints a table and, as its last line, one JSON object."""

from __future__ import annotations

import json
from collections.abc import Mapping

from wilss._torchvision import make_torchvision_importable

make_torchvision_importable()


def last_line(name: str, facts: Mapping[str, object]) -> None:
    """Print what was measured as one JSON object on one line; nothing is printed after it."""
    print(json.dumps({"name": name, **facts}), flush=True)
