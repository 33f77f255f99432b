"""An ONNX model against PyTorch on the same pictures: ``python -m tests.benchmarks.onnx_speed --data VOC --weights W``.

A student of untrained outputs on a pretrained backbone; photographs are shrunk to 321 pixels first, so that both do the
same work: bytes in, class ids out, on one core each, turn by turn. One JSON object: seconds of each and their ratio,
and how far they are from each other.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from tests.benchmarks import last_line
from wilss.architecture import InputCard
from wilss.data.files import read_rgb
from wilss.data.images import to_canvas
from wilss.models.card import StudentCard
from wilss.models.deployable import Deployable
from wilss.models.graphs import INPUT, keep_output, run_of_onnx, save_onnx
from wilss.models.model import Model
from wilss.models.parity import Picture, compare
from wilss.nets.pretrained import find_weights
from wilss.nets.segmenter import build_segmenter
from wilss.nets.spec import StudentSpec
from wilss.nets.svf import apply_svf

SIDE, CLASSES = 321, 20


def model_of(backbone: str, weights: Path, tuned: bool = False) -> Model:
    """A student of twenty classes whose outputs differ from place to place.

    Args:
        tuned: its backbone is decomposed, and every singular value is moved by up to a tenth.
    """
    torch.manual_seed(0)
    spec = StudentSpec(backbone=backbone, output_stride=16, aspp_channels=128)
    found = find_weights(backbone, "auto" if (weights / f"{backbone}.safetensors").is_file() else "none", weights)
    network = build_segmenter(spec, found, (CLASSES,)).eval()
    if tuned:
        with torch.no_grad():
            for vector in apply_svf(network.backbone, [name for name, _ in network.backbone.named_children()]):
                vector.mul_(0.9 + 0.2 * torch.rand_like(vector))
    card = StudentCard(
        input=InputCard(mean=found.mean, std=found.std, canvas=SIDE, arguments=dict(found.arguments)),
        benchmark="voc-15-5",
        architecture=spec,
        step=0,
        step_sizes=(CLASSES,),
        classes=tuple(f"class {k}" for k in range(CLASSES)),
        class_ids=tuple(range(1, CLASSES + 1)),
    )
    return Model(network, card)


def seconds(runs: dict[str, Callable[[Tensor], object]], images: list[Tensor]) -> dict[str, float]:
    """Seconds an image, the median; image by image, one after the other."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for image in images:
        for name, run in runs.items():
            start = time.perf_counter()
            run(image[None])
            times[name].append(time.perf_counter() - start)
    return {name: sorted(values)[len(values) // 2] for name, values in times.items()}


def main() -> None:
    """Compare, print a line a backbone and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--backbones", nargs="+", default=["mobilenetv2_100", "resnet18", "deit_tiny_patch16_224"])
    parser.add_argument("--images", type=int, default=50)
    given = parser.parse_args()
    import onnxruntime

    torch.set_num_threads(1)
    files = sorted((given.data / "JPEGImages").glob("*.jpg"))[: given.images]
    pictures = [Picture(path.stem, read_rgb(path)) for path in files]
    small = [to_canvas(picture.image, SIDE) for picture in pictures]
    results = {}
    for backbone in given.backbones:
        model = model_of(backbone, given.weights)
        origin = Deployable(model.network, model.card).eval()
        with tempfile.TemporaryDirectory() as place, torch.inference_mode():
            path = Path(place) / "model.onnx"
            with torch.inference_mode(False):
                save_onnx(model, path)
            parity = compare(model, run_of_onnx(path), pictures)
            keep_output(path, "labels")
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            found = seconds(
                {"torch": origin, "onnx": lambda image, s=session: s.run(None, {INPUT: image.numpy()})}, small
            )
        ratio = found["onnx"] / found["torch"]
        results[backbone] = {**found, "ratio": ratio, "logits": parity.logits, "equal": parity.equal}
        print(f"{backbone}: onnx {found['onnx']:.3f} s, torch {found['torch']:.3f} s, {ratio:.2f}x; {parity.equal:.5f}")
    last_line("onnx_speed", results)


if __name__ == "__main__":
    main()
