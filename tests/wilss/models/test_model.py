"""A student as scripts hold it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import wilss
from tests.wilss.models.cards import INPUT, SPEC, student_card, write_student_of_format_1
from wilss.data.files import read_rgb
from wilss.errors import ArtefactNotFoundError, DataError, DataNotFoundError, FormatError, SpecError, WilssError
from wilss.models.model import Model
from wilss.models.predict import predict_image
from wilss.nets.pretrained import find_weights
from wilss.nets.segmenter import build_segmenter


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    network = build_segmenter(SPEC, find_weights("resnet_scenes", "none", None), (2,)).eval()
    with torch.no_grad():
        for layer in network.classifiers:
            layer.weight.mul_(1000)
            layer.bias.zero_()
    return Model(network, student_card(class_ids=(7, 20), input={**INPUT, "canvas": 48}))


def image(height: int = 60, width: int = 40, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def test_classes_and_colours_are_told_by_the_ids_that_it_predicts(model: Model) -> None:
    assert model.classes == {0: "background", 7: "a", 20: "b"}
    assert model.palette == {0: (0, 0, 0), 7: (128, 128, 128), 20: (0, 64, 128)}
    found = model.predict(image())
    assert (found.dtype, found.shape) == (torch.uint8, (60, 40))
    assert 1 < len(set(found.unique().tolist())) <= 3
    assert set(found.unique().tolist()) <= model.classes.keys()


def test_one_a_list_and_a_batch_come_back_as_they_were_given(model: Model, tmp_path: Path) -> None:
    images = [image(seed=0), image(30, 50, seed=1)]
    files = [tmp_path / f"{k}.png" for k in range(2)]
    for path, pixels in zip(files, images, strict=True):
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(path)
    wanted = [predict_image(model.network, model.card, pixels) for pixels in images]
    for given in (images, files, [str(files[0]), Image.open(files[1])], tuple(files)):
        found = model.predict(given)
        assert isinstance(found, list)
        assert all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))
    assert torch.equal(model.predict(str(files[0])), wanted[0])
    batch = torch.stack([images[0], images[0]])
    for same in (batch, batch.float() / 255, batch.permute(0, 2, 3, 1).numpy()):
        assert torch.equal(model.predict(same), torch.stack([wanted[0]] * 2))
    assert model.predict([]) == []
    with pytest.raises(DataNotFoundError, match=r"none\.png' does not exist"):
        model.predict([files[0], tmp_path / "none.png"])
    with pytest.raises(DataError, match="give RGB as"):
        model.predict(np.zeros((4, 4), np.uint8))


@pytest.mark.parametrize("old", [False, True])
def test_what_is_saved_is_loaded(model: Model, tmp_path: Path, old: bool) -> None:
    if old:
        write_student_of_format_1(model.network.state_dict(), model.card, tmp_path)
        folder = tmp_path
    else:
        folder = model.save(tmp_path / "new" / "model")
    found = wilss.load(folder, device="cpu")
    assert found.card == model.card
    assert torch.equal(found.predict(image()), model.predict(image()))
    assert not found.network.training
    if not old:
        with pytest.raises(SpecError, match="holds a model already; choose another folder"):
            model.save(folder)


def test_folders_that_hold_no_student_are_told_in_one_sentence(model: Model, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "index.json").write_text("{}")
    newer = model.save(tmp_path / "newer")
    card = newer / "config.json"
    card.write_text(card.read_text().replace('"format": 2', '"format": 3'))
    damaged = model.save(tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes(b"\x10")
    cases: list[tuple[Path, type[WilssError], str]] = [
        (tmp_path / "empty", ArtefactNotFoundError, "holds no student"),
        (tmp_path / "labels", ArtefactNotFoundError, "holds no student"),
        (newer, FormatError, "has format 3; this version reads up to 2. Upgrade wilss"),
        (damaged, FormatError, "is damaged"),
    ]
    for folder, kind, message in cases:
        with pytest.raises(kind, match=message) as caught:
            wilss.load(folder)
        assert "\n" not in str(caught.value)
    with pytest.raises(SpecError, match="device 'tpu' is not available here"):
        wilss.load(tmp_path / "empty", device="tpu")


def test_files_are_segmented_as_the_command_does(model: Model, tmp_path: Path) -> None:
    from stores.models.predict import predict_files

    folder = model.save(tmp_path / "model")
    Image.fromarray(image(200, 90).permute(1, 2, 0).numpy()).save(tmp_path / "photo.jpg")
    (written,) = predict_files(str(folder), [tmp_path / "photo.jpg"], tmp_path / "out", tmp_path, "cpu")
    labels = Image.open(written)
    assert torch.equal(torch.from_numpy(np.array(labels)), model.predict(tmp_path / "photo.jpg"))
    palette = labels.getpalette()
    assert palette is not None
    assert {k: tuple(palette[3 * k : 3 * k + 3]) for k in model.palette} == model.palette
    assert read_rgb(tmp_path / "photo.jpg").shape == (3, 200, 90)
