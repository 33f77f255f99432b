"""Damaged label sets: a run says so and makes the damaged shards anew, and nothing else; then results are the same."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from stores.artefacts import ArtefactRef, Manifest, Store
from stores.labels.index import LabelIndex
from stores.labels.mend import mend_stored
from stores.labels.sets import LabelSet
from tests.stores.labels.sets import write_format1
from wilss.errors import DamagedArtefactError
from wilss.settings import Settings
from wilss.spec import make_spec

pytestmark = pytest.mark.usefixtures("prefect_backend")
TINY: dict[str, Any] = {"benchmark": "scenes-15-5", "preset": "tiny", "method": "finetune"}
OTHER = {**TINY, "step": {"lr_head": 0.0021}}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, prefect_backend: None) -> tuple[Path, dict[str, Any]]:
    """A finished run with nine shards of labels, and what another step learns from them undisturbed."""
    import stores.labels.index as index
    from flows.benchmark import run_benchmark

    root, patch = tmp_path_factory.mktemp("mending"), pytest.MonkeyPatch()
    patch.setattr(index, "SHARD_IMAGES", 4)
    run_benchmark(make_spec(TINY), Settings(root=root))
    shutil.copytree(root, root.with_name("other"))
    undisturbed = run_benchmark(make_spec(OTHER), Settings(root=root.with_name("other")))
    yield root, undisturbed
    patch.undo()


@pytest.fixture
def root(finished: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    return shutil.copytree(finished[0], tmp_path / "root")


def labels_in(root: Path) -> tuple[Manifest, Path]:
    (manifest,) = (m for m in Store(root).all("labels"))
    return manifest, Store(root).folder(manifest.ref)


DAMAGE = ["refined/c/3/0/0", "initial/c/0/0/0", "quality/c/8/0", "image/c/1/0", "refined/zarr.json", "ids/c/0"]
DAMAGE += ["../index.json"]


@pytest.mark.parametrize("how", ["gone", *(pytest.param(how, marks=pytest.mark.slow) for how in ("half", "swapped"))])
def test_a_run_makes_damaged_shards_anew(
    finished: tuple[Path, dict[str, Any]], root: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from flows.benchmark import run_benchmark

    manifest, folder = labels_in(root)
    before = {path: path.stat().st_mtime_ns for path in (folder / "labels.zarr").rglob("0") if path.is_file()}
    shard = folder / "labels.zarr/refined/c/3/0/0"
    content = (folder / "labels.zarr/refined/c/4/0/0").read_bytes() if how == "swapped" else shard.read_bytes()
    shard.unlink() if how == "gone" else shard.write_bytes(content[: len(content) // 2] if how == "half" else content)
    found = run_benchmark(make_spec(OTHER), Settings(root=root))
    said = capsys.readouterr()
    assert "refined/c/3/0/0' is damaged" in said.out + said.err
    assert "1 damaged shards made anew" in said.out + said.err
    assert found["metrics"] == finished[1]["metrics"]
    assert labels_in(root)[0].files == manifest.files, "the same bytes"
    changed = {path for path, at in before.items() if path.stat().st_mtime_ns != at}
    assert {path.relative_to(folder / "labels.zarr").parts[2] for path in changed} == {"3"}
    assert not list(folder.parent.glob("*.lock"))


@pytest.mark.parametrize("name", DAMAGE)
def test_whatever_is_damaged_is_mended(root: Path, name: str) -> None:
    manifest, folder = labels_in(root)
    path = folder / "labels.zarr" / name
    sound = path.read_bytes()
    path.write_bytes(b"x" * len(sound))
    with pytest.raises(DamagedArtefactError, match=path.name):
        read_all(folder)
    assert mend_stored(manifest, Settings(root=root)) == (not name.endswith("json") and name != "ids/c/0")
    assert path.read_bytes() == sound
    read_all(folder)


def read_all(folder: Path) -> None:
    labels = LabelSet.open(folder)
    for error in labels.stored.damage().values():
        raise error


def test_a_set_of_format_1_is_learnt_from_and_mended_as_a_whole(
    finished: tuple[Path, dict[str, Any]], root: Path
) -> None:
    """What an earlier version published is found by its digest."""
    from flows.benchmark import run_benchmark

    manifest, folder = labels_in(root)
    labels = LabelSet.open(folder)
    dense = {name: labels.read(name, 0, len(labels)) for name in ("initial", "refined", "soft", "agreement")}
    as_format_1(folder, labels.index, dense)
    (folder / "manifest.json").write_text(
        manifest.model_copy(update={"format": 1, "files": {}}).model_dump_json(exclude={"seal"})
    )
    found = run_benchmark(make_spec(OTHER), Settings(root=root))
    assert found["metrics"] == finished[1]["metrics"]
    (folder / "labels.zarr/refined/c/0/0/0/0").unlink()
    assert mend_stored(labels_in(root)[0], Settings(root=root)) == 9
    mended = LabelSet.open(folder)
    assert torch.equal(mended.read("refined", 0, len(mended)), dense["refined"])


def as_format_1(folder: Path, index: LabelIndex, dense: dict[str, torch.Tensor]) -> None:
    import zarr

    shutil.rmtree(folder / "labels.zarr")
    write_format1(folder, index)
    group = zarr.open_group(folder / "labels.zarr", mode="r+")
    for name, values in dense.items():
        group[name][:] = values.numpy()


def test_a_corrected_set_is_not_guessed(root: Path) -> None:
    from stores.labels.children import make_child

    parent, folder = labels_in(root)
    child = make_child(Store(root), parent.ref, LabelSet.open(folder).index.ids[:3])
    (Store(root).folder(child.ref) / "labels.zarr/refined/c/0/0/0").unlink()
    with pytest.raises(DamagedArtefactError, match="cannot be made anew from its images; make or import it again"):
        mend_stored(child, Settings(root=root))
    assert ArtefactRef(kind="labels", digest=child.digest)
