"""What a user's own method, head, scorer, grouper or data set has to have. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import getattr_static
from typing import Any

from wilss.errors import SpecError

NOTHING = object()
METHOD = ("paste", "heads", "losses", "final_masks")
HEAD = ("stage1", "__call__", "losses")
SCORER = ("digest", "scores")
GROUPER = ("digest", "grid", "affinity")
SOURCE = (
    "classes",
    "prompts",
    "fingerprint",
    "fingerprint_of",
    "ids",
    "tags",
    "image",
    "further_eval",
    "check",
    "skipped",
    "has_mask",
    "mask",
)


def require_members(thing: object, members: Sequence[str], what: str) -> None:
    """Raise SpecError unless a thing, or what a class makes, has all members of its contract.

    Args:
        what: it is, for the message, such as "method 'mine'".
    """
    has = _makes if isinstance(thing, type) else _holds
    missing = [member for member in members if not has(thing, member)]
    if missing:
        raise SpecError(f"{what} lacks '{missing[0]}'; its contract has {', '.join(members)}")


def _holds(thing: object, member: str) -> bool:
    """Whether an object has a member, without asking it: a property may read every file of a data set."""
    if getattr_static(thing, member, NOTHING) is not NOTHING:
        return True
    return hasattr(type(thing), "__getattr__") and hasattr(thing, member)


def _makes(made: Any, member: str) -> bool:
    """Whether instances of a class have a member: it defines it, declares it, or speaks of it where it makes them."""
    for base in made.__mro__[:-1]:
        own = vars(base)
        maker = getattr(own.get("__init__"), "__code__", None)
        if member in own or member in own.get("__annotations__", {}) or (maker and member in maker.co_names):
            return True
    return False
