"""Many files are looked at in several processes, and nothing but the time shows it."""

from __future__ import annotations

import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.wilss.sharded import write_tar
from wilss.data import ahead
from wilss.data.looks import IMAGE_LOOK, MASK_LOOK, Looks, facts_of
from wilss.data.places.opening import known_of
from wilss.data.places.place import stamp_of
from wilss.data.stamps import NAME, Stamps

FILES = 150


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Images that all differ, of which some are none."""
    now = time.time_ns
    monkeypatch.setattr("time.time_ns", lambda: now() + 10**12)
    monkeypatch.setattr("wilss.data.looks.MANY", 2)
    paths = [tmp_path / f"{number} ä.png" for number in range(FILES)]
    for number, path in enumerate(paths):
        Image.fromarray(np.full((4 + number % 7, 5), number, np.uint8)).save(path)
    paths[3].write_bytes(b"no image")
    paths[70].write_bytes(paths[70].read_bytes()[:30])
    return [*paths, tmp_path / "gone.png"]


def test_the_same_is_seen(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    stamps, alone = Stamps(None), Looks(Stamps(None))
    Looks(stamps).ahead(files, files)
    with monkeypatch.context() as patch:
        patch.setattr("wilss.data.looks._look_at_image", lambda path, held: pytest.fail(f"{path} is looked at again"))
        patch.setattr("wilss.data.looks._look_at_mask", lambda path, held: pytest.fail(f"{path} is looked at again"))
        seen = [(Looks(stamps).image(path), Looks(stamps).mask(path)) for path in files[:-1]]
    assert seen == [(alone.image(path), alone.mask(path)) for path in files[:-1]]
    assert len({look.mask(path).values.get(9, 0) for look in [alone] for path in files[:20]}) == 2
    assert "decoded" in seen[3][0].problem
    assert "does not exist" in Looks(stamps).image(files[-1]).problem


def test_files_in_a_tar_are_seen_by_processes_too(files: list[Path], tmp_path: Path) -> None:
    write_tar(tmp_path / "tars" / "one.tar", {path.name: path.read_bytes() for path in files[:-1]})
    stamps = known_of(tmp_path / "tars", None)
    packed = list(stamps.place.layout(tmp_path / "tars").images.files.values())
    assert len(packed) == FILES
    Looks(stamps).ahead(packed)
    assert stamps.unknown(packed, IMAGE_LOOK) == []
    alone = Looks(Stamps(None))
    for path in packed:
        seen, expected = Looks(stamps).image(path), alone.image(tmp_path / path.name)
        assert replace(seen, problem="") == replace(expected, problem="")
        assert bool(seen.problem) == bool(expected.problem)
        assert seen.problem.startswith(f"'{path}'") == bool(seen.problem)


def test_what_others_remembered_is_not_looked_at(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Stamps(tmp_path / NAME)
    Looks(first).ahead(files[:50])
    first.save()
    asked = list[int]()
    monkeypatch.setattr("wilss.data.looks.look_ahead", lambda stamps, kind, paths: asked.append(len(paths)))
    second = Looks(Stamps(tmp_path / NAME))
    second.ahead(files)
    assert asked == [FILES - 50]
    assert second.image(files[9]) == Looks(Stamps(None)).image(files[9])


def test_a_file_that_changes_meanwhile_is_looked_at_again(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    stamps, path = Stamps(None), files[5]
    before = stamp_of(path)[0]
    facts = facts_of(IMAGE_LOOK, path)
    Image.fromarray(np.zeros((30, 40), np.uint8)).save(path)
    stamps.remember(path, before, facts)
    assert Looks(stamps).image(path).size == (30, 40)


@pytest.mark.parametrize("process", ["ends at once", "cannot be started"])
def test_without_processes_it_is_slower(files: list[Path], monkeypatch: pytest.MonkeyPatch, process: str) -> None:
    def start(*arguments: object, **_: object) -> subprocess.Popen[str]:
        if process == "cannot be started":
            raise BlockingIOError("no more processes")
        return subprocess.Popen(["true"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    monkeypatch.setattr(ahead, "_started", start)
    looks = Looks(Stamps(None))
    looks.ahead(masks=files)
    assert looks.stamps.unknown(files, MASK_LOOK) == files[:-1]
    assert looks.mask(files[9]).values == {9: 30}
