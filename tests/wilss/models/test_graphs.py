"""Students as ONNX models and torch.export programs: the same class ids, at any size."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import wilss
from tests.wilss.models.cards import INPUT, SPEC, student_card
from wilss.errors import DataError
from wilss.models.deployable import Deployable, shrunk
from wilss.models.graphs import keep_output, onnx_session, run_of_onnx, run_of_program, save_onnx, save_program
from wilss.models.int8 import save_int8
from wilss.models.model import Model
from wilss.models.parity import Picture, compare
from wilss.nets.pretrained import find_weights
from wilss.nets.segmenter import build_segmenter
from wilss.nets.spec import StudentSpec

CANVAS = 48
SIZES = [(1, 1), (2, 9), (48, 48), (30, 20), (64, 33), (97, 1), (96, 72), (200, 150), (53, 48)]
"""Height and width: smaller and larger than the canvas, odd, thin, shrunk by a half exactly."""


def model_of(spec: StudentSpec, **arguments: str) -> Model:
    torch.manual_seed(0)
    weights = replace(find_weights(spec.backbone, "none", None), arguments=tuple(arguments.items()))
    network = build_segmenter(spec, weights, (2, 1)).eval()
    with torch.no_grad():
        for layer in network.classifiers:
            nn.init.normal_(layer.weight, std=0.3)
            layer.bias.zero_()
    facts = {"step": 1, "step_sizes": (2, 1), "classes": ("a", "b", "c"), "class_ids": (7, 20, 3)}
    known = {**INPUT, "canvas": CANVAS, "arguments": arguments}
    return Model(network, student_card(spec, input=known, **facts), "0123abcd")


@pytest.fixture(scope="module")
def model() -> Model:
    return model_of(SPEC)


def pictures(*sizes: tuple[int, int]) -> list[Picture]:
    """Smooth images with a little noise, as photographs are."""
    generator, found = torch.Generator().manual_seed(0), []
    for size in sizes:
        coarse = torch.rand(1, 3, 6, 6, generator=generator)
        smooth = nn.functional.interpolate(coarse, size, mode="bicubic").clamp(0, 1)[0]
        image = smooth + 0.05 * torch.rand(3, *size, generator=generator)
        found.append(Picture(str(size), (255 * image.clamp(0, 1)).round().byte()))
    return found


@pytest.fixture(scope="module")
def onnx_file(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    save_onnx(model, path)
    return path


def test_sides_are_shrunk_as_images_are() -> None:
    wrong = [
        (side, longest, canvas)
        for canvas in (48, 96, 320, 321, 512)
        for longest in range(canvas, 3 * canvas, 7)
        for side in range(1, longest + 1, 3)
        if shrunk(side, longest, canvas) != max(2, round(side * canvas / longest))
    ]
    assert wrong == []
    assert (shrunk(3, 96, 48), shrunk(5, 96, 48), shrunk(7, 96, 48)) == (2, 2, 4)  # halves go to the even side


@pytest.mark.parametrize("size", [size for size in SIZES if min(size) > 1])
def test_the_graph_gives_what_predict_gives(model: Model, size: tuple[int, int]) -> None:
    ((_, image, _),) = pictures(size)
    labels, logits = Deployable(model.network, model.card)(image[None])
    assert logits.shape == (1, 4, *size)
    assert torch.equal(labels[0], model.predict(image))


def test_onnx_gives_the_same_at_any_size_and_number(model: Model, onnx_file: Path) -> None:
    run = run_of_onnx(onnx_file)
    parity = compare(model, run, pictures(*SIZES))
    assert parity.logits is not None
    assert parity.logits < 1e-3
    assert parity.equal >= 0.999
    assert all(one.as_predicted >= 0.999 for one in parity.pictures if min(one.height, one.width) > 1)
    assert {one.equal for one in parity.pictures} == {1.0}, "those of a single row or column too"
    assert [(one.height, one.width) for one in parity.pictures] == SIZES
    images = torch.stack([picture.image for picture in pictures(*[(64, 40)] * 3)])
    together, alone = run(images)["labels"], torch.cat([run(image[None])["labels"] for image in images])
    assert float((together == alone).double().mean()) >= 0.999
    assert len(together.unique()) > 1


def test_true_masks_tell_what_a_graph_loses(model: Model) -> None:
    """The mask is what the model finds, but a row of void, one of a class that it lacks, and a quarter of another."""
    first, second = pictures((40, 40), (30, 50))
    found = model.predict(first.image)
    mask = found.clone()
    mask[0], mask[1] = 255, 99
    mask[20:, 20:] = 7

    def nothing(images: Tensor) -> dict[str, Tensor]:
        return {"labels": torch.zeros(1, *images.shape[2:], dtype=torch.uint8)}

    assert compare(model, nothing, [second]).truth is None
    scored = compare(model, nothing, [first._replace(mask=mask), second]).truth
    seen, true = found[2:], mask[2:]
    ious = [float(((seen == k) & (true == k)).sum() / ((seen == k) | (true == k)).sum()) for k in true.unique()]
    assert scored is not None
    assert scored.model == pytest.approx(sum(ious) / len(ious))
    assert scored.graph == pytest.approx(float((true == 0).double().mean()) / len(ious))
    assert scored.unknown == pytest.approx(40 / (39 * 40)), "of what is no void"


def test_true_masks_of_another_numbering_are_refused(model: Model) -> None:
    (picture,) = pictures((40, 40))

    def nothing(images: Tensor) -> dict[str, Tensor]:
        return {"labels": torch.zeros(1, *images.shape[2:], dtype=torch.uint8)}

    mask = torch.full((40, 40), 200, dtype=torch.uint8)
    mask[0] = 255
    with pytest.raises(DataError, match="the true masks have the ids 200, 255, the model 0, 7, 20, 3; give masks"):
        compare(model, nothing, [picture._replace(mask=mask)])


def test_an_onnx_model_says_what_it_knows(model: Model, onnx_file: Path, tmp_path: Path) -> None:
    (path := tmp_path / "m.onnx").write_bytes(onnx_file.read_bytes())
    told = onnx_session(path).get_modelmeta().custom_metadata_map
    assert json.loads(told["classes"]) == {"0": "background", "7": "a", "20": "b", "3": "c"}
    assert told["digest"] == "0123abcd"
    before = run_of_onnx(path)(pictures((64, 40))[0].image[None])
    keep_output(path, "labels")
    (output,) = onnx_session(path).get_outputs()
    assert (output.name, output.type) == ("labels", "tensor(uint8)")
    assert torch.equal(run_of_onnx(path)(pictures((64, 40))[0].image[None])["labels"], before["labels"])


def test_files_that_leave_tell_nothing_of_this_machine(onnx_file: Path) -> None:
    content = onnx_file.read_bytes()
    for told in (str(Path(wilss.__file__).parent), "site-packages", "deployable.py", " at 0x"):
        assert told.encode() not in content


def test_int8_is_smaller_and_near(model: Model, onnx_file: Path, tmp_path: Path) -> None:
    seen = pictures((48, 48), (64, 40), (40, 64), (60, 60))
    save_int8(onnx_file, tmp_path / "int8.onnx", [picture.image for picture in seen])
    assert (tmp_path / "int8.onnx").stat().st_size < 0.45 * onnx_file.stat().st_size
    parity = compare(model, run_of_onnx(tmp_path / "int8.onnx"), seen)
    assert 0.5 < parity.equal < 1  # untrained, so that outputs are close to each other; and not the model itself
    assert 0 < parity.iou < 1


@pytest.mark.slow
@pytest.mark.parametrize("output", ["labels", "logits"])
def test_a_program_gives_the_same(model: Model, tmp_path: Path, output: str) -> None:
    save_program(model, tmp_path / "m.pt2", output)  # type: ignore[arg-type]
    sizes = [(48, 48), (64, 33), (96, 72), (30, 20)]
    with zipfile.ZipFile(tmp_path / "m.pt2") as file:
        content = b"".join(file.read(name) for name in file.namelist() if not name.endswith(".pt"))
    assert not [word for word in (b"site-packages", b"deployable.py") if word in content]
    parity = compare(model, run_of_program(tmp_path / "m.pt2", output), pictures(*sizes))  # type: ignore[arg-type]
    assert parity.equal == 1
    assert parity.logits is None if output == "labels" else parity.logits == pytest.approx(0, abs=1e-5)


def test_a_graph_that_is_another_is_seen(model: Model) -> None:
    origin = Deployable(model.network, model.card)

    def turned(images: Tensor) -> dict[str, Tensor]:
        labels, logits = origin(images)
        return {"labels": labels.flip(-1), "logits": logits + 1}

    parity = compare(model, turned, pictures((64, 40)))  # type: ignore[arg-type]
    assert parity.logits == pytest.approx(1)
    assert parity.equal < 0.95
    assert parity.iou < 0.95


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "changes", "arguments"),
    [
        ("resnet18", {"activation": "leaky_relu"}, {}),
        ("mobilenetv2_100", {}, {}),
        ("mobilenetv2_100", {}, {"pad_type": "same"}),
        ("vit_tiny_patch16_224", {}, {}),
    ],
)
@pytest.mark.timeout(900)
def test_students_of_other_backbones(
    tmp_path: Path, backbone: str, changes: dict[str, str], arguments: dict[str, str]
) -> None:
    spec = StudentSpec(backbone=backbone, weights="none", output_stride=16, aspp_channels=32, **changes)  # type: ignore[arg-type]
    model = model_of(spec, **arguments)
    save_onnx(model, tmp_path / "m.onnx")
    # shrunk by a half exactly, or not: else onnxruntime rounds a value in some thousand to the other whole number
    parity = compare(model, run_of_onnx(tmp_path / "m.onnx"), pictures((48, 48), (30, 20), (96, 72)))
    assert parity.logits is not None
    assert parity.logits < 1e-3
    assert min(parity.equal, parity.as_predicted) >= 0.999
