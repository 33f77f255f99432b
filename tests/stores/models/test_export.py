"""Students that leave a store."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import wilss
from stores.artefacts import Recipe, Store
from stores.evaluations import save_confusions
from stores.models.export import export_model
from stores.models.graphs import Wanted
from stores.models.pictures import BUILT_IN, pictures_for
from tests.stores.students import publish_student
from wilss.errors import DamagedArtefactError, DataError, DataNotFoundError, SpecError, StorageError

PLAIN = Wanted()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for k, size in enumerate([(40, 30), (64, 64), (90, 70)]):
        pixels = np.random.default_rng(k).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{k}.png")
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_the_folder_is_loaded_as_the_store_s_own(tmp_path: Path, photos: Path) -> None:
    ref = publish_student(tmp_path / "root")
    exported = export_model(ref.digest, tmp_path / "root", tmp_path / "out", PLAIN)
    assert exported.parity == {}
    again, own = wilss.load(exported.folder, device="cpu"), wilss.load(ref.digest, tmp_path / "root", device="cpu")
    assert again.digest == own.digest == ref.digest
    assert torch.equal(again.predict(photos / "0.png"), own.predict(photos / "0.png"))


def test_the_readme_tells_of_the_newest_evaluation_and_the_training(tmp_path: Path) -> None:
    store, ref = Store(tmp_path), publish_student(tmp_path, 3)
    recipe = Recipe("evaluations", {"data": "d"}, {"checkpoint": ref})
    with store.build(recipe) as folder:
        save_confusions(("a", "b"), {"full": torch.tensor([[90, 10, 0], [0, 50, 0], [0, 0, 25]])}, folder)
        store.publish(recipe, folder, {"images": 7})
    export_model(ref.digest[:8], tmp_path, tmp_path / "out", PLAIN)
    text = (tmp_path / "out" / "README.md").read_text()
    assert "| 1 | a | 0 | 83.3 |\n| 2 | b | 0 | 100.0 |" in text
    assert "On 7 full-size images" in text
    assert f"from model {ref.digest[:12]}" in text
    assert "| training images | 1 |" in text


@pytest.mark.slow
def test_an_onnx_model_lies_beside_with_what_it_was_compared_on(tmp_path: Path, photos: Path) -> None:
    ref = publish_student(tmp_path / "root")
    wanted = Wanted("onnx", "labels", True, (photos / "2.png", photos))
    exported = export_model(ref.digest, tmp_path / "root", tmp_path / "out", wanted)
    assert set(exported.parity) == {"model.onnx", "model-int8.onnx"}
    stored = json.loads((tmp_path / "out" / "parity.json").read_text())
    assert [Path(one["picture"]).name for one in stored["model.onnx"]["pictures"]] == ["2.png", "0.png", "1.png"]
    assert stored["model.onnx"]["equal"] == exported.parity["model.onnx"].equal > 0.999
    import onnxruntime

    session = onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx", providers=["CPUExecutionProvider"])
    image = np.asarray(Image.open(photos / "0.png")).transpose(2, 0, 1)[None]
    (labels,) = session.run(None, {"images": image})
    assert np.array_equal(labels[0], wilss.load(tmp_path / "out", device="cpu").predict(photos / "0.png").numpy())


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted(int8=True), "--int8 makes an ONNX model; add --format onnx"),
        (Wanted("torch-export", int8=True), "--int8 makes an ONNX model"),
        (Wanted(pictures=(Path("a.png"),)), "--pictures compare a graph"),
        (Wanted("torch-export", masks=Path("masks")), "--masks are the true masks of pictures"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path: Path, wanted: Wanted, message: str) -> None:
    ref = publish_student(tmp_path / "root")
    with pytest.raises(SpecError, match=message):
        export_model(ref.digest, tmp_path / "root", tmp_path / "out", wanted)
    assert not (tmp_path / "out").exists()


def test_nothing_is_left_of_an_export_that_fails(tmp_path: Path, photos: Path) -> None:
    root, ref = tmp_path / "root", publish_student(tmp_path / "root")
    (photos / "1.png").write_bytes(b"none")
    with pytest.raises(DataError, match=r"1\.png"):
        export_model(ref.digest, root, tmp_path / "out", Wanted("onnx", pictures=(photos,)))
    (tmp_path / "there").mkdir()
    with pytest.raises(SpecError, match="is there already and is not replaced"):
        export_model(ref.digest, root, tmp_path / "there", PLAIN)
    weights = Store(root).path("checkpoints", ref.digest) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
    with pytest.raises(DamagedArtefactError, match=r"model\.safetensors"):
        export_model(ref.digest, root, tmp_path / "out", PLAIN)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "root", "there"]


def test_built_in_pictures_have_four_sizes() -> None:
    pictures = pictures_for(())
    assert {tuple(image.shape[1:]) for _, image, _ in pictures} == set(BUILT_IN)
    assert len({image.float().mean() for _, image, _ in pictures}) == len(pictures) == 16


def test_true_masks_are_those_of_the_pictures(tmp_path: Path, photos: Path) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    for k, (height, width) in enumerate([(30, 40), (64, 64), (70, 90)]):
        Image.fromarray(np.full((height, width), k, np.uint8)).save(masks / f"{k}.png")
    found = pictures_for((photos,), masks)
    assert [int(one.mask.unique()) for one in found if one.mask is not None] == [0, 1, 2]
    Image.fromarray(np.zeros((40, 30), np.uint8)).save(masks / "0.png")
    with pytest.raises(
        DataError, match=r"0\.png' is 30 x 40, its picture '.*0\.png' 40 x 30; give masks of the same size"
    ):
        pictures_for((photos,), masks)
    with pytest.raises(SpecError, match=r"0\.png' and '.*0\.jpg' would have one true mask, '.*0\.png'; rename one"):
        pictures_for((photos, tmp_path / "0.jpg"), masks)
    with pytest.raises(SpecError, match=r"1\.png' is no folder; --masks takes one with"):
        pictures_for((photos,), masks / "1.png")
    (masks / "0.png").unlink()
    with pytest.raises(DataNotFoundError, match=r"0\.png' does not exist: the true mask of .* or leave out --masks"):
        pictures_for((photos,), masks)


def test_nothing_is_left_where_the_disk_takes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails after the weights were written."""
    ref = publish_student(tmp_path / "root")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("stores.models.export.write_graphs", full)
    with pytest.raises(StorageError, match=r"full|space|room"):
        export_model(ref.digest, tmp_path / "root", tmp_path / "out", Wanted("torch-export"))
    monkeypatch.setattr("stores.models.export.write_graphs", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        export_model(ref.digest, tmp_path / "root", tmp_path / "out", Wanted("torch-export"))
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


def test_others_may_read_what_was_exported(tmp_path: Path) -> None:
    ref = publish_student(tmp_path / "root")
    folder = export_model(ref.digest, tmp_path / "root", tmp_path / "out", PLAIN).folder
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1
