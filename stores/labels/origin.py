"""Where a label set comes from: its images, and the sets made with it. Only opening the images loads torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stores.artefacts import Manifest, Store
from stores.labels.card import LabelCard
from wilss.data.families import family_of, open_source
from wilss.foundation.vocabulary import Words, benchmark_words
from wilss.learn.methods import METHODS
from wilss.settings import Settings
from wilss.spec import RunSpec, make_spec

if TYPE_CHECKING:
    from wilss.data.source import Source


def family(store: Store, manifest: Manifest) -> list[Manifest]:
    """The co-segmented label set and the teacher's sets made from it, when the manifest is one of them."""
    is_teacher = "teacher" in manifest.parents and "parent" in manifest.parents
    first = store.get("labels", manifest.parents["parent"]) if is_teacher else manifest
    teachers = [m for m in store.all("labels") if "teacher" in m.parents and m.parents.get("parent") == first.digest]
    chosen = [manifest] if manifest in teachers else teachers[-1:]
    return [first, *chosen]


def source_of(card: LabelCard, settings: Settings) -> Source:
    """The images of a label set: where they were when it was made, unless the user says otherwise.

    Raises as `wilss.data.families.open_source` does, and SpecError for a card whose spec this version does not know.
    """
    spec = spec_of(card)
    protocol, settings = spec.protocol, settings_of(card, settings)
    return open_source(protocol.family, spec.data, settings, protocol.steps[0], spec.custom)


def words_in(spec: RunSpec, source: Source) -> Words:
    """The words of a run over these data. Raises SpecError as `wilss.foundation.vocabulary.benchmark_words` does."""
    protocol, own = spec.protocol, spec.custom.prompts if spec.custom else {}
    names = [source.classes[class_id - 1] for class_id in protocol.seen(len(protocol.steps) - 1)]
    return benchmark_words(spec.foundation, names, source.prompts, family_of(protocol.family).synonyms, own)


def settings_of(card: LabelCard, settings: Settings) -> Settings:
    """Settings with the folders of a label set's images where the user named none."""
    noted = {"data": card.data_root, "voc": card.voc_root}
    found = {key: path for key, path in noted.items() if path and getattr(settings, key) is None}
    return settings.model_copy(update=found)


def spec_of(card: LabelCard) -> RunSpec:
    """What the run of a label set says of its data; what it trained, and how, may be refused by now."""
    trained = {"method", "step", "own", *METHODS}
    return make_spec({key: value for key, value in card.spec.items() if key not in trained})
