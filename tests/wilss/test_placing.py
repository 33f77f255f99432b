"""Rules of pasting: which instances, where, and what they may hide; against slow transcriptions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wilss.learn.copypaste import paste
from wilss.learn.memory import MemoryBank
from wilss.learn.placing import PLACES, Scene, background_centres, draw_instances, hides_too_much
from wilss.learn.spec import PasteSpec


def bank_of(channels: list[int], side: int = 8) -> MemoryBank:
    """Whole squares; the red of each tells its row."""
    n = len(channels)
    images = torch.arange(n, dtype=torch.uint8)[:, None, None, None].expand(n, 3, side, side).contiguous() * 10 + 100
    masks, sizes = torch.ones(n, side, side, dtype=torch.bool), torch.full((n, 2), side)
    return MemoryBank(images, masks, sizes, torch.tensor(channels), tuple(map(str, range(n))))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_plain_draws_are_what_they_were() -> None:
    bank = bank_of([1] * 9 + [2])
    drawn = draw_instances(bank, 50, None, False, generator())
    assert torch.equal(drawn, torch.randint(10, (50,), generator=generator()))


def test_by_class_every_class_comes_as_often_and_each_of_its_instances() -> None:
    bank = bank_of([2, 1, 1, 1, 1, 1, 1, 1, 2, 5])
    counts = draw_instances(bank, 6000, None, True, generator()).bincount(minlength=10) / 6000
    expected = {1: 1 / 21, 2: 1 / 6, 5: 1 / 3}
    for row, channel in enumerate(bank.channels.tolist()):
        assert float(counts[row]) == pytest.approx(expected[channel], abs=0.02)


@pytest.mark.parametrize("by_class", [False, True])
def test_classes_that_are_wanted_come_first(by_class: bool) -> None:
    bank = bank_of([1, 1, 1, 2, 4])
    wanted = torch.zeros(3000, 4, dtype=torch.bool)  # the old model has fewer outputs than the bank has channels
    wanted[:1000, 2] = True
    wanted[1000:2000, 3] = True  # no instance of it: as if nothing were wanted
    rows = draw_instances(bank, 3000, wanted, by_class, generator())
    assert (rows[:1000] == 3).all()
    shares = bank.channels[rows[1000:]].bincount(minlength=5) / 2000
    assert float(shares[1]) == pytest.approx(1 / 3 if by_class else 3 / 5, abs=0.04)


def slow_centres(occupied: Tensor, box: Tensor, seed: int) -> list[tuple[float, float]]:
    n, height, width = occupied.shape
    drawn = torch.rand(n, PLACES, 2, generator=generator(seed)).double() * torch.tensor([height, width]) - 0.5
    found = []
    for row in range(n):
        shares = []
        for y, x in drawn[row].tolist():
            inside = []
            for i in range(round(y - float(box[row, 0]) / 2), round(y + float(box[row, 0]) / 2) + 1):
                for j in range(round(x - float(box[row, 1]) / 2), round(x + float(box[row, 1]) / 2) + 1):
                    if 0 <= i < height and 0 <= j < width:
                        inside.append(float(occupied[row, i, j]))
            shares.append(sum(inside) / len(inside))
        y, x = drawn[row, min(range(PLACES), key=shares.__getitem__)].tolist()
        found.append((y, x))
    return found


def test_of_random_places_the_one_with_most_background_is_taken() -> None:
    occupied = torch.rand(6, 20, 24, generator=generator(1)) < torch.linspace(0, 1, 24)  # fuller to the right
    box = torch.tensor([[4.0, 6.0], [9.0, 3.0], [5.0, 5.0], [7.0, 7.0], [2.0, 2.0], [12.0, 10.0]])
    assert background_centres(occupied, box, generator(2)).tolist() == [
        pytest.approx(pair, abs=1e-5) for pair in slow_centres(occupied, box, 2)
    ]


def test_no_more_than_a_share_of_a_new_object_is_hidden_by_all_pastes_together() -> None:
    whole = torch.zeros(1, 2, 10, 10, dtype=torch.uint8)
    whole[0, 0, :, :4] = 1  # 40 pixels; the second class is not there
    inside = torch.zeros(1, 1, 10, 10, dtype=torch.bool)
    inside[..., :3, :4] = True
    assert hides_too_much(inside, whole, whole, 0.29).tolist() == [True]
    assert hides_too_much(inside, whole, whole, 0.3).tolist() == [False]
    left = whole * ~inside
    again = inside.roll(3, 2)
    assert hides_too_much(again, whole, left, 0.5).tolist() == [True]
    assert hides_too_much(again.roll(5, 3), whole, left, 0.0).tolist() == [False]  # it touches nothing more


@pytest.mark.parametrize("most", [0.11, 0.22, 0.33])
def test_pastes_one_after_another_hide_what_counting_pixels_allows(most: float) -> None:
    n, classes, side = 12, 3, 9
    whole = (torch.rand(n, classes, side, side, generator=generator(4)) < 0.4).to(torch.uint8)
    whole[::3, 1] = 0  # a class that is not there
    left, gone = whole.clone(), [[set[tuple[int, int]]() for _ in range(classes)] for _ in range(n)]
    answers = set()
    for turn in range(4):
        inside = torch.zeros(n, 1, side, side, dtype=torch.bool)
        for row, (top, beside) in enumerate(torch.randint(0, side - 3, (n, 2), generator=generator(turn)).tolist()):
            inside[row, :, top : top + 3 + turn % 2, beside : beside + 3] = True
        answer = hides_too_much(inside, whole, left, most)
        for row in range(n):
            under = {tuple(place) for place in inside[row, 0].nonzero().tolist()}
            refused = False
            for c in range(classes):
                object_ = {tuple(place) for place in whole[row, c].nonzero().tolist()}
                newly = under & object_ - gone[row][c]
                refused |= bool(newly) and len(gone[row][c] | newly) > most * len(object_)
            assert bool(answer[row]) == refused
            answers.add(refused)
            if not refused:
                left[row] *= ~inside[row]
                for c in range(classes):
                    gone[row][c] |= {p for p in under if whole[row, c][p]}
    assert answers == {True, False}


def test_rules_act_together_in_a_paste() -> None:
    images, layers = torch.zeros(24, 3, 32, 32), torch.zeros(24, 1, 32, 32, dtype=torch.uint8)
    layers[:, :, 8:24, 8:24] = 1
    bank = bank_of([1, 1, 1, 2])
    seen = torch.zeros(24, 4, 4, dtype=torch.int64)
    seen[:, 3, 3] = 2

    def pasted(**rules: object) -> tuple[Tensor, Tensor]:
        spec = PasteSpec(probability=1.0, count=2, min_scale=1, max_scale=1, **rules)  # type: ignore[arg-type]
        result = paste(images, layers, bank, spec, generator(), lambda part: seen[: len(part)])
        assert result.layers is not None
        hidden = 1 - result.layers.float().sum((1, 2, 3)) / 256
        return result.channels, hidden

    channels, hidden = pasted(seen_first=True)
    assert ((channels == 2).flatten(1).any(1)).all()
    assert float(hidden.max()) > 0.2
    assert float(pasted(max_hidden=0.1)[1].max()) <= 0.1
    assert float(pasted(on_background=True)[1].mean()) < 0.5 * float(hidden.mean())


def test_a_class_is_wanted_until_it_is_pasted() -> None:
    seen = torch.tensor([[[0, 3], [0, 1]]])
    scene = Scene.of(seen, None, bank_of([1, 4]), (4, 4))
    assert scene.wanted.tolist() == [[False, True, False, True, False]]
    assert scene.occupied[0].int().tolist() == [[0, 0, 1, 1], [0, 0, 1, 1]] * 2
    scene.note(torch.zeros(1, 4, 4, dtype=torch.bool), torch.tensor([3]))  # it was left out
    assert scene.wanted.tolist() == [[False, True, False, True, False]]
    scene.note(torch.ones(1, 4, 4, dtype=torch.bool), torch.tensor([1]))
    assert scene.wanted.tolist() == [[False, False, False, True, False]]
    assert scene.occupied.all()


def test_what_is_known_of_no_image_lies_where_images_do() -> None:
    scene = Scene.of_none(bank_of([1, 4]), (4, 4), torch.device("meta"))
    assert scene.occupied.device.type == "meta"  # as on the second GPU of two, none of whose images gets an instance
    assert scene.occupied.shape == (0, 4, 4)
    assert scene.wanted.shape == (0, 5)
    assert scene.wanted.device.type == "cpu"
