"""ONNX models against PyTorch on photographs: ``python -m tests.benchmarks.onnx_parity --data VOC --weights W``.

Students of untrained outputs on pretrained backbones, plain and with tuned singular values: the latter are exported
folded and compared with the network that still composes its weights. Each photograph is shrunk to one of four sizes in
turn. A line a student and one JSON object: largest difference of logits, share of equal pixels. It fails where a
difference is above 1e-3 or the share below 0.999.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks import last_line
from tests.benchmarks.onnx_speed import given, model_of, photographs
from wilss.models.graphs import run_of_onnx, save_onnx
from wilss.models.parity import Picture, compare
from wilss.nets.svf import fold

SIDES = (161, 240, 321, 500)
"""Pixels of the longer side."""
MOST, LEAST = 1e-3, 0.999


def measure(backbone: str, weights: Path, tuned: bool, pictures: list[Picture]) -> dict[str, Any]:
    """Export one student and compare."""
    leaving = model_of(backbone, weights, tuned)
    fold(leaving.network.backbone)
    with tempfile.TemporaryDirectory() as place:
        save_onnx(leaving, path := Path(place) / "model.onnx")
        found = compare(model_of(backbone, weights, tuned), run_of_onnx(path), pictures)
    return {"logits": found.logits, "equal": found.equal, "as_predicted": found.as_predicted, "iou": found.iou}


def main() -> None:
    """Compare, print, and fail for what is not as it has to be."""
    options = given(__doc__, images=50)
    pictures = photographs(options.data, SIDES, options.images)
    results = {}
    for backbone in options.backbones:
        for tuned in (False, True):
            name = f"{backbone}, folded" if tuned else backbone
            results[name] = found = measure(backbone, options.weights, tuned, pictures)
            print(f"{name}: logits {found['logits']:.1e}, equal {found['equal']:.5f}", flush=True)
    last_line("onnx_parity", {"images": len(pictures), **results})
    sys.exit(any(found["logits"] > MOST or found["equal"] < LEAST for found in results.values()))


if __name__ == "__main__":
    main()
