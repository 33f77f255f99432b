"""Watching a folder: what has settled, what waits, and one event over a restart or a kill."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deployments.watching import (
    Watched,
    Watcher,
    begin_event,
    finish_event,
    payload,
    read_watched,
    require_folder,
    told_in_words,
    watch_file,
    write_watched,
)
from wilss.errors import DataNotFoundError, FormatError, SpecError


class Clock:
    """A time that only a test moves on; it begins far ahead, so that the times of files settle nothing."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def photo(path: Path, seed: int = 0) -> None:
    pixels = np.random.default_rng(seed).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    folder = tmp_path / "pets"
    (folder / "images").mkdir(parents=True)
    for number in range(3):
        photo(folder / "images" / f"{number}.jpg", number)
    table(folder, ["0.jpg,cat", "1.jpg,dog", "2.jpg,"])
    return folder


def table(folder: Path, rows: list[str]) -> None:
    (folder / "labels.csv").write_text("\n".join(["image,labels", *rows]) + "\n")


def settled(watcher: Watcher, clock: Clock, told: dict[str, str] | None = None) -> set[str]:
    """What is new after everything had time to settle."""
    for _ in range(3):
        look = watcher.look(told or {})
        clock.now += 61
    return set(look.new)


def test_tagged_images_are_new_when_they_have_settled(pets: Path) -> None:
    clock = Clock()
    watcher = Watcher(pets, 60, clock)
    first = watcher.look({})
    assert (dict(first.new), first.moving) == ({}, ("labels.csv",))
    clock.now = 60
    assert set(watcher.look({}).moving) == {"0", "1"}
    clock.now = 119
    assert not watcher.look({}).new
    clock.now = 120
    look = watcher.look({})
    assert set(look.new) == {"0", "1"}, "the third has no tag"
    assert (look.tagged, look.moving, look.broken) == (2, (), ())


def test_old_files_need_not_be_watched_first(pets: Path) -> None:
    """Nothing wrote to them for long, as the system's own times tell."""
    assert not Watcher(pets, 3600).look({}).new
    assert set(Watcher(pets, 0.0).look({}).new) == {"0", "1"}


def test_a_file_that_grows_waits_from_the_beginning_again(pets: Path) -> None:
    clock = Clock()
    watcher, grows = Watcher(pets, 60, clock), pets / "images" / "1.jpg"
    whole = grows.read_bytes()
    grows.write_bytes(whole[:100])
    settled(watcher, clock)
    assert watcher.look({}).broken == ("1",), "half a copy that nobody goes on with is never told"
    grows.write_bytes(whole)
    look = watcher.look({})
    assert (set(look.new), look.moving) == ({"0"}, ("1",))
    assert settled(watcher, clock) == {"0", "1"}


def test_a_table_that_is_written_lets_everything_wait(pets: Path) -> None:
    clock = Clock()
    watcher = Watcher(pets, 60, clock)
    settled(watcher, clock)
    (pets / "labels.csv").write_text("image,labels\n0.jpg,ca")
    assert watcher.look({}).moving == ("labels.csv",)
    (pets / "labels.csv").unlink()
    look = watcher.look({})
    assert look.broken == ("labels.csv",)
    assert look.problem
    table(pets, ["0.jpg,cat", "1.jpg,dog", "2.jpg,dog", "9.jpg,cat"])
    assert settled(watcher, clock) == {"0", "1", "2"}, "a row whose image is not there yet waits"


def test_no_event_for_what_was_told_and_one_for_other_bytes_or_tags(pets: Path) -> None:
    clock = Clock()
    watcher = Watcher(pets, 60, clock)
    settled(watcher, clock)
    told = dict(watcher.look({}).new)
    assert settled(watcher, clock, told) == set()
    photo(pets / "images" / "0.jpg", 7)
    assert settled(watcher, clock, told) == {"0"}
    table(pets, ["0.jpg,cat", "1.jpg,dog;cat"])
    assert settled(watcher, clock, told) == {"0", "1"}


def test_what_was_told_is_remembered_over_a_restart(pets: Path, tmp_path: Path) -> None:
    path = watch_file(tmp_path, "pets")
    watched = begin_event(path, read_watched(path, pets), Watcher(pets, 0.0).look({}))
    assert payload("pets", watched) == {"name": "pets", "folder": str(pets), "images": 2, "first": ["0", "1"]}
    done = finish_event(path, watched)
    again = read_watched(path, pets)
    assert again == done
    assert (again.events, again.pending) == (1, None)
    assert not Watcher(pets, 0.0).look(again.told).new


def test_killed_between_posting_and_noting_it_posts_the_same_event(pets: Path, tmp_path: Path) -> None:
    path = watch_file(tmp_path, "pets")
    before = begin_event(path, read_watched(path, pets), Watcher(pets, 0.0).look({}))
    photo(pets / "images" / "2.jpg", 9)  # what comes in the meantime is for the next event
    table(pets, ["0.jpg,cat", "1.jpg,dog", "2.jpg,cat"])
    after = read_watched(path, pets)
    assert before.pending is not None
    assert after.pending == before.pending
    done = finish_event(path, after)
    assert set(Watcher(pets, 0.0).look(done.told).new) == {"2"}


def test_a_name_is_of_one_folder(pets: Path, tmp_path: Path) -> None:
    path = watch_file(tmp_path, "pets")
    write_watched(path, Watched(folder="/other"))
    with pytest.raises(SpecError, match="the watch 'pets' is of '/other', not of"):
        read_watched(path, pets)
    path.write_text('{"folder": 3}')
    with pytest.raises(FormatError, match="'folder' is 3"):
        read_watched(path, pets)
    for name in ("../pets", "", "Pets", "a" * 61):
        with pytest.raises(SpecError, match="cannot be called so"):
            watch_file(tmp_path, name)


def test_only_folders_of_images_are_watched(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="has no folder images/"):
        require_folder(tmp_path)


def test_it_says_what_is_waited_for(pets: Path) -> None:
    (pets / "images" / "0.jpg").write_bytes(b"no image")
    words = told_in_words(Watcher(pets, 0.0).look({}), 10)
    assert words == "1 of 10 new tagged images have settled; 1 cannot be read, such as 0"
