"""What is remembered of files goes with their contents."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from wilss.data.stamps import NAME, Stamps, sha256
from wilss.errors import DataNotFoundError

OLD = 1_000_000_000


def written(path: Path, content: bytes) -> Path:
    """A file that was changed long ago, but for its time of status change, which nobody can set."""
    path.write_bytes(content)
    os.utime(path, (OLD, OLD))
    return path


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every file had been written long ago."""
    now = time.time_ns
    monkeypatch.setattr("time.time_ns", lambda: now() + 10**12)


def counted(stamps: Stamps, path: Path, seen: list[Path]) -> str:
    def find(path: Path) -> dict[str, str]:
        seen.append(path)
        return {"test": sha256(path)}

    return stamps.fact(path, "test", find)


@pytest.mark.usefixtures("settled")
def test_a_file_is_read_once_by_all_who_share_a_root(tmp_path: Path) -> None:
    path, seen = written(tmp_path / "a.png", b"one"), list[Path]()
    first = Stamps(tmp_path / NAME)
    assert counted(first, path, seen) == counted(first, path, seen) == sha256(path)
    first.save()
    assert counted(Stamps(tmp_path / NAME), path, seen) == sha256(path)
    assert len(seen) == 1


@pytest.mark.usefixtures("settled")
def test_other_contents_of_equal_size_and_time_are_noticed(tmp_path: Path) -> None:
    path = written(tmp_path / "a.png", b"one")
    stamps = Stamps(tmp_path / NAME)
    before = stamps.digest(path)
    written(path, b"two")
    assert stamps.digest(path) == sha256(path) != before
    other = written(tmp_path / "b.png", b"ten")
    other.replace(path)
    assert stamps.digest(path) == sha256(path)


def test_a_file_that_was_just_written_is_not_trusted(tmp_path: Path) -> None:
    path, seen = written(tmp_path / "a.png", b"one"), list[Path]()
    stamps = Stamps(tmp_path / NAME)
    counted(stamps, path, seen)
    counted(stamps, path, seen)
    assert len(seen) == 2


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("damage", ["garbage", "folder", "missing", "read-only"])
def test_it_works_without_a_file_of_its_own(tmp_path: Path, damage: str) -> None:
    path, seen, file = written(tmp_path / "a.png", b"one"), list[Path](), tmp_path / "root" / NAME
    if damage != "missing":
        file.parent.mkdir()
    if damage == "garbage":
        file.write_bytes(b"no database" * 1000)
    if damage == "folder":
        file.mkdir()
    if damage == "read-only":
        Stamps(file).save()
        file.touch(0o444)
        file.parent.chmod(0o555)
    stamps = Stamps(file)
    for _ in range(2):
        assert counted(stamps, path, seen) == sha256(path)
        stamps.save()
    assert len(seen) == 1
    assert file.parent.exists() == (damage != "missing")
    file.parent.chmod(0o755) if damage == "read-only" else None


@pytest.mark.usefixtures("settled")
def test_threads_share_it(tmp_path: Path) -> None:
    paths = [written(tmp_path / f"{k}", f"{k}".encode()) for k in range(200)]
    stamps = Stamps(tmp_path / NAME)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(stamps.digest, paths)) == [sha256(path) for path in paths]
        pool.submit(stamps.save).result()
        assert list(pool.map(stamps.digest, paths)) == [sha256(path) for path in paths]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(DataNotFoundError, match="link' does not exist"):
        Stamps(None).digest(tmp_path / "link")
