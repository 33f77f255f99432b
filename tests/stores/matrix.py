"""One artefact's file, damaged in one way: what every command makes of it, and what the next run and a repair do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.commands import Wilss
from tests.stores.damage import DAMAGE, JSON_DAMAGE
from wilss.damage import mark_of

Case = tuple[str, str, str]
"""Kind or node, file, damage."""


class RunAgain(Protocol):
    """A run over a root, found or made; what must not change of its results."""

    def __call__(self, root: Path, said: list[str] | None = None) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Matrix:
    """A kind of run whose artefacts are damaged.

    file_of: the file of a case under a root. tried: what every reader says or makes, "told" where it is refused.
    reports: folder of its reports. listed: readers that may list less. other: readers that a damage may not reach.
    """

    run: RunAgain
    file_of: Callable[[Path, str, str, dict[str, str]], Path]
    tried: Callable[[Wilss, Path, dict[str, str], Path], dict[str, str]]
    reports: str
    listed: tuple[str, ...]
    other: Callable[[str], tuple[str, ...]]


def made(wilss: Wilss, root: Path, name: str, command: list[object], folder: Path) -> str:
    """What a command says or makes in ``folder`` under its name; it ends in words, and what it made is removed."""
    code, out, err = wilss(*command, "--root", root)
    assert code in (0, 2), (command, out, err)
    assert "Traceback" not in err
    left = list(folder.glob(f"{name}*"))
    files = sorted(path for place in left for path in [place, *place.rglob("*")] if path.is_file())
    marks = [mark_of(path) for path in files if path.suffix != ".html" and not path.name.startswith(".")]
    for place in left:
        shutil.rmtree(place) if place.is_dir() else place.unlink()
    if code or "is damaged" in err:
        assert "wilss: " in err
        return "told"
    return str(marks) if left else out


def is_sound(root: Path, wilss: Wilss) -> bool:
    return wilss("store", "verify", "--root", root)[0] == 0


def results_after(
    matrix: Matrix,
    case: Case,
    finished: tuple[Path, dict[str, Any]],
    wilss: Wilss,
    tmp_path: Path,
    thorough: bool = True,
) -> dict[str, Any]:
    """What a run gives at last: of a root whose damage was told and mended by runs and, if ``thorough``, by a repair.

    Asserts on the way that every reader tells the damage or says what it says of a sound root.
    """
    kind, name, how = case
    root, right = tmp_path / "root", finished[1]
    shutil.copytree(finished[0], root)
    sound = matrix.tried(wilss, root, right["artefacts"], tmp_path)
    path = matrix.file_of(root, kind, name, right["artefacts"])
    before = path.read_bytes()
    {**DAMAGE, **JSON_DAMAGE}[how](path)
    assert not (path.is_file() and path.read_bytes() == before), "a damage that changes nothing tries nothing"
    assert not is_sound(root, wilss)
    found = matrix.tried(wilss, root, right["artefacts"], tmp_path)
    wrong = [k for k, v in found.items() if k not in matrix.listed and v not in ("told", sound[k])]
    assert not wrong, "silently wrong"
    assert all(found[k] == sound[k] for k in matrix.other(kind)), "another artefact is hidden"
    again = tmp_path / "again"
    shutil.copytree(root, again)
    assert matrix.run(root) == right, "the next run"
    shutil.rmtree(root / matrix.reports)  # whatever a report is made from is read
    said: list[str] = []
    last = matrix.run(root, said)
    for mended in (root, again) if thorough else ():
        assert last == right, said
        assert wilss("store", "repair", "--root", mended)[0] == 0
        last = matrix.run(mended)
        assert is_sound(mended, wilss)
        after = matrix.tried(wilss, mended, right["artefacts"], tmp_path)
        assert all(after[k] == v for k, v in sound.items() if k not in matrix.listed)
    return last


def in_passes(cases: list[Case]) -> list[Any]:
    """Every 46th is tried by CI, so that ways and files take turns; the others by ``pytest -m whole``."""
    marks = [pytest.mark.slow if number % 46 == 0 else pytest.mark.whole for number in range(len(cases))]
    return [pytest.param(case, marks=mark, id=" ".join(case)) for case, mark in zip(cases, marks, strict=True)]
