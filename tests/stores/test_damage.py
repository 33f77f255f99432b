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
from tests.stores.matrix import Case, Matrix, in_passes, made, results_after
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


def commands(artefacts: dict[str, str], folder: Path) -> dict[str, list[object]]:
    """Every command that reads what the run made."""
    photo = folder / "photo.png"
    Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(photo)
    return {
        "runs": ["runs"],
        "list": ["labels", "list"],
        "show": ["labels", "show", artefacts["labels 1"], "--out", folder / "show.png"],
        "export": ["labels", "export", artefacts["labels 1"], "--to", folder / "export"],
        "predict": ["predict", artefacts["checkpoint 1"], photo, "--out", folder / "predict"],
        "other": ["predict", artefacts["checkpoint 0"], photo, "--out", folder / "other"],
    }


def tried(wilss: Wilss, root: Path, artefacts: dict[str, str], folder: Path) -> dict[str, str]:
    """What every command that reads says or makes."""
    return {name: made(wilss, root, name, words, folder) for name, words in commands(artefacts, folder).items()}


MATRIX = Matrix(
    run=lambda root, said=None: results(run_without_server(root, said)),
    file_of=file_of,
    tried=tried,
    reports="runs",
    listed=("runs", "list"),
    other=lambda kind: ("other",),
)


@pytest.mark.parametrize("case", QUICK, ids=" ".join)
def test_damage_is_told_and_mended(
    case: Case, finished: tuple[Path, dict[str, Any]], wilss: Wilss, tmp_path: Path
) -> None:
    assert results_after(MATRIX, case, finished, wilss, tmp_path, thorough=False) == finished[1]


@pytest.mark.parametrize("case", in_passes(CASES))
def test_every_damage_is_told_and_mended(
    case: Case, finished: tuple[Path, dict[str, Any]], wilss: Wilss, tmp_path: Path
) -> None:
    assert results_after(MATRIX, case, finished, wilss, tmp_path) == finished[1]


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
