"""Checkpoints: safetensors weights and a JSON description; nothing in them is ever executed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from wilss.errors import ArtefactNotFoundError, FormatError, SpecError
from wilss.nets.pretrained import Weights
from wilss.nets.segmenter import Segmenter, StudentSpec, build_segmenter


class CheckpointIndex(BaseModel):
    """What is needed to build the network again and to name its outputs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    benchmark: str
    step: int
    student: StudentSpec
    step_sizes: tuple[int, ...]
    classes: tuple[str, ...]
    class_ids: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    arguments: dict[str, str]
    canvas: int
    history: list[dict[str, float]]


def save_checkpoint(model: Segmenter, index: CheckpointIndex, folder: Path) -> None:
    """Write a student into a staging folder."""
    save_weights(model.state_dict(), index, folder)


def save_weights(weights: Mapping[str, Tensor], index: CheckpointIndex, folder: Path) -> None:
    """The same from the student's state."""
    save_file({name: value.contiguous() for name, value in weights.items()}, folder / "student.safetensors")
    (folder / "index.json").write_text(index.model_dump_json(indent=1))


def load_index(folder: Path) -> CheckpointIndex:
    """Read the description of a checkpoint. Raises ArtefactNotFoundError when the folder holds none."""
    path = folder / "index.json"
    if not path.is_file() or not (folder / "student.safetensors").is_file():
        raise ArtefactNotFoundError(f"'{folder}' holds no checkpoint (index.json and student.safetensors)")
    try:
        return CheckpointIndex.model_validate(json.loads(path.read_text()))
    except (ValueError, ValidationError) as error:  # JSON errors are ValueErrors
        raise FormatError(f"'{path}' describes no checkpoint of this version ({str(error).splitlines()[0]})") from error


def load_checkpoint(folder: Path, classes: tuple[str, ...] | None = None) -> tuple[Segmenter, CheckpointIndex]:
    """Rebuild the student of a checkpoint, in evaluation mode.

    Args:
        classes: names that the outputs must have, in order; None accepts any.

    Raises SpecError when the checkpoint knows other classes.
    """
    index = load_index(folder)
    if classes is not None and classes != index.classes:
        odd = [c for c in (*classes, *index.classes) if (c in classes) != (c in index.classes)]
        raise SpecError(
            f"checkpoint '{folder}' knows {len(index.classes)} classes, {len(classes)} are expected; first difference: "
            f"'{odd[0] if odd else 'their order'}'. Use a checkpoint of the same benchmark and step"
        )
    model = build_segmenter(index.student, normalisation(index), index.step_sizes)
    try:
        model.load_state_dict(load_file(folder / "student.safetensors"))
    except (SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise FormatError(
            f"'{folder / 'student.safetensors'}' is damaged or not of its index.json ({reason})"
        ) from error
    return model.eval(), index


def normalisation(index: CheckpointIndex) -> Weights:
    """The input normalisation of a checkpoint, in the form that training and evaluation take."""
    arguments: tuple[Any, ...] = tuple(index.arguments.items())
    return Weights(index.student.backbone, None, False, "", "", index.mean, index.std, arguments)
