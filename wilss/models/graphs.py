"""Students as ONNX and as torch.export programs, and what other programs are told beside them."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from wilss._logs import quiet_logs
from wilss.models.deployable import Deployable, OneOutput
from wilss.models.model import Model
from wilss.models.tracing import traceable
from wilss.packages import require_packages

OPSET = 20
"""Of ONNX: the first whose Resize and Gelu are what PyTorch's exporter makes of these networks."""
ORIGIN = ("stack_trace", "source_fn_stack", "nn_module_stack", "torch_fn")
"""What torch.export notes of every node: lines of files of this machine among it."""
Output = Literal["labels", "logits"]
OUTPUTS: tuple[Output, ...] = ("labels", "logits")
INPUT = "images"
Run = Callable[[Tensor], Mapping[Output, Tensor]]
"""Images uint8 ``(N, 3, H, W)`` -> labels, logits or both, as `Deployable` gives them."""
SMALLEST, LARGEST = 8, 16_384
"""Pixels of a side that a torch.export program takes; ONNX models take any."""


def require_onnx() -> None:
    """Raise SpecError where the packages of the extra "onnx" are not installed."""
    require_packages("ONNX", ("onnx", "onnxscript", "onnxruntime"), "onnx")


def program_of(model: Model, output: Output | None = None) -> torch.export.ExportedProgram:
    """The whole way from bytes to class ids as a torch.export program; number, height and width of images are free.

    Args:
        output: the only one that it has; both when left out.
    """
    whole: torch.nn.Module = Deployable(model.network, model.card).eval()
    simply = traceable() if whole.pads_same else nullcontext()
    if output:
        whole = OneOutput(whole, OUTPUTS.index(output)).eval()
    example = torch.zeros(2, 3, model.card.input.canvas + 30, model.card.input.canvas + 20, dtype=torch.uint8)
    side = {"min": SMALLEST, "max": LARGEST}
    sizes = {0: torch.export.Dim("images", max=1024)}
    sizes |= {2: torch.export.Dim("height", **side), 3: torch.export.Dim("width", **side)}
    with _quietly(), torch.no_grad(), simply:
        return torch.export.export(whole, (example,), dynamic_shapes={INPUT: sizes}, strict=False)


def run_of_program(path: Path, output: Output) -> Run:
    """A torch.export program with one output as a function."""
    module = torch.export.load(path).module()
    return lambda images: {output: module(images)}


def save_program(model: Model, path: Path, output: Output) -> None:
    """Write a torch.export program; ``torch.export.load(path).module()`` runs it."""
    program = program_of(model, output)
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            for note in ORIGIN:
                node.meta.pop(note, None)
    with _quietly():
        torch.export.save(program, path)


def save_onnx(model: Model, path: Path) -> None:
    """Write an ONNX model with both outputs; see `keep_output`."""
    require_onnx()
    with _quietly():
        made = torch.onnx.export(
            program_of(model), opset_version=OPSET, input_names=[INPUT], output_names=[*OUTPUTS], verbose=False
        )
    assert made is not None
    made.model.metadata_props.update(metadata_of(model))
    made.save(path)
    _forget_origin(path)


def _forget_origin(path: Path) -> None:
    """Take out what the exporter notes of every part: files of this machine, and addresses of this process."""
    import onnx

    content = onnx.load(path)
    for graph in (content.graph, *content.functions):
        _forget_notes(graph)
    onnx.save(content, path)


def _forget_notes(graph: Any) -> None:
    """Of a graph or a function of ONNX, and of those within its nodes."""
    lists = ("node", "value_info", "initializer", "input", "output")
    for part in (graph, *(one for name in lists for one in getattr(graph, name, ()))):
        if not isinstance(part, str):  # a function's inputs are names
            part.ClearField("metadata_props")
            part.ClearField("doc_string")
    for attribute in (one for node in graph.node for one in node.attribute):
        for inner in (attribute.g, *attribute.graphs):
            if inner.node:
                _forget_notes(inner)


def keep_output(path: Path, output: Output) -> None:
    """Leave an ONNX model one of its outputs."""
    import onnx

    content = onnx.load(path)
    kept = [one for one in content.graph.output if one.name == output]
    del content.graph.output[:]
    content.graph.output.extend(kept)
    onnx.save(content, path)


def metadata_of(model: Model) -> dict[str, str]:
    """What an ONNX file says of itself: names and colours of its class ids, its digest, how images are to be given."""
    return {
        "wilss_version": version("wilss"),
        "digest": model.digest,
        "classes": json.dumps(model.classes),
        "palette": json.dumps(model.palette),
        "input": "images: uint8 (N, 3, H, W), RGB, any size",
        "outputs": "labels: uint8 (N, H, W), class ids; logits: float32 (N, 1 + C, H, W)",
    }


def onnx_session(path: Path) -> Any:
    """The session of an ONNX model on the CPU."""
    import onnxruntime

    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def run_of_onnx(path: Path) -> Run:
    """An ONNX model as a function, with the outputs that it has."""
    session = onnx_session(path)
    names = [one.name for one in session.get_outputs()]

    def run(images: Tensor) -> dict[Output, Tensor]:
        found = session.run(names, {INPUT: images.numpy()})
        return {name: torch.from_numpy(value) for name, value in zip(names, found, strict=True)}

    return run


@contextmanager
def _quietly() -> Iterator[None]:
    """Exporters tell their own developers much, and copies that they announce are what is wanted."""
    with quiet_logs(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
