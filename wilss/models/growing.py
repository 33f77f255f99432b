"""The card of a student that a script taught further classes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from wilss.data.families import Family, family_of
from wilss.data.palette import voc_colour
from wilss.models.card import StudentCard
from wilss.protocol import benchmarks
from wilss.state import History


def grown_card(card: StudentCard, names: Sequence[str], history: History) -> StudentCard:
    """The card after one more step.

    New classes have the ids that the data of the student's benchmark give them; others get ids that none has.
    """
    ids = _ids(card, names)
    return StudentCard.model_validate(
        {
            **card.model_dump(),
            "step": card.step + 1,
            "step_sizes": (*card.step_sizes, len(names)),
            "classes": (*card.classes, *names),
            "class_ids": (*card.class_ids, *ids),
            "colours": (*card.colours, *map(voc_colour, ids)),
            "history": history,
        }
    )


def words_of_family(card: StudentCard, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Class name -> words, as the data of the student's benchmark have them; else its name."""
    family = _family(card)
    return {name: (family.prompts.get(name) if family else None) or (name,) for name in names}


def _ids(card: StudentCard, names: Sequence[str]) -> tuple[int, ...]:
    family = _family(card)
    known = list(family.classes) if family else []
    free = count(1 + max(len(known), *card.class_ids))
    return tuple(known.index(name) + 1 if name in known else next(free) for name in names)


def _family(card: StudentCard) -> Family | None:
    known = benchmarks().get(card.benchmark)
    return family_of(known.family) if known else None
