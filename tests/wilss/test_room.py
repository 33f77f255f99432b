"""Room for decoded images and masks: shared, bounded, and free again when its owner is gone."""

from __future__ import annotations

import mmap

import pytest
import torch

import wilss.data.room as room_module
from wilss.data.images import ImageTable
from wilss.data.room import Room, resident

SIDE = 8
IMAGE = 3 * SIDE * SIDE


class Counted:
    """Images that are told from each other by their value, and how often they were decoded."""

    def __init__(self) -> None:
        self.asked = 0

    def image(self, image_id: str) -> torch.Tensor:
        self.asked += 1
        return torch.full((3, SIDE, SIDE), int(image_id), dtype=torch.uint8)


def table(room: Room, images: int = 4) -> tuple[ImageTable, Counted]:
    source = Counted()
    return ImageTable(source, tuple(map(str, range(images))), SIDE, room), source


def read(images: ImageTable) -> list[int]:
    return [int(images.image(position)[0, 0, 0]) for position in range(len(images))]


def test_what_does_not_fit_is_decoded_again() -> None:
    images, source = table(Room(2 * IMAGE))
    assert read(images) == read(images) == [0, 1, 2, 3]
    assert source.asked == 4 + 2
    assert images.room.taken == 2 * IMAGE


def test_tables_share_room_and_give_it_back() -> None:
    room = Room(5 * IMAGE)
    first, _ = table(room)
    read(first)
    second, source = table(room)
    read(second)
    read(second)
    assert (room.taken, source.asked) == (5 * IMAGE, 4 + 3), "one image of the second was kept"
    del first
    assert room.taken == IMAGE
    read(second)
    assert room.taken == 4 * IMAGE


def test_a_process_that_has_much_already_keeps_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_module, "LOOK", IMAGE)
    monkeypatch.setattr(room_module, "resident", lambda: held)
    held = 66
    images, source = table(Room(10 * IMAGE, within=100))
    images.image(0)
    held = 67
    images.image(1)
    images.image(1)
    assert (images.room.taken, source.asked) == (IMAGE, 3)
    held = 60
    assert read(images) == [0, 1, 2, 3]
    assert images.room.taken == 4 * IMAGE


def test_the_memory_of_this_process_is_seen() -> None:
    """Pages of the system's own, as an array may come from what was freed before."""
    before, size = resident(), 256 << 20
    with mmap.mmap(-1, size) as much:
        for at in range(0, size, mmap.PAGESIZE):
            much[at] = 1
        assert 0.7 * size < resident() - before < 1.3 * size


def test_what_a_table_forgets_is_free() -> None:
    images, source = table(Room(4 * IMAGE))
    read(images)
    images.forget()
    assert images.room.taken == 0
    read(images)
    assert (source.asked, images.room.taken) == (8, 4 * IMAGE)


def test_a_table_without_room_keeps_nothing() -> None:
    images, source = table(Room(0))
    read(images)
    read(images)
    assert (source.asked, images.room.taken) == (8, 0)
