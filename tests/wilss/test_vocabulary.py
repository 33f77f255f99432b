"""Words of classes and of what is around."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import pytest

from wilss.data.coco import names as coco_names
from wilss.data.voc_names import VOC_PROMPTS, VOC_SYNONYMS
from wilss.errors import SpecError
from wilss.foundation.classifier import imagenet_names, match_prompts
from wilss.foundation.spec import FoundationSpec
from wilss.foundation.vocabulary import background_words, benchmark_words, ontology, photographs

ASKED = ("photographs",)


def test_the_list_of_photographs_has_each_word_once() -> None:
    words = photographs()
    assert len(set(words)) == len(words) == 40
    assert {"sky", "grass", "wardrobe", "helmet"} <= set(words)
    assert not [word for word in words if word.startswith("#") or word != word.strip()]


@pytest.mark.parametrize(
    ("words", "dropped"),
    [
        (("bridge",), {"bridge"}),
        (("Bridges",), {"bridge"}),  # in other words the same
        (("stop sign",), {"sign"}),  # what a class is a kind of
        (("door", "gate"), {"door"}),
        (("board",), {"keyboard"}),  # contained
        (("sin",), set()),  # three letters of another word
        (("tree",), {"tree"}),  # and no street
        (("key",), set()),
        (("tree house",), {"house"}),  # a house, but no tree
        (("grassland",), set()),
    ],
)
def test_a_word_that_names_a_class_or_contains_one_is_dropped(words: tuple[str, ...], dropped: set[str]) -> None:
    found = background_words(ASKED, {"thing": words})
    assert set(found.dropped) == dropped
    assert set(found.kept) == set(photographs()) - dropped
    assert all(name == "thing" for name in found.dropped.values())


def test_a_longer_background_word_contains_a_class(monkeypatch: pytest.MonkeyPatch) -> None:
    lists = ("tv stand", "houseboat", "bush", "birdcage", "carpet", "tables")
    monkeypatch.setattr("wilss.foundation.vocabulary.photographs", lambda: lists)
    classes = {"tv": ("tv",), "boat": ("boat",), "bus": ("bus",), "bird": ("bird",), "car": ("car",), "t": ("table",)}
    found = background_words(ASKED, classes)
    assert found.kept == ("bush", "carpet")
    assert found.sentence == (
        "background words that name a class are left out: tv stand (tv), houseboat (boat), birdcage (bird), tables (t)"
    )


def test_words_of_the_users_own_stay() -> None:
    found = background_words(("sky", "texture", "photographs", "bed"), coco_names.PROMPTS)
    assert found.kept[:2] == ("sky", "texture")
    assert "bed" in found.kept  # asked for by name
    assert set(found.dropped) == {"sign", "keyboard"}
    assert len(set(found.kept)) == len(found.kept)
    assert background_words(("bed",), {"bed": ("bed",)}).kept == ("bed",)
    assert background_words(ASKED, VOC_PROMPTS).sentence == ""


def test_an_empty_list_is_refused() -> None:
    classes = {word: (word,) for word in photographs()}
    with pytest.raises(SpecError, match=r"every one of the 40 background words .* names a class.* write words of your"):
        background_words(ASKED, classes)


def test_the_words_of_a_benchmark() -> None:
    spec = FoundationSpec(background=ASKED, synonyms="many")
    own = {"cow": ("cow", "sky cow")}
    words = benchmark_words(spec, ("sofa", "cow"), VOC_PROMPTS, VOC_SYNONYMS, own)
    assert words.classes["cow"] == ("cow", "sky cow")  # the benchmark's file has the last word
    assert words.classes["sofa"] == ("sofa", "couch", "studio couch", "settee", "loveseat")
    assert words.settings(spec).background == words.background.kept
    plain = FoundationSpec()
    few = benchmark_words(plain, ("sofa",), VOC_PROMPTS, VOC_SYNONYMS, {})
    assert few.settings(plain) is plain
    assert few.classes == VOC_PROMPTS
    later = benchmark_words(spec, ("sofa", "bed"), {**VOC_PROMPTS, "bed": ("bed",)}, VOC_SYNONYMS, {})
    assert later.background.dropped == {"bed": "bed"}  # a class of the data that no step learns would not count
    with pytest.raises(SpecError, match="classes of VOC and COCO alone; write those of other classes under prompts"):
        ontology(spec, {"star": ("star",)}, {}, {})


TABLES = [(VOC_PROMPTS, VOC_SYNONYMS), (coco_names.PROMPTS, coco_names.SYNONYMS)]


@pytest.mark.parametrize(("few", "more"), TABLES, ids=["voc", "coco"])
def test_synonyms_are_of_known_classes_and_of_one_each(
    few: dict[str, tuple[str, ...]], more: dict[str, tuple[str, ...]]
) -> None:
    assert set(more) == set(few)
    words = Counter(word for name in few for word in {*few[name], *more[name]})
    assert not [word for word, times in words.items() if times > 1]
    assert all(set(more[name]) - set(few[name]) for name in few)


def test_synonyms_of_voc_match_no_other_class_of_imagenet() -> None:
    names = imagenet_names(SimpleNamespace(num_classes=1000))
    for name, words in VOC_PROMPTS.items():
        assert match_prompts((*words, *VOC_SYNONYMS[name]), names) == match_prompts(words, names)
