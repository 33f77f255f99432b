"""Students and backbones of other codes, as model folders and weights that are used here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save

from wilss.architecture import InputCard
from wilss.data.families import family_of
from wilss.errors import DataNotFoundError, SpecError
from wilss.models.card import StudentCard
from wilss.models.files import no_weights
from wilss.models.folder import write_folder
from wilss.models.foreign import Norm, Placed, backbone_of, place, read_checkpoint
from wilss.nets.fit import load_into
from wilss.nets.segmenter import build_segmenter
from wilss.nets.spec import StudentSpec
from wilss.outputs import whole_file, writable_folder
from wilss.protocol import benchmark

RATES = {16: (6, 12, 18), 8: (12, 24, 32)}
"""Dilations of these codes' heads by output stride."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, by which these codes normalise images."""


@dataclass(frozen=True)
class Brought:
    """What was written, for whom, and the names of tensors that have no place here."""

    path: Path
    backbone: str
    classes: tuple[str, ...]
    left: tuple[str, ...]


@dataclass(frozen=True)
class Known:
    """What a checkpoint of other codes does not tell.

    benchmark: whose classes it was taught, or classes: their names, step by step. output_stride: that it was trained
    with. canvas: side to which larger images are shrunk.
    """

    benchmark: str = ""
    classes: Sequence[str] = ()
    output_stride: int = 16
    canvas: int = 512
    norm: Norm = "inplace"


def bring_student(path: Path, to: Path, known: Known) -> Brought:
    """Write a model folder of a student of MiB, PLOP or WILSON.

    Raises SpecError for classes that do not fit, FormatError for a checkpoint of another network or with a tensor
    missing, DataNotFoundError for a file that is not there. Then nothing is left.
    """
    _require_new(path, to)
    placed = place(read_checkpoint(path), path, known.norm)
    card = _card(placed, path, known)
    network = build_segmenter(card.architecture, no_weights(placed.backbone, card.input), placed.step_sizes)
    load_into(network, placed.state, path)
    writable_folder(to.parent)
    with whole_file(to, shared=True) as partial:
        partial.mkdir(exist_ok=True)
        write_folder(network.eval(), card, partial)
    return Brought(to, placed.backbone, card.classes, placed.left)


def bring_backbone(path: Path, to: Path) -> Brought:
    """Write the backbone of one of torchvision's segmentation networks as weights for ``student.weights=FILE``."""
    if to.suffix != ".safetensors":
        raise SpecError(f"'{to}' is to hold a backbone's weights; call it NAME.safetensors")
    _require_new(path, to)
    state = backbone_of(read_checkpoint(path), path)
    writable_folder(to.parent)
    with whole_file(to) as partial:
        partial.write_bytes(save({name: value.contiguous() for name, value in state.items()}))
    return Brought(to, "", (), ())


def _require_new(path: Path, to: Path) -> None:
    if not path.is_file():
        raise DataNotFoundError(f"there is no checkpoint '{path}'; name a .pth, .pt or .safetensors file")
    if os.path.lexists(to):
        raise SpecError(f"'{to}' is there already and is not replaced; name what does not exist")


def _card(placed: Placed, path: Path, known: Known) -> StudentCard:
    names, ids = _classes(placed, path, known)
    if known.output_stride not in RATES:
        raise SpecError(f"output stride {known.output_stride}; these codes have {' or '.join(map(str, RATES))}")
    bottleneck = "backbone.layer1.0.conv3.weight" in placed.state
    architecture = StudentSpec(
        backbone=placed.backbone,
        weights="none",
        output_stride=known.output_stride,
        aspp_channels=placed.state["classifiers.0.weight"].shape[1],
        aspp_rates=RATES[known.output_stride],
        dilation="every" if bottleneck else "first-plain",
        activation="leaky_relu",
    )
    return StudentCard(
        input=InputCard(mean=MEAN, std=DEVIATION, canvas=known.canvas, arguments={}),
        benchmark=known.benchmark or "elsewhere",
        architecture=architecture,
        step=len(placed.step_sizes) - 1,
        step_sizes=placed.step_sizes,
        classes=names,
        class_ids=ids,
    )


def _classes(placed: Placed, path: Path, known: Known) -> tuple[tuple[str, ...], tuple[int, ...]]:
    n = sum(placed.step_sizes)
    told = f"'{path}' has {n} classes in steps of {', '.join(map(str, placed.step_sizes))}"
    if bool(known.benchmark) == bool(known.classes):
        raise SpecError(f"{told}, and no names; give --benchmark voc-15-5, or --classes with a name for each")
    if known.classes:
        if len(known.classes) != n or len(set(known.classes)) != n:
            raise SpecError(f"{told}, and {len(set(known.classes))} names were given; give one for each, step by step")
        return tuple(known.classes), tuple(range(1, n + 1))
    protocol = benchmark(known.benchmark)
    if protocol.sizes(len(placed.step_sizes) - 1) != placed.step_sizes:
        raise SpecError(f"{told}; those of {known.benchmark} are {', '.join(map(str, map(len, protocol.steps)))}")
    ids = protocol.seen(len(placed.step_sizes) - 1)
    return tuple(family_of(protocol.family).classes[k - 1] for k in ids), ids
