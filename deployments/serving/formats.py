"""In which form an answer is wanted: the query says it, or the Accept header."""

from __future__ import annotations

from typing import Literal

from fastapi import HTTPException

Format = Literal["json", "png", "overlay"]
KINDS: dict[str, Format] = {"application/json": "json", "image/png": "png"}
"""Media types -> form; where both are taken alike, the first."""


def chosen(asked: Format | None, accept: str | None, files: int) -> Format:
    """The form of an answer. Raises HTTPException, 406, for one that there is not, or not for so many files."""
    found = asked or _accepted(accept or "*/*")
    if found is None:
        raise HTTPException(406, f"answers are {' or '.join(KINDS)}; ask for one of them with Accept, or with ?format=")
    if found != "json" and files > 1:
        raise HTTPException(406, f"{files} images are answered as JSON; ask for it, or send one image for a picture")
    return found


def _accepted(accept: str) -> Format | None:
    shares = [_range(part) for part in accept.lower().split(",")]
    weights = {kind: _weight(kind, shares) for kind in KINDS}
    best = max(weights, key=lambda kind: weights[kind])
    return KINDS[best] if weights[best] > 0 else None


def _range(part: str) -> tuple[str, float]:
    kind, *parameters = (word.strip() for word in part.split(";"))
    told = next((word.removeprefix("q=") for word in parameters if word.startswith("q=")), "1")
    try:
        weight = float(told)
    except ValueError:
        weight = 0.0
    return kind, weight if 0 <= weight <= 1 else 0.0


def _weight(kind: str, ranges: list[tuple[str, float]]) -> float:
    """Of a media type: what the most exact range that takes it says."""
    for wanted in (kind, f"{kind.partition('/')[0]}/*", "*/*"):
        found = [weight for name, weight in ranges if name == wanted]
        if found:
            return max(found)
    return 0.0
