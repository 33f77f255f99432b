"""Wheel and sdist of the code as it lies here, built once."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Built:
    """Files of a build: the wheel was made from the sdist, not from the tree."""

    wheel: Path
    sdist: Path

    def in_wheel(self) -> dict[str, int]:
        """Name -> size."""
        with zipfile.ZipFile(self.wheel) as opened:
            return {one.filename: one.file_size for one in opened.infolist()}

    def in_sdist(self) -> dict[str, int]:
        """Name below the one folder that all is in -> size."""
        with tarfile.open(self.sdist) as opened:
            return {one.name.partition("/")[2]: one.size for one in opened.getmembers() if one.isfile()}

    def read(self, name: str) -> bytes:
        """Bytes of a file of the wheel; "*" at its start stands for the folder of the metadata."""
        with zipfile.ZipFile(self.wheel) as opened:
            folder = next(one.partition("/")[0] for one in opened.namelist() if ".dist-info/" in one)
            return opened.read(name.replace("*", folder, 1))


def build(source: Path, into: Path, *what: str) -> Path:
    """Build as `make wheel` does, with the hatchling that is installed. Raises AssertionError with what it said."""
    words = [sys.executable, "-m", "build", "--no-isolation", *what, "--outdir", str(into), str(source)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stdout + done.stderr
    return into


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The sdist of the tree, and the wheel of that sdist."""
    into = build(ROOT, tmp_path_factory.mktemp("dist"))
    (wheel,), (sdist,) = into.glob("*.whl"), into.glob("*.tar.gz")
    return Built(wheel, sdist)
