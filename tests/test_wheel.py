"""What is in the wheel and in the sdist: all that the code reads, and nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path, PurePosixPath

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.built import ROOT, Built, build
from tests.dockerfile import Stage, stages
from tests.project_files import project

ROOMS = ("wilss", "stores", "tasks", "flows", "deployments")
MOST = 40 << 20
"""Bytes of a file that is published; most of it are the small models of the built-in world."""
RUBBISH = re.compile(
    r"__pycache__|\.py[co]$|\.partial$|(^|/)\.(venv|git/|ci/|mypy_cache|ruff_cache|pytest_cache)|wilss-data"
)


def shipped() -> set[str]:
    """Files of the rooms as they lie here, without what running them leaves."""
    found = (path.relative_to(ROOT).as_posix() for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_file())
    return {name for name in found if not RUBBISH.search(name)}


def own(names: dict[str, int]) -> set[str]:
    return {name for name in names if ".dist-info/" not in name}


def test_the_wheel_has_all_files_of_the_rooms_and_no_others(built: Built) -> None:
    assert own(built.in_wheel()) == shipped()


@pytest.mark.parametrize(
    ("folder", "suffix"),
    [
        ("deployments/inspector/static", ".js"),
        ("deployments/inspector/static", ".css"),
        ("deployments/inspector/templates", ".j2"),
        ("wilss/report", ".j2"),
        ("wilss/report", ".css"),
        ("wilss/foundation/weights", ".safetensors"),
        ("wilss/foundation", ".json"),
        ("wilss", ".typed"),
        ("stores", ".typed"),
    ],
)
def test_the_wheel_has_what_is_no_python(built: Built, folder: str, suffix: str) -> None:
    paths = [PurePosixPath(name) for name in built.in_wheel()]
    assert [path for path in paths if str(path.parent) == folder and path.suffix == suffix]


def test_neither_is_large_and_only_models_are(built: Built) -> None:
    assert max(built.wheel.stat().st_size, built.sdist.stat().st_size) < MOST
    large = {name for names in (built.in_wheel(), built.in_sdist()) for name, size in names.items() if size > 1 << 20}
    assert {PurePosixPath(name).suffix for name in large} == {".safetensors"}


def test_the_sdist_has_tests_and_docs_and_no_rubbish(built: Built) -> None:
    names = built.in_sdist()
    assert [name for name in names if RUBBISH.search(name)] == []
    wanted = ["pyproject.toml", "PKG-INFO", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile"]
    wanted += ["tests/conftest.py", "tests/golden/golden.json", "docs/architecture.md", "examples/own_method.py"]
    assert [name for name in wanted if name not in names] == []
    known = {path.name for path in ROOT.iterdir()} | {"PKG-INFO"}
    assert {PurePosixPath(name).parts[0] for name in names} <= known


def test_the_sdist_has_every_file_that_git_keeps(built: Built) -> None:
    asked = ["git", "ls-files", "--cached", "tests", "docs", "examples", ".github", *ROOMS]
    listed = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("no clone of the repository")
    kept = {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}
    assert len(kept) > 800
    assert kept - set(built.in_sdist()) == set()


def test_metadata_tell_licence_command_and_ranges(built: Built) -> None:
    told, content = message_from_bytes(built.read("*/METADATA")), project()
    assert (told["Name"], told["Version"]) == ("wilss", content["version"])
    assert (told["License-Expression"], told["Author"]) == ("Apache-2.0", "The wilss developers")
    assert built.read("*/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    assert built.read("*/entry_points.txt").decode().split() == [
        "[console_scripts]",
        "wilss",
        "=",
        "deployments.command:main",
    ]
    assert _ranges(content["dependencies"]).items() <= _ranges(told.get_all("Requires-Dist", [])).items()
    assert told["Requires-Python"] == content["requires-python"]


def _ranges(lines: list[str]) -> dict[str, SpecifierSet]:
    """Of what is always needed, by normalised name."""
    found = (Requirement(line) for line in lines)
    return {canonicalize_name(one.name): one.specifier for one in found if not one.marker}


def test_both_may_be_published(built: Built) -> None:
    words = [sys.executable, "-m", "twine", "check", "--strict", str(built.wheel), str(built.sdist)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stdout
    assert done.stdout.count("PASSED") == 2


def test_what_the_image_copies_is_enough_for_the_wheel(built: Built, tmp_path: Path) -> None:
    stage = next(stage for stage in stages() if stage.name == "build")
    copied, made = _copied(stage, tmp_path / "src"), build(tmp_path / "src", tmp_path / "dist", "--wheel")
    (wheel,) = made.glob("*.whl")
    assert copied
    with zipfile.ZipFile(wheel) as opened:
        assert set(opened.namelist()) == set(built.in_wheel())


def _copied(stage: Stage, into: Path) -> list[str]:
    into.mkdir()
    sources = [word for words in stage.words("COPY") for word in words[:-1]]
    for source in sources:
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, into / source, ignore=shutil.ignore_patterns("__pycache__", "*.partial"))
        else:
            shutil.copy(ROOT / source, into / source)
    return sources
