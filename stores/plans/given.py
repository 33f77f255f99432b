"""A student that a run starts from in place of learning its first steps, named by alias or digest.

Aliases move, so they are resolved before a run is named: the same run has the same student whenever it is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from stores.artefacts import ArtefactRef, Manifest, Recipe, Store
from stores.registry import student_of
from wilss.aliases import digest_of_alias
from wilss.data.families import family_of
from wilss.errors import ArtefactNotFoundError, FormatError, SpecError
from wilss.layout import Kind
from wilss.models.card import StudentCard, load_card
from wilss.spec import RunSpec

if TYPE_CHECKING:
    from wilss.nets.pretrained import Weights

KINDS_OF_ROLES: dict[str, Kind] = {"labels": "labels", "bank": "banks"}
"""What a student is made from, by role; its other parents are students."""


@dataclass(frozen=True)
class GivenStudent:
    """The student of a step that is not learnt here, nor is what comes before it."""

    step: int
    manifest: Manifest
    card: StudentCard

    @classmethod
    def of(cls, spec: RunSpec, store: Store) -> GivenStudent | None:
        """That of a specification whose names are resolved; None where it has none."""
        for step, digest in spec.students.items():
            manifest = store.get("checkpoints", digest)
            return cls(step, manifest, load_card(store.path("checkpoints", manifest.digest), StudentCard))
        return None

    @property
    def recipe(self) -> Recipe:
        """How it was made, with the digest that it has. Raises FormatError for one that its recipe does not give."""
        parents = {
            role: ArtefactRef(kind=KINDS_OF_ROLES.get(role, "checkpoints"), digest=digest)
            for role, digest in self.manifest.parents.items()
        }
        recipe = Recipe("checkpoints", self.manifest.recipe, parents)
        if recipe.digest != self.manifest.digest:
            raise FormatError(
                f"checkpoint {self.manifest.digest[:12]} does not have the digest of its recipe, so nothing can be "
                "built upon it; take it for step 0 with --start"
            )
        return recipe

    def weights(self) -> Weights:
        """What its backbone goes back to; its own weights come from the checkpoint."""
        from wilss.models.files import no_weights

        return replace(no_weights(self.card.architecture.backbone, self.card.input), digest=self.card.start or "")


def with_named_models(spec: RunSpec, store: Store, say: Callable[[str], None] = lambda text: None) -> RunSpec:
    """The specification with whole digests in place of aliases.

    A student that knows the next step already gives way to the one that it was made from, which is said.

    Args:
        say: takes one line for people.

    Raises ArtefactNotFoundError for names of nothing, SpecError for a student of other classes.
    """
    changes: dict[str, object] = {}
    if spec.start and not Path(spec.start).is_dir() and (digest := digest_of_alias(spec.start, store.root)):
        changes["start"] = digest
    students = {step: _student(spec, store, step, name, say) for step, name in spec.students.items()}
    if students != spec.students:
        changes["students"] = students
    return spec.model_copy(update=changes) if changes else spec


def as_named(spec: RunSpec, store: Store) -> RunSpec:
    """The specification that the folder of its run is called after; labels that are asked for stay as they are.

    Raises as `with_named_models`.
    """
    named = with_named_models(spec, store)
    given = GivenStudent.of(named, store)
    return named.model_copy(update={"student": given.card.architecture}) if given else named


def step_known(spec: RunSpec, store: Store, name: str) -> int:
    """The step of a benchmark after which as many classes are known as a student knows.

    Raises SpecError where there is none, and where nothing is left to learn after it.
    """
    steps = range(len(spec.protocol.steps))
    known = len(_card(store, student_of(store.root, name)).classes)
    found = next((step for step in steps if len(spec.protocol.seen(step)) == known), None)
    if found is None:
        counts = ", ".join(str(len(spec.protocol.seen(step))) for step in steps)
        raise SpecError(
            f"'{name}' knows {known} classes; after its steps {spec.benchmark} knows {counts}. Take a student of one "
            "of them, or name the step that is to be learnt with 'wilss step --step T --from'"
        )
    if found == steps[-1]:
        raise SpecError(
            f"'{name}' knows all {known} classes of {spec.benchmark}, so nothing is left to learn; add a step to it, "
            f"or learn the last one again: wilss step --step {found} --from {name}"
        )
    return found


def _student(spec: RunSpec, store: Store, step: int, name: str, say: Callable[[str], None]) -> str:
    """Whole digest of the student that stands for a step: the one of this name, or the one that it was made from."""
    digest, wanted = student_of(store.root, name), _names(spec, step)
    card = _card(store, digest)
    if _fits(spec, step, card):
        return digest
    if card.classes[: len(wanted)] != wanted or len(card.classes) == len(wanted):
        raise _other_classes(spec, step, name, card, wanted)
    for earlier in _made_from(store, digest, step, name):
        if _fits(spec, step, _card(store, earlier)):
            say(
                f"'{name}' ({digest[:12]}) knows the classes of step {step + 1} already: it is learnt again from the "
                f"student of step {step} that it was made from, {earlier[:12]}"
            )
            return earlier
    raise _other_classes(spec, step, name, card, wanted)


def _made_from(store: Store, digest: str, step: int, name: str) -> Iterator[str]:
    """Students that one was made from, the next one first. Raises ArtefactNotFoundError where one of them is gone."""
    manifest = store.get("checkpoints", digest)
    while (before := manifest.parents.get("previous")) is not None:
        if not store.path("checkpoints", before).is_dir():
            raise ArtefactNotFoundError(
                f"'{name}' ({digest[:12]}) knows the classes of step {step + 1} already, and the student that it was "
                f"made from, {before[:12]}, is not in '{store.root}' any more; run the benchmark without --from, "
                "which learns its steps anew"
            )
        manifest = store.get("checkpoints", before)
        yield manifest.digest


def _fits(spec: RunSpec, step: int, card: StudentCard) -> bool:
    sizes, ids = spec.protocol.sizes(step), spec.protocol.seen(step)
    return (card.classes, card.step_sizes, card.class_ids) == (_names(spec, step), tuple(sizes), tuple(ids))


def _other_classes(spec: RunSpec, step: int, name: str, card: StudentCard, wanted: tuple[str, ...]) -> SpecError:
    where = f"'{name}' cannot stand for the student of step {step} of {spec.benchmark}"
    if card.classes == wanted:
        return SpecError(
            f"{where}: it learnt the same classes in steps of {', '.join(map(str, card.step_sizes))} and under the "
            f"numbers {_few(card.class_ids)}, not in steps of {', '.join(map(str, spec.protocol.sizes(step)))} and "
            f"{_few(spec.protocol.seen(step))}; name the classes in its order, or take it for step 0 with --start"
        )
    odd = next((one for one in (*wanted, *card.classes) if (one in wanted) != (one in card.classes)), "their order")
    told = f"{where}: it knows {_few(card.classes)}, expected are {_few(wanted)}; first difference: '{odd}'. "
    if wanted[: len(card.classes)] == card.classes:
        return SpecError(f"{told}Learn the steps between first: wilss run BENCHMARK --from {name}")
    return SpecError(f"{told}Take a student of the same benchmark, or another step")


def _few(names: tuple[object, ...]) -> str:
    shown = ", ".join(map(str, names[:6]))
    return shown if len(names) <= 6 else f"{shown} and {len(names) - 6} more"


def _names(spec: RunSpec, step: int) -> tuple[str, ...]:
    """Names of the classes known after a step."""
    known = spec.custom.classes if spec.custom else family_of(spec.protocol.family).classes
    return tuple(known[c - 1] for c in spec.protocol.seen(step))


def _card(store: Store, digest: str) -> StudentCard:
    return load_card(store.path("checkpoints", digest), StudentCard)
