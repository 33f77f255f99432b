"""Where these packages lie, for processes that are to find the same ones."""

from __future__ import annotations

import os
from pathlib import Path

HOME = Path(__file__).parents[1]


def python_path() -> str:
    """PYTHONPATH of a child: these packages first, not folders of the same names in which it is started."""
    return os.pathsep.join(filter(None, (str(HOME), os.environ.get("PYTHONPATH"))))
