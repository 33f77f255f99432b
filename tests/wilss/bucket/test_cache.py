"""What a working root keeps of a bucket: no more than it may, the latest, and whatever a living process uses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wilss.bucket.address import Address, working_root
from wilss.bucket.cache import Cache

CODE = """
import sys
from pathlib import Path
from wilss.bucket.cache import Cache
cache = Cache(Path(sys.argv[1]))
cache.use("banks", sys.argv[2])
print("used", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("WILSS_CACHE", str(tmp_path))
    monkeypatch.setenv("WILSS_CACHE_SIZE", "1000")
    return working_root(Address("pets", ""))


def artefact(root: Path, letter: str, size: int, age: int) -> Path:
    """One with a manifest and two files, last used so many seconds ago."""
    folder = root / "banks" / (2 * letter) / (12 * letter)
    (folder / "deep").mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (folder / "file").write_bytes(b"x" * (size // 2))
    (folder / "deep" / "file").write_bytes(b"x" * (size // 2))
    used = root / ".bucket" / "used" / "banks" / folder.name
    used.parent.mkdir(parents=True, exist_ok=True)
    used.touch()
    os.utime(used, (1e9 - age, 1e9 - age))
    return folder


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_what_was_not_used_for_the_longest_time_goes_by_whole_artefacts(root: Path) -> None:
    old, new, older = artefact(root, "a", 400, 20), artefact(root, "b", 400, 10), artefact(root, "c", 100, 30)
    staging = root / "banks" / ".staging-ddd"
    staging.mkdir()
    (staging / "file").write_bytes(b"x" * 5000)
    Cache(root).make_room(100)
    assert [len(left(folder)) for folder in (old, new, older)] == [3, 3, 3], "it is just full"
    Cache(root).make_room(300)
    assert left(older) == ["manifest.json"]
    assert left(old) == ["manifest.json"]
    assert left(new) == ["file", "file", "manifest.json"]
    assert left(staging) == ["file"], "what is being made is none of it"


def test_what_this_process_and_others_use_stays_and_what_ended_ones_used_does_not(root: Path) -> None:
    ours, theirs, free = artefact(root, "a", 400, 30), artefact(root, "b", 400, 20), artefact(root, "c", 200, 10)
    arguments = [sys.executable, "-c", CODE, str(root), theirs.name]
    other = subprocess.Popen(
        arguments, cwd=Path(__file__).parents[3], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout
    assert other.stdout.readline() == "used\n"
    cache = Cache(root)
    cache.use("banks", ours.name)
    cache.make_room(900)
    assert [len(left(folder)) for folder in (ours, theirs, free)] == [3, 3, 1]
    other.kill()
    other.communicate()
    cache.make_room(900)
    assert [len(left(folder)) for folder in (ours, theirs)] == [3, 1]
