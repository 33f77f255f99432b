"""Checkpoints of other codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import wilss
from stores.models.bring import Known, bring_backbone, bring_student
from wilss.errors import DataNotFoundError, FormatError, SpecError
from wilss.nets.pretrained import find_weights
from wilss.nets.segmenter import Segmenter, build_segmenter
from wilss.nets.spec import StudentSpec

VOC = Known(benchmark="voc-15-5")
HEAD = {
    "branches.": "map_convs.",
    "norm.0.": "map_bn.",
    "project.": "red_conv.",
    "context.0.": "global_pooling_conv.",
    "context.1.0.": "global_pooling_bn.",
    "context.2.": "pool_red_conv.",
    "out.0.": "red_bn.",
}


def network(backbone: str = "resnet18", sizes: tuple[int, ...] = (15, 5), dilation: str = "first-plain") -> Segmenter:
    torch.manual_seed(0)
    spec = StudentSpec(
        backbone=backbone,
        weights="none",
        aspp_channels=16,
        activation="leaky_relu",
        dilation=dilation,  # type: ignore[arg-type]
    )
    model = build_segmenter(spec, find_weights(backbone, "none", None), sizes).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.rand_like(parameter))  # as training leaves it; norms differ from one
    return model


def as_wilson_names_it(name: str) -> str:
    part, _, rest = name.partition(".")
    if part == "classifiers":
        return f"cls.{rest}"
    if part == "aspp":
        here = next(key for key in HEAD if rest.startswith(key))
        return f"head.{HEAD[here]}{rest.removeprefix(here)}"
    if rest.startswith(("conv1", "bn1")):
        return f"body.mod1.{rest}"
    layer, block, inner = rest.split(".", 2)
    inner = inner.replace("downsample.0", "proj_conv").replace("downsample.1", "proj_bn")
    convs = "" if inner.startswith("proj") else "convs."
    return f"body.mod{int(layer[-1]) + 1}.block{int(block) + 1}.{convs}{inner}"


def checkpoint(path: Path, model: Segmenter, **more: Any) -> Path:
    """As the trainers of these codes save one: InPlace-ABN keeps no count of batches, and a weight may be negative."""
    state: dict[str, Tensor] = {}
    for name, value in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            state[f"module.{as_wilson_names_it(name)}"] = value.clone()
    for name in [name for name in state if name.endswith("running_var")]:
        weight = state[name.replace("running_var", "weight")]
        weight.sub_(1e-5)
        weight[::2] *= -1
    torch.save({"epoch": 3, "model_state": state, "best_score": np.float64(0.5), "optimizer_state": {}, **more}, path)
    return path


@pytest.mark.parametrize(("backbone", "dilation"), [("resnet18", "first-plain"), ("resnet50", "every")])
def test_a_student_of_wilson_computes_here_what_it_computed_there(tmp_path: Path, backbone: str, dilation: str) -> None:
    model = network(backbone, dilation=dilation)
    brought = bring_student(checkpoint(tmp_path / "a.pth", model), tmp_path / "out", VOC)
    assert (brought.backbone, brought.left) == (backbone, ())
    again = wilss.load(tmp_path / "out", device="cpu")
    assert again.card.step_sizes == (15, 5)
    assert again.classes[20] == "tvmonitor" == brought.classes[-1]
    images = torch.rand(1, 3, 64, 48)
    torch.testing.assert_close(again.network(images), model(images), rtol=1e-4, atol=1e-4)


def test_plain_norms_keep_their_sign(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "a.pth", network())
    bring_student(path, tmp_path / "out", Known("voc-15-5", norm="plain"))
    kept = wilss.load(tmp_path / "out", device="cpu").network.state_dict()["backbone.bn1.weight"]
    assert bool((kept[::2] < 0).all())


def test_names_of_one_s_own(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "a.pth", network(sizes=(1, 2)))
    bring_student(path, tmp_path / "out", Known(classes=("cat", "hat", "bat"), canvas=100))
    again = wilss.load(tmp_path / "out", device="cpu")
    assert again.classes == {0: "background", 1: "cat", 2: "hat", 3: "bat"}
    assert again.card.input.canvas == 100


@pytest.mark.parametrize(
    ("known", "message"),
    [
        (Known(), "20 classes in steps of 15, 5, and no names; give --benchmark"),
        (Known("voc-15-5", ("a",)), "give --benchmark voc-15-5, or --classes"),
        (Known(classes=("a", "b")), "and 2 names were given; give one for each"),
        (Known("voc-10-10"), "those of voc-10-10 are 10, 10"),
        (Known("voc-15"), "unknown benchmark 'voc-15'"),
        (Known("voc-15-5", output_stride=32), "output stride 32; these codes have 16 or 8"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path: Path, known: Known, message: str) -> None:
    path = checkpoint(tmp_path / "a.pth", network())
    with pytest.raises(SpecError, match=message):
        bring_student(path, tmp_path / "out", known)
    assert not (tmp_path / "out").exists()


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    model = network()
    path = checkpoint(tmp_path / "a.pth", model)
    content = torch.load(path, weights_only=False)
    del content["model_state"]["module.head.red_conv.weight"]
    content["model_state"]["module.head.red_conv.weight2"] = torch.zeros(16)
    torch.save(content, path)
    with pytest.raises(FormatError, match=r"a\.pth.*aspp\.project\.weight"):
        bring_student(path, tmp_path / "out", VOC)
    assert [one.name for one in tmp_path.iterdir()] == ["a.pth"]


class Odd:
    """What a pickle could run."""


def test_nothing_is_executed_and_other_networks_are_told(tmp_path: Path) -> None:
    cases: list[tuple[Any, str]] = [
        ({"model_state": {}, "hook": Odd()}, "nothing but tensors and plain values is read"),
        ({"epoch": 3}, "holds no tensors by name"),
        ({"cls.0.bias": torch.tensor(0.0), "body.mod1.conv1.weight": torch.zeros(2)}, "no student of MiB"),
        ({"encoder.weight": torch.zeros(2)}, "no student of MiB, PLOP or WILSON .*encoder.weight"),
        ({"classifier.0.convs.0.0.weight": torch.zeros(2)}, "torchvision's DeepLabV3.*--backbone-only"),
    ]
    for content, message in cases:
        torch.save(content, tmp_path / "a.pth")
        with pytest.raises(FormatError, match=message):
            bring_student(tmp_path / "a.pth", tmp_path / "out", VOC)
    for name in ("a.pth", "a.safetensors"):
        (tmp_path / name).write_bytes(b"no checkpoint")
        with pytest.raises(FormatError, match="cannot be read as a checkpoint") as caught:
            bring_student(tmp_path / name, tmp_path / "out", VOC)
        assert "weights_only" not in str(caught.value), "it does not advise to execute what is in there"
    with pytest.raises(DataNotFoundError, match=r"there is no checkpoint '.*b\.pth'"):
        bring_student(tmp_path / "b.pth", tmp_path / "out", VOC)


def test_torchvisions_backbone_is_a_student_s_start(tmp_path: Path) -> None:
    from torchvision.models.segmentation import deeplabv3_resnet50

    theirs = deeplabv3_resnet50(weights=None, weights_backbone=None).eval()
    torch.save(theirs.state_dict(), tmp_path / "a.pth")
    bring_backbone(tmp_path / "a.pth", tmp_path / "r50.safetensors")
    spec = StudentSpec(backbone="resnet50", output_stride=8, aspp_channels=8, dilation="first-plain")
    weights = find_weights("resnet50", str(tmp_path / "r50.safetensors"), None)
    model = build_segmenter(spec, weights, (2,)).eval()
    images = torch.rand(1, 3, 64, 64)
    found, wanted = model.backbone(images)[-1], theirs.backbone(images)["out"]
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)
    with pytest.raises(SpecError, match=r"call it NAME\.safetensors"):
        bring_backbone(tmp_path / "a.pth", tmp_path / "r50.pth")
