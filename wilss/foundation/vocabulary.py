"""Which words stand for a class, and which for what is around. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from wilss.errors import SpecError
from wilss.foundation.spec import FoundationSpec

PHOTOGRAPHS = "photographs"
"""In ``foundation.background``: the words of `photographs`."""
WHOLE = 4
"""Letters from which on a class also names a longer word that begins or ends with it: "boat" the "boathouse", but not
"bus" the "bush", and no "tree" the "street"."""
Ontology = Mapping[str, Sequence[str]]
"""Class name -> its words."""


@dataclass(frozen=True)
class Background:
    """Words that compete without a map, and those that were dropped for the class that they would take pixels from."""

    kept: tuple[str, ...]
    dropped: Mapping[str, str]

    @property
    def sentence(self) -> str:
        """Which words were dropped, and for which class; "" for none."""
        told = ", ".join(f"{word} ({name})" for word, name in self.dropped.items())
        return f"background words that name a class are left out: {told}" if told else ""


@lru_cache(maxsize=1)
def photographs() -> tuple[str, ...]:
    """Words for what is around things in photographs."""
    lines = (Path(__file__).parent / "background_photographs.txt").read_text(encoding="utf-8").splitlines()
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))


def background_words(asked: Sequence[str], classes: Ontology) -> Background:
    """The background words of a specification, with the built-in ones in the place of "photographs".

    A built-in word is dropped if it names a class, contains one, or is what the class is a kind of ("table" for a
    "dining table"), by any word of the class. Words that the user wrote are kept as they are.

    Args:
        classes: of the whole benchmark: old, new and later ones.

    Raises SpecError where the built-in words are asked for, and none at all is left.
    """
    if PHOTOGRAPHS not in asked:
        return Background(tuple(asked), {})
    named = {word: _class_in(word, classes) for word in photographs()}
    dropped = {word: name for word, name in named.items() if name is not None and word not in asked}
    kept = [word for one in asked for word in (photographs() if one == PHOTOGRAPHS else (one,)) if word not in dropped]
    if not kept:
        raise SpecError(
            f"every one of the {len(dropped)} background words of foundation.background={PHOTOGRAPHS} names a class of "
            "the benchmark; write words of your own, such as foundation.background=background,texture"
        )
    return Background(tuple(dict.fromkeys(kept)), dropped)


def _class_in(word: str, classes: Ontology) -> str | None:
    """The first class that a background word would compete with as one of its own names."""
    for name, words in classes.items():
        if any(_competes(_parts(word), _parts(own)) for own in (name, *words)):
            return name
    return None


def _competes(word: list[str], own: list[str]) -> bool:
    if not own:
        return False
    places = range(len(word) - len(own) + 1)
    contained = any(word[k : k + len(own)] == own for k in places)
    long = len(own) == 1 and len(own[0]) >= WHOLE
    within = long and any(part.startswith(own[0]) or part.endswith(own[0]) for part in word)
    return contained or within or (len(word) < len(own) and own[-len(word) :] == word)


def _parts(text: str) -> list[str]:
    """Words in lower case without the s of a plural."""
    return [re.sub(r"(?<=[^su])s$", "", part) for part in re.findall(r"\w+", text.lower())]


@dataclass(frozen=True)
class Words:
    """All words of a labelling: of each class of the data, and of what is around."""

    classes: Mapping[str, tuple[str, ...]]
    background: Background

    def settings(self, spec: FoundationSpec) -> FoundationSpec:
        """The settings with the background words that these classes leave; the same where they are as asked for."""
        kept = self.background.kept
        return spec if kept == spec.background else spec.model_copy(update={"background": kept})


def benchmark_words(
    spec: FoundationSpec, names: Sequence[str], prompts: Ontology, synonyms: Ontology, own: Ontology
) -> Words:
    """The words of a benchmark.

    Args:
        names: of its classes: old, new and later ones. prompts, synonyms, own: see `ontology`, which may know more.

    Raises SpecError as `ontology` and `background_words` do.
    """
    classes = ontology(spec, prompts, synonyms, own)
    return Words(classes, background_words(spec.background, {name: classes[name] for name in names}))


def ontology(spec: FoundationSpec, prompts: Ontology, synonyms: Ontology, own: Ontology) -> dict[str, tuple[str, ...]]:
    """The words of every class of a data set.

    Args:
        prompts: the data's. synonyms: further ones of the data, for ``synonyms=many``; empty where there are none.
        own: the benchmark file's, which replace both.

    Raises SpecError for ``synonyms=many`` where nothing is known of such.
    """
    if spec.synonyms == "many" and not synonyms:
        raise SpecError(
            "foundation.synonyms=many has further words for the classes of VOC and COCO alone; write those of other "
            "classes under prompts in the benchmark's YAML file (docs/data.md)"
        )
    more = synonyms if spec.synonyms == "many" else {}
    words = {name: tuple(dict.fromkeys((*group, *more.get(name, ())))) for name, group in prompts.items()}
    return {**words, **{name: tuple(group) for name, group in own.items()}}
