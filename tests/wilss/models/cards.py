"""Cards and folders of small models, of today's format and of format 1."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from wilss.models.card import FewShotCard, StudentCard
from wilss.nets.pretrained import Weights
from wilss.nets.spec import StudentSpec

SPEC = StudentSpec(backbone="resnet_scenes", weights="none", output_stride=8, aspp_channels=8, aspp_rates=(1,))
INPUT: dict[str, Any] = {"mean": (0.5,) * 3, "std": (0.25,) * 3, "canvas": 64, "arguments": {}}


def student_card(spec: StudentSpec = SPEC, weights: Weights | None = None, **changes: Any) -> StudentCard:
    """Of step 0 with two classes."""
    known = {**INPUT, "mean": weights.mean, "std": weights.std} if weights else INPUT
    facts = {"benchmark": "scenes-15-5", "step": 0, "step_sizes": (2,), "classes": ("a", "b"), "class_ids": (1, 2)}
    return StudentCard(**{**facts, "input": known, "architecture": spec, **changes})


def fewshot_card(architecture: Mapping[str, Any], **changes: Any) -> FewShotCard:
    """Of a head whose classes are not told."""
    facts = {"kind": "few-shot", "benchmark": "scenes-5i", "classes": (), "class_ids": (), "input": INPUT}
    return FewShotCard(**{**facts, "architecture": dict(architecture), **changes})


def write_student_of_format_1(state: Mapping[str, Tensor], card: StudentCard, folder: Path) -> None:
    """As wilss 0.1 wrote it."""
    known = json.loads(card.model_dump_json())
    kept = ("benchmark", "step", "step_sizes", "classes", "class_ids", "history")
    index = {**{key: known[key] for key in kept}, **known["input"], "student": known["architecture"]}
    save_file({name: value.contiguous() for name, value in state.items()}, folder / "student.safetensors")
    (folder / "index.json").write_text(json.dumps(index))


def write_head_of_format_1(state: Mapping[str, Tensor], about: Mapping[str, Any], folder: Path) -> None:
    """As wilss 0.1 wrote it."""
    save_file({name: value.contiguous() for name, value in state.items()}, folder / "model.safetensors")
    (folder / "about.json").write_text(json.dumps(about))
