"""What the twenty VOC classes match among ImageNet's thousand."""

from __future__ import annotations

import pytest
from timm.data import ImageNetInfo

from wilss.data.voc_names import VOC_PROMPTS
from wilss.foundation.classifier import match_prompts


def names_of(subset: str) -> tuple[str, ...]:
    info = ImageNetInfo(subset)
    return tuple(str(info.index_to_description(k, detailed=False)) for k in range(info.num_classes()))


NAMES = names_of("imagenet1k")


def first_names(class_name: str) -> set[str]:
    return {NAMES[k].split(",")[0] for k in match_prompts(VOC_PROMPTS[class_name], NAMES)}


def test_every_voc_class_matches_something_and_no_two_share_it() -> None:
    owners: dict[str, str] = {}
    for class_name in VOC_PROMPTS:
        found = first_names(class_name)
        assert found, class_name
        for name in found:
            assert name not in owners, f"{name} is both {owners.get(name)} and {class_name}"
            owners[name] = class_name


@pytest.mark.parametrize(
    ("class_name", "inside", "outside"),
    [
        ("dog", {"Chihuahua", "beagle", "Cardigan", "standard poodle"}, {"hotdog"}),
        ("bird", {"hen", "robin", "king penguin"}, {"crane", "hen-of-the-woods"}),
        ("cat", {"tabby", "Persian cat"}, {"Madagascar cat", "lesser panda"}),
        ("horse", {"sorrel"}, {"hippopotamus"}),
        ("car", {"jeep", "sports car"}, {"freight car", "passenger car"}),
        ("person", {"groom", "jersey"}, {"Cardigan"}),
        ("train", {"freight car", "steam locomotive"}, set()),
    ],
)
def test_matches(class_name: str, inside: set[str], outside: set[str]) -> None:
    found = first_names(class_name)
    assert inside <= found
    assert not outside & found


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("horse", "sorrel"),
        ("Motorbike", "moped"),
        ("motorcycle", "motor scooter"),
        ("airplane", "airliner"),
        ("sofa", "studio couch"),
        ("cow", "ox"),
        ("TV", "television"),
        ("potted_plant", "pot"),
        ("tvmonitor", "television"),
        ("cell phone", "cellular telephone"),
        ("Dog", "beagle"),
    ],
)
def test_a_name_as_people_write_it_needs_no_words_of_its_own(name: str, known: str) -> None:
    assert known in {NAMES[k].split(",")[0] for k in match_prompts((name,), NAMES)}


@pytest.mark.parametrize("name", VOC_PROMPTS)
def test_classes_of_a_folder_need_no_words(name: str) -> None:
    assert match_prompts((name,), NAMES)


def test_where_a_classifier_has_the_thing_itself_nothing_stands_for_it() -> None:
    names = names_of("imagenet-21k")
    found = {names[k] for k in match_prompts(("horse",), names)}
    assert {"horse, Equus caballus", "wild horse"} <= found
    assert not {name for name in found if "Rumex" in name}, "a plant that is called sorrel"


def test_a_capital_letter_lets_no_other_kind_in() -> None:
    assert match_prompts(("Dog",), NAMES) == match_prompts(("dog",), NAMES)
