"""Canvas, crop and batch by the sizes of photographs and of what is on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from wilss.data.fit import Fit, Sizes, at_canvas, fitted, sizes_of, told
from wilss.spec import make_spec

USUAL = Fit(320, 256, 16)


@dataclass
class Masks:
    """A data set of masks alone."""

    masks: dict[str, Tensor]
    read: list[str] = field(default_factory=list)

    def mask(self, image_id: str) -> Tensor:
        self.read.append(image_id)
        return self.masks[image_id]


def square(height: int, width: int, side: int, label: int = 1) -> Tensor:
    mask = torch.zeros(height, width, dtype=torch.uint8)
    mask[:side, :side] = label
    return mask


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        (Sizes(4000, 0.5), USUAL),
        (Sizes(500, 0.15), USUAL),
        (Sizes(500, None), USUAL),
        (Sizes(310, 0.5), USUAL),
        (Sizes(96, 0.5), Fit(96, 96, 16)),
        (Sizes(20, 0.5), Fit(64, 64, 16)),
        (Sizes(1000, 0.1), Fit(480, 384, 7)),
        (Sizes(400, 0.1), Fit(416, 352, 8)),
        (Sizes(4000, 0.01), Fit(640, 512, 4)),
    ],
)
def test_small_photographs_have_a_smaller_canvas_and_small_objects_a_larger_one(sizes: Sizes, expected: Fit) -> None:
    assert fitted(sizes, USUAL) == expected


def test_it_is_told_why() -> None:
    small, tiny = Sizes(96, 0.5), Sizes(1000, 0.1)
    assert told(small.reason(USUAL, fitted(small, USUAL)), USUAL, fitted(small, USUAL)) == (
        "canvas 96, crop 96, batch 16 of step 0 instead of 320, 256, 16: photographs have up to 96 px; "
        "--set data.fit=false keeps the usual ones"
    )
    assert "on an image is smaller than 32 px at 320" in tiny.reason(USUAL, fitted(tiny, USUAL))
    assert told("for no reason", USUAL, USUAL) == ""


def test_a_later_step_has_the_canvas_of_its_student() -> None:
    assert at_canvas(USUAL, 320) == USUAL
    assert at_canvas(USUAL, 640) == Fit(640, 512, 4)


def test_a_canvas_that_suits_is_not_rounded() -> None:
    odd = Fit(500, 400, 16)
    assert fitted(Sizes(4000, 0.5), odd) == odd


def test_sides_are_measured_by_class_and_void_is_nothing() -> None:
    masks = {f"{k}": square(40, 100, 20) for k in range(9)} | {"9": square(400, 300, 40, label=2)}
    found: Any = Masks(masks)
    assert sizes_of(found, list(masks), (1, 2)) == Sizes(100, 0.2)
    void: Any = Masks({"a": square(40, 100, 20, label=255)})
    assert sizes_of(void, ["a"], (1, 2)) == Sizes(100, None)
    assert sizes_of(Masks({"a": square(40, 100, 20, label=3)}), ["a"], (1, 2)) == Sizes(100, None)  # type: ignore[arg-type]


def test_some_images_of_many_are_measured_evenly() -> None:
    many: Any = Masks({f"{k:03}": square(40, 100, 20) for k in range(240)})
    sizes_of(many, sorted(many.masks), (1,))
    assert many.read == [f"{k:03}" for k in range(0, 240, 10)]


def test_what_is_given_is_kept_and_benchmarks_stay_as_they_were_measured() -> None:
    own = {"benchmark": "mine", "custom": {"name": "mine", "data": "folder", "steps": [["cat"], ["dog"]]}}
    assert make_spec(own).data.fit
    assert not make_spec({**own, "augment": {"crop": 128}}).data.fit
    assert not make_spec({**own, "data": {"canvas": 512}}).data.fit
    assert make_spec({**own, "data": {"canvas": 512, "fit": True}}).data.fit
    assert make_spec(make_spec(own).model_dump()).data.fit, "as flows hand it on"
    assert not make_spec({"benchmark": "voc-15-5"}).data.fit
    assert "fit" not in make_spec({"benchmark": "voc-15-5"}).plain()["data"]
