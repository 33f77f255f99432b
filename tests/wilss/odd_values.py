"""Values that no reader expects, to be put anywhere."""

from __future__ import annotations

from typing import Any

ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 2**70, 1e308, float("nan"), float("-inf")),
    *("", "x", "\0", "../x"),
    *([], [[]], {}, {"size": 1}, [1, 2], [[1, 2]] * 3, [[1] * 7]),
)
