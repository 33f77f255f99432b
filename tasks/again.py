"""What of a run is found and what is made: the stages by name, and those that ``--again`` makes anew.

A stage that is made anew keeps its digest. What is built upon it is made anew in the same run too; other runs that
share it go on with what they have. Each artefact is made anew once a flow, however many runs of it ask for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from stores.artefacts import Anew, Manifest, Recipe, Store
from wilss.errors import SpecError, did_you_mean

ALL = "all"
FEWSHOT_TRAINING = ("areas", "shapes", "stage1", "head")
FEWSHOT_SCORING = ("areas", "episodes", "scores")


@dataclass(frozen=True)
class Stage:
    """A stage of a run.

    name: what ``--again`` calls it, with the step's number behind it or without. title: what it makes, for people.
    """

    name: str
    title: str
    step: int | None = None

    def is_in(self, again: Collection[str]) -> bool:
        """Whether it is among those that are to be made anew."""
        return bool({ALL, self.name, f"{self.name}-{self.step}"} & set(again))


def stages_of(steps: Iterable[int]) -> tuple[str, ...]:
    """Names of the stages of these steps of a benchmark."""
    names = [ALL]
    for step in steps:
        own = ("labels", "step", "evaluation") if step else ("evaluation",)
        names += [] if step else ["base", "bank"]
        names += [name for stage in own for name in (stage, f"{stage}-{step}")]
    return tuple(dict.fromkeys(names))


def require_stages(again: Iterable[str], known: Collection[str]) -> None:
    """Raise SpecError for a name that is no stage of what is about to run."""
    for name in again:
        if name != ALL and name not in known:
            raise SpecError(f"'{name}' is no stage that could be made again here.{did_you_mean(name, known)}")


_ANEW: dict[str, Anew] = {}
"""What this flow makes anew, by digest."""


def anew(recipe: Recipe) -> Anew | None:
    """How this flow makes an artefact anew; None for one that it takes as it is."""
    return _ANEW.get(recipe.digest)


def standing(store: Store, recipe: Recipe, stage: Stage, again: Collection[str]) -> Manifest | None:
    """What the store has of a recipe; None while it is to be made, or to be made anew."""
    found, digest = store.find(recipe), recipe.digest
    if digest not in _ANEW and (stage.is_in(again) or _ANEW.keys() & set(recipe.parents.values())):
        _ANEW[digest] = Anew(uuid4().hex, found.created if found else None)
    return None if found and digest in _ANEW and _ANEW[digest].replaces == found.created else found


def forget_stages() -> None:
    """A new flow begins: what the last one made anew is as good as any other."""
    _ANEW.clear()


def ago(created: str) -> str:
    """The age of an artefact in words: "3 days ago"."""
    try:
        seconds = (datetime.now(UTC) - datetime.fromisoformat(created).astimezone(UTC)).total_seconds()
    except ValueError:
        return created
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if count := int(seconds // length):
            return f"{count} {unit}{'s' if count > 1 else ''} ago" if count > 0 else created
    return "just now"
