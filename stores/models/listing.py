"""Students of a store as people choose among them: names, classes, scores, size, where they come from. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from stores.artefacts import Manifest, Store
from stores.evaluations import class_shares, read_counts
from stores.inventory import size_of
from wilss.aliases import Move, after, moves_of
from wilss.errors import ArtefactNotFoundError, DamagedArtefactError, FormatError
from wilss.models.card import StudentCard, load_card

Score = float | None


@dataclass(frozen=True)
class Evaluated:
    """One evaluation of a student: mean IoU in [0, 1] of full-size images, convention C, and IoU of every class.

    data: digest of the images and labels that were scored.
    """

    digest: str
    created: str
    images: int
    data: str
    old: Score
    new: Score
    all: Score
    per_class: Mapping[str, Score]


@dataclass(frozen=True)
class Student:
    """A student of the store.

    aliases: that point to it. evaluations: newest first. parents: role -> digest. bytes: of its folder.
    """

    digest: str
    created: str
    card: StudentCard
    aliases: tuple[str, ...]
    evaluations: tuple[Evaluated, ...]
    parents: Mapping[str, str]
    bytes: int

    @property
    def score(self) -> Score:
        """The mean of all classes in the newest evaluation; None where there is none."""
        return self.evaluations[0].all if self.evaluations else None


@dataclass
class Students:
    """All students of a store, newest first; aliases and their moves; and what is wrong with what cannot be read."""

    found: list[Student] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)
    moves: tuple[Move, ...] = ()
    faults: list[FormatError] = field(default_factory=list)


def list_students(root: Path) -> Students:
    """Everything that is known of the students of a store."""
    store, listed = Store(root), Students()
    try:
        listed.moves = moves_of(root)
        listed.aliases = after(listed.moves)
    except DamagedArtefactError as error:
        listed.faults.append(error)
    students, faults = store.survey("checkpoints")
    scored, more = store.survey("evaluations")
    listed.faults += [*faults, *more]
    by_student: dict[str, list[Manifest]] = {}
    for manifest in reversed(scored):
        by_student.setdefault(manifest.parents.get("checkpoint", ""), []).append(manifest)
    for manifest in reversed(students):
        try:
            listed.found.append(_student(store, manifest, by_student.get(manifest.digest, []), listed))
        except (FormatError, ArtefactNotFoundError) as error:
            listed.faults.append(error if isinstance(error, FormatError) else FormatError(str(error)))
    return listed


def _student(store: Store, manifest: Manifest, scored: Iterable[Manifest], listed: Students) -> Student:
    folder = store.path("checkpoints", manifest.digest)
    card = load_card(folder, StudentCard)
    evaluations = []
    for one in scored:
        try:
            evaluations.append(_evaluated(store, one, card.step_sizes[0]))
        except FormatError as error:  # the student is shown without it
            listed.faults.append(error)
    return Student(
        digest=manifest.digest,
        created=manifest.created,
        card=card,
        aliases=tuple(name for name, digest in listed.aliases.items() if digest == manifest.digest),
        evaluations=tuple(evaluations),
        parents=manifest.parents,
        bytes=size_of(folder),
    )


def _evaluated(store: Store, manifest: Manifest, n_old: int) -> Evaluated:
    shares = class_shares(read_counts(store.path("evaluations", manifest.digest)))
    values = list(shares.values())
    old, new, every = (_mean(part) for part in (values[1 : 1 + n_old], values[1 + n_old :], values))
    images, data = manifest.counts.get("images", 0), str(manifest.recipe.get("data", ""))
    return Evaluated(manifest.digest, manifest.created, images, data, old, new, every, shares)


def _mean(values: Iterable[Score]) -> Score:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
