"""Colours of classes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest

from wilss.data.palette import DISTINCT, HATCHES, Colour, class_look, palette, voc_colour

SIGHTS = {  # Machado, Oliveira and Fernandes (2009), severity 1; linear RGB
    "all cones": np.eye(3),
    "no long ones": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no middle ones": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "no short ones": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
TO_LMS = [[0.41222, 0.53633, 0.05145], [0.2119, 0.68070, 0.10740], [0.0883, 0.28172, 0.62998]]
TO_LAB = [[0.21045, 0.79362, -0.00407], [1.978, -2.42859, 0.45059], [0.0259, 0.78277, -0.80868]]


def seen(colour: Colour, sight: str) -> np.ndarray:  # type: ignore[type-arg]
    """A colour in Oklab, whose distances are what people tell apart."""
    plain = np.array(colour) / 255
    linear = np.where(plain <= 0.04045, plain / 12.92, ((plain + 0.055) / 1.055) ** 2.4)
    return np.asarray(TO_LAB) @ np.cbrt(np.asarray(TO_LMS) @ np.clip(np.asarray(SIGHTS[sight]) @ linear, 0, 1))


def closest(colours: Sequence[Colour], sight: str) -> float:
    return min(float(np.linalg.norm(seen(a, sight) - seen(b, sight))) for a, b in combinations(colours, 2))


@pytest.mark.parametrize("sight", SIGHTS)
def test_colours_are_told_apart_with_every_sight(sight: str) -> None:
    least = closest(DISTINCT, sight)
    assert least > 0.07
    voc = closest([voc_colour(k) for k in range(1, 11)], sight)
    assert voc < least, "VOC's are closer, which is why they are not used for looking"


def test_a_class_looks_the_same_whatever_it_is_shown_with() -> None:
    assert class_look(1, "bird") == ("bird", DISTINCT[0], "")
    assert class_look(11).colour == DISTINCT[0]
    looks = [class_look(k)[1:] for k in range(1, len(DISTINCT) * len(HATCHES) + 1)]
    assert len(set(looks)) == len(looks)
    assert [hatch for _, hatch in looks[:10]] == [""] * 10
    assert class_look(255).colour in DISTINCT


def test_a_hatching_is_seen_over_its_colour() -> None:
    for look in map(class_look, range(11, 11 + len(DISTINCT))):
        assert np.linalg.norm(seen(look.colour, "all cones") - seen(look.ink, "all cones")) > 0.2, look


def test_a_colour_of_one_s_own_wins_and_voc_s_is_nobody_s() -> None:
    own = {15: (1, 2, 3), 7: voc_colour(7)}
    assert class_look(15, own=own) == ("", (1, 2, 3), "")
    assert class_look(15, own=own).hex == "#010203"
    assert class_look(7, own=own) == class_look(7)
    assert palette(own)[45:48] == [1, 2, 3]
    assert palette()[45:48] == [192, 128, 128], "files keep VOC's"
