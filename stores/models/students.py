"""Checkpoints: safetensors weights and a JSON description; nothing in them is ever executed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from safetensors.torch import load_file, save_file
from torch import Tensor

from stores.artefacts import Store
from wilss.architecture import MOST_CLASSES, MOST_PIXELS, Count, Deviation, Mean, ModelArguments
from wilss.errors import ArtefactNotFoundError, SpecError
from wilss.nets.fit import load_into, require_fit
from wilss.nets.pretrained import Weights
from wilss.nets.segmenter import Segmenter, build_segmenter
from wilss.nets.spec import StudentSpec
from wilss.outside import checked, read_json

ADVICE = "take the folder anew, or delete it and run again"


class CheckpointIndex(BaseModel):
    """What is needed to build the network again and to name its outputs. It may come from others: it names no file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    benchmark: str
    step: int = Field(ge=0)
    student: StudentSpec
    step_sizes: tuple[Count, ...] = Field(min_length=1, max_length=MOST_CLASSES)
    classes: tuple[str, ...]
    class_ids: tuple[Count, ...]
    mean: Mean
    std: Deviation
    arguments: ModelArguments
    canvas: int = Field(ge=1, le=MOST_PIXELS)
    history: list[dict[str, float]]

    @model_validator(mode="after")
    def _one_output_a_class(self) -> CheckpointIndex:
        counts = {sum(self.step_sizes), len(self.classes), len(self.class_ids), len(set(self.class_ids))}
        if len(counts) > 1 or max(counts) > MOST_CLASSES:
            raise ValueError(
                f"{sum(self.step_sizes)} outputs, {len(self.classes)} class names and {len(set(self.class_ids))} ids; "
                f"every output has a name and an id of its own, and there are at most {MOST_CLASSES}"
            )
        return self


def save_checkpoint(model: Segmenter, index: CheckpointIndex, folder: Path) -> None:
    """Write a student into a staging folder."""
    save_weights(model.state_dict(), index, folder)


def save_weights(weights: Mapping[str, Tensor], index: CheckpointIndex, folder: Path) -> None:
    """The same from the student's state."""
    save_file({name: value.contiguous() for name, value in weights.items()}, folder / "student.safetensors")
    (folder / "index.json").write_text(index.model_dump_json(indent=1))


def load_index(folder: Path) -> CheckpointIndex:
    """Read the description of a checkpoint.

    Raises ArtefactNotFoundError when the folder holds none, FormatError for one that this version cannot read.
    """
    path = folder / "index.json"
    if not path.is_file() or not (folder / "student.safetensors").is_file():
        raise ArtefactNotFoundError(f"'{folder}' holds no checkpoint (index.json and student.safetensors)")
    content = read_json(path, ADVICE)
    return checked(CheckpointIndex, content, path, ADVICE, "describes no checkpoint of this version")


def load_checkpoint(folder: Path, classes: tuple[str, ...] | None = None) -> tuple[Segmenter, CheckpointIndex]:
    """Rebuild the student of a checkpoint, in evaluation mode.

    Args:
        classes: names that the outputs must have, in order; None accepts any.

    Raises SpecError when the checkpoint knows other classes, FormatError for a folder whose files are damaged or do not
    fit each other.
    """
    index = load_index(folder)
    if classes is not None and classes != index.classes:
        odd = [c for c in (*classes, *index.classes) if (c in classes) != (c in index.classes)]
        raise SpecError(
            f"checkpoint '{folder}' knows {len(index.classes)} classes, {len(classes)} are expected; first difference: "
            f"'{odd[0] if odd else 'their order'}'. Use a checkpoint of the same benchmark and step"
        )
    path, weights = folder / "student.safetensors", normalisation(index)
    require_fit(lambda: build_segmenter(index.student, weights, index.step_sizes), path)
    model = build_segmenter(index.student, weights, index.step_sizes)
    load_into(model, load_file(path), path)
    return model.eval(), index


def start_folder(name: str, store: Store) -> Path:
    """Folder of a checkpoint given by its path or by (the first digits of) its digest in the store."""
    return Path(name) if Path(name).is_dir() else store.path("checkpoints", store.get("checkpoints", name).digest)


def normalisation(index: CheckpointIndex) -> Weights:
    """The input normalisation of a checkpoint, in the form that training and evaluation take."""
    arguments: tuple[Any, ...] = tuple(index.arguments.items())
    return Weights(index.student.backbone, None, False, "", "", index.mean, index.std, arguments)
