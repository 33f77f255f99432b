"""Graphs in a model folder: each is compared with the model it was made from, and what was found lies beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stores.progress import say
from wilss.errors import SpecError
from wilss.models.graphs import (
    OPSET,
    Output,
    keep_output,
    require_onnx,
    run_of_onnx,
    run_of_program,
    save_onnx,
    save_program,
)
from wilss.models.int8 import save_int8
from wilss.models.model import Model
from wilss.models.parity import Parity, Picture, compare

Format = Literal["safetensors", "onnx", "torch-export"]
ONNX, INT8, PROGRAM = "model.onnx", "model-int8.onnx", "model.pt2"
PARITY = "parity.json"


@dataclass(frozen=True)
class Wanted:
    """What is exported beside the model folder.

    output: of the graph. int8: an ONNX model with eight-bit numbers as well. pictures: files and folders on which the
    graph is compared with its origin, and int8's ranges are found; scenes of the built-in world when empty. masks:
    folder of the pictures' true masks, by which both are scored as well.
    """

    format: Format = "safetensors"
    output: Output = "labels"
    int8: bool = False
    pictures: tuple[Path, ...] = ()
    masks: Path | None = None

    @property
    def has_graph(self) -> bool:
        """Whether there is a graph beside the weights."""
        return self.format != "safetensors"

    def check(self) -> None:
        """Raise SpecError for what does not go together or needs packages that are not here."""
        if self.int8 and self.format != "onnx":
            raise SpecError("--int8 makes an ONNX model; add --format onnx, or leave out --int8")
        if self.masks and not (self.pictures and self.has_graph):
            raise SpecError(
                "--masks are the true masks of pictures on which a graph is scored; name these with --pictures and the "
                "graph with --format onnx or torch-export, or leave out --masks"
            )
        if self.pictures and not self.has_graph:
            raise SpecError("--pictures compare a graph with its origin; add --format onnx or torch-export")
        if self.format == "onnx":
            require_onnx()


def write_graphs(model: Model, folder: Path, wanted: Wanted, pictures: Sequence[Picture]) -> dict[str, Parity]:
    """Write the graphs that are wanted and `PARITY`; how far each is from the model, by file name."""
    parity = (_onnx if wanted.format == "onnx" else _program)(model, folder, wanted, pictures)
    content = {name: one.model_dump(mode="json") for name, one in parity.items()}
    (folder / PARITY).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return parity


def _onnx(model: Model, folder: Path, wanted: Wanted, pictures: Sequence[Picture]) -> dict[str, Parity]:
    say(f"making an ONNX model of opset {OPSET}, and comparing it on {len(pictures)} pictures")
    save_onnx(model, folder / ONNX)
    parity = {ONNX: compare(model, run_of_onnx(folder / ONNX), pictures)}
    if wanted.int8:
        say("making one with eight-bit numbers")
        save_int8(folder / ONNX, folder / INT8, [picture.image for picture in pictures])
        parity[INT8] = compare(model, run_of_onnx(folder / INT8), pictures)
    for name in parity:
        keep_output(folder / name, wanted.output)
    return parity


def _program(model: Model, folder: Path, wanted: Wanted, pictures: Sequence[Picture]) -> dict[str, Parity]:
    say(f"making a torch.export program, and comparing it on {len(pictures)} pictures")
    save_program(model, folder / PROGRAM, wanted.output)
    return {PROGRAM: compare(model, run_of_program(folder / PROGRAM, wanted.output), pictures)}
