"""What a plan would do: what is there, what is to be made, and how long that may take.

Seconds are those an image took when this store made the same kind of artefact by the same method before: a rough guide,
as steps and evaluations do not say how large their networks are. Where nothing like it was made there is no estimate; a
memory bank takes next to nothing. A teacher's masks are kept while its student is trained; they are told once there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from pydantic import ValidationError

from stores.artefacts import Manifest, Recipe, Store
from stores.plans.plan import Node
from stores.plans.run import Run
from wilss.learn.schedule import passes_of
from wilss.learn.spec import TrainSpec


@dataclass(frozen=True)
class Outlook:
    """One node of a plan.

    created: when it was made, None while it is to be made. amount: images that the making looks at, once for every
    epoch. seconds: None where it is found, or nothing tells.
    """

    node: Node
    parents: tuple[str, ...]
    created: str | None
    amount: int
    seconds: float | None


def outlook(run: Run) -> list[Outlook]:
    """Every node of a run, parents first."""
    made = _rates(run.store)
    found = []
    for name, node in run.plan.items():
        manifest, amount = run.session.standing(node), _amount(run, node)
        if manifest or not node.optional:
            rates = made.get(_like(node.recipe, node.recipe.facts), [0.0] if node.recipe.kind == "banks" else [])
            seconds = median(rates) * amount if rates and not manifest else None
            created = manifest.created if manifest else None
            found.append(Outlook(node, run.plan.parents(name), created, amount, seconds))
    return found


def _amount(run: Run, node: Node) -> int:
    spec, step = run.spec, node.at
    if node.recipe.kind == "evaluations":
        return len(run.source.ids("eval"))
    images = len(run.lists.positions(step))
    if node.recipe.kind != "checkpoints":
        return images
    train = spec.step if step else run.ingredients.base_training
    return images * train.epochs * passes_of(images, train)


def _rates(store: Store) -> dict[tuple[Any, ...], list[float]]:
    """Seconds an image of everything in a store that says how long it took."""
    rates: dict[tuple[Any, ...], list[float]] = {}
    for manifest in _timed(store):
        amount = manifest.counts["images"] * _passes(manifest)
        if amount:
            rates.setdefault(_like(manifest, manifest.recipe), []).append(manifest.notes["seconds"] / amount)
    return rates


def _passes(manifest: Manifest) -> int:
    """How often the making looked at each image; 0 where its recipe does not tell."""
    if (train := manifest.recipe.get("train")) is None:
        return 1
    try:
        spec = TrainSpec.model_validate(train)
    except ValidationError:
        return 0
    return spec.epochs * passes_of(manifest.counts["images"], spec) if manifest.counts["images"] else 0


def _timed(store: Store) -> Iterable[Manifest]:
    for kind in ("labels", "checkpoints", "evaluations"):
        for manifest in store.all(kind):
            if isinstance(manifest.notes.get("seconds"), float | int) and "images" in manifest.counts:
                yield manifest


def _like(of: Recipe | Manifest, facts: Any) -> tuple[Any, ...]:
    """What artefacts have in common that take about as long an image."""
    keys = ("stage", "method", "canvas", "crop", "scorer", "grouper", "student", "augment")
    return (of.kind, *(str(facts.get(key)) for key in keys))
