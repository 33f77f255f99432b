"""Every kind of stored file, damaged in every way: told in one sentence, mended by the next run, never used."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stores.artefacts import Store
from tests.commands import Wilss, command_line
from tests.stores.damage import DAMAGE, JSON_DAMAGE, results, run_without_server
from wilss.damage import mark_of, require_file, require_sizes
from wilss.errors import DamagedArtefactError

CHUNKS = ("refined/c/0/0/0", "ids/c/0", "tags/c/0/0", "image/c/0/0", "quality/c/0/0")
CASES = [
    *[("checkpoints", "model.safetensors", how) for how in DAMAGE],
    *[("checkpoints", "card.json", how) for how in [*DAMAGE, *JSON_DAMAGE]],
    *[("banks", "bank.safetensors", how) for how in DAMAGE],
    *[("banks", "index.json", how) for how in [*DAMAGE, *JSON_DAMAGE]],
    *[("evaluations", "confusion.json", how) for how in [*DAMAGE, *JSON_DAMAGE]],
    *[("labels", "index.json", how) for how in [*DAMAGE, *JSON_DAMAGE]],
    *[("labels", f"labels.zarr/{name}", how) for name in CHUNKS for how in DAMAGE],
    *[("labels", f"labels.zarr/{name}zarr.json", how) for name in ("", "refined/") for how in [*DAMAGE, *JSON_DAMAGE]],
    *[("teacher", "labels.zarr/final/c/0/0/0", how) for how in DAMAGE],
    *[(kind, "manifest.json", how) for kind in ("checkpoints", "labels", "banks") for how in [*DAMAGE, *JSON_DAMAGE]],
    *[("runs", "report.json", how) for how in [*DAMAGE, *JSON_DAMAGE]],
]
NODES = {
    "checkpoints": "checkpoint 1",
    "evaluations": "evaluation 1",
    "labels": "labels 1",
    "teacher": "final labels 1",
    "banks": "memory bank",
}
QUICK = [
    ("checkpoints", "model.safetensors", "flipped"),
    ("labels", "labels.zarr/refined/c/0/0/0", "deleted"),
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    root = tmp_path_factory.mktemp("finished")
    return root, results(run_without_server(root))


@pytest.fixture
def wilss(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Wilss:
    return command_line(capsys, monkeypatch)


def file_of(root: Path, kind: str, name: str, artefacts: dict[str, str]) -> Path:
    """A file of the last artefact of its kind in the run; of label sets the one that the step learnt from."""
    if kind == "runs":
        return next((root / "runs").glob(f"*/{name}"))
    digest = artefacts[NODES[kind]]
    return Store(root).path("labels" if kind == "teacher" else kind, digest) / name  # type: ignore[arg-type]


def tried(wilss: Wilss, root: Path, artefacts: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """What every command that reads says or makes; each ends in words."""
    photo = tmp_path / "photo.png"
    Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(photo)
    commands: dict[str, list[object]] = {
        "runs": ["runs"],
        "list": ["labels", "list"],
        "show": ["labels", "show", artefacts["labels 1"], "--out", tmp_path / "show.png"],
        "export": ["labels", "export", artefacts["labels 1"], "--to", tmp_path / "export"],
        "predict": ["predict", artefacts["checkpoint 1"], photo, "--out", tmp_path / "predict"],
        "other": ["predict", artefacts["checkpoint 0"], photo, "--out", tmp_path / "other"],
    }
    made: dict[str, str] = {}
    for name, command in commands.items():
        code, out, err = wilss(*command, "--root", root)
        assert code in (0, 2), (command, out, err)
        assert "Traceback" not in err
        if code or "is damaged" in err:
            assert "wilss: " in err
            made[name] = "told"
        elif name in ("runs", "list"):
            made[name] = out
        else:
            files = sorted(path for path in tmp_path.glob(f"{name}*/**/*") if path.is_file())
            made[name] = str([mark_of(path) for path in [*files, *tmp_path.glob(f"{name}.png")]])
        for left in tmp_path.glob(f"{name}*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    return made


def is_sound(root: Path, wilss: Wilss) -> bool:
    return wilss("store", "verify", "--root", root)[0] == 0


def damage_is_told_and_mended(
    case: tuple[str, str, str],
    finished: tuple[Path, dict[str, Any]],
    wilss: Wilss,
    tmp_path: Path,
    thorough: bool = True,
) -> None:
    kind, name, how = case
    root, right = tmp_path / "root", finished[1]
    shutil.copytree(finished[0], root)
    sound = tried(wilss, root, right["artefacts"], tmp_path)
    path = file_of(root, kind, name, right["artefacts"])
    before = path.read_bytes()
    {**DAMAGE, **JSON_DAMAGE}[how](path)
    assert not (path.is_file() and path.read_bytes() == before), "a damage that changes nothing tries nothing"
    assert not is_sound(root, wilss)
    found = tried(wilss, root, right["artefacts"], tmp_path)
    listed = ("runs", "list")
    wrong = [k for k, v in found.items() if k not in listed and v not in ("told", sound[k])]
    assert not wrong, "silently wrong"
    assert found["other"] == sound["other"], "another artefact is hidden"
    again = tmp_path / "again"
    shutil.copytree(root, again)
    assert results(run_without_server(root)) == right, "the next run"
    shutil.rmtree(root / "runs")  # whatever a report is made from is read
    said: list[str] = []
    assert results(run_without_server(root, said)) == right, said
    for mended in (root, again) if thorough else ():
        assert wilss("store", "repair", "--root", mended)[0] == 0
        assert results(run_without_server(mended)) == right, "after the repair"
        assert is_sound(mended, wilss)
        after = tried(wilss, mended, right["artefacts"], tmp_path)
        assert all(after[k] == v for k, v in sound.items() if k not in listed)


@pytest.mark.parametrize("case", QUICK, ids=" ".join)
def test_damage_is_told_and_mended(
    case: tuple[str, str, str], finished: tuple[Path, dict[str, Any]], wilss: Wilss, tmp_path: Path
) -> None:
    damage_is_told_and_mended(case, finished, wilss, tmp_path, thorough=False)


def in_passes(cases: list[tuple[str, str, str]]) -> list[Any]:
    """Every eleventh is tried by CI, so that each way has its turn; the others by ``pytest -m whole``."""
    marks = [pytest.mark.slow if number % 11 == 0 else pytest.mark.whole for number in range(len(cases))]
    return [pytest.param(case, marks=mark, id=" ".join(case)) for case, mark in zip(cases, marks, strict=True)]


@pytest.mark.parametrize("case", in_passes(CASES))
def test_every_damage_is_told_and_mended(
    case: tuple[str, str, str], finished: tuple[Path, dict[str, Any]], wilss: Wilss, tmp_path: Path
) -> None:
    damage_is_told_and_mended(case, finished, wilss, tmp_path)


def test_marks_tell_a_file_that_is_gone_changed_or_unknown(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    marks = {"a": mark_of(tmp_path / "a")}
    require_file(tmp_path, marks, "a")
    with pytest.raises(DamagedArtefactError, match="does not list it"):
        require_file(tmp_path, marks, "b")
    (tmp_path / "a").write_bytes(b"12346")
    require_sizes(tmp_path, marks)
    with pytest.raises(DamagedArtefactError, match="its content is not what was written"):
        require_file(tmp_path, marks, "a")
    (tmp_path / "a").write_bytes(b"1234")
    with pytest.raises(DamagedArtefactError, match="it has 4 bytes; 5 were written"):
        require_sizes(tmp_path, marks)
    (tmp_path / "a").unlink()
    with pytest.raises(DamagedArtefactError, match="No such file"):
        require_sizes(tmp_path, marks, "a")
    require_sizes(tmp_path, marks, "b/")
    for odd in ("../x", "/etc/passwd"):
        with pytest.raises(DamagedArtefactError, match="not below its folder"):
            require_sizes(tmp_path, {odd: marks["a"]})


def test_an_artefact_without_a_manifest_is_made_once_and_published(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    root = tmp_path / "root"
    shutil.copytree(finished[0], root)
    folder = Store(root).path("checkpoints", finished[1]["artefacts"]["checkpoint 1"])
    (folder / "manifest.json").unlink()
    said: list[str] = []
    assert results(run_without_server(root, said)) == finished[1]
    assert [line for line in said if "manifest.json' is damaged (No such file or directory); made again" in line]
    assert json.loads((folder / "manifest.json").read_text())["kind"] == "checkpoints"
    said.clear()
    run_without_server(root, said)
    assert not [line for line in said if "damaged" in line]
    assert len(list((root / "quarantine" / "checkpoints").iterdir())) == 1
