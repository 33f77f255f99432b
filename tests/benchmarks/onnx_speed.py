"""An ONNX model against PyTorch on the same pictures: ``python -m tests.benchmarks.onnx_speed --data VOC --weights W``.

A student of untrained outputs on a pretrained backbone; photographs are shrunk to 321 pixels first, so that both do the
same work: bytes in, class ids out, on one core each, turn by turn. One JSON object: seconds of each and their ratio.
How far they are from each other: ``tests.benchmarks.onnx_parity``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from tests.benchmarks import last_line
from wilss.architecture import InputCard
from wilss.data.files import read_rgb
from wilss.data.images import to_canvas
from wilss.models.card import StudentCard
from wilss.models.deployable import Deployable
from wilss.models.graphs import INPUT, keep_output, save_onnx
from wilss.models.model import Model
from wilss.models.parity import Picture
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


def given(told: str | None, images: int) -> argparse.Namespace:
    """Data, weights, backbones and number of images, as both benchmarks of ONNX take them; PyTorch has one thread."""
    parser = argparse.ArgumentParser(description=told)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--backbones", nargs="+", default=["mobilenetv2_100", "resnet18", "deit_tiny_patch16_224"])
    parser.add_argument("--images", type=int, default=images)
    torch.set_num_threads(1)
    return parser.parse_args()


def photographs(data: Path, sides: Sequence[int], count: int) -> list[Picture]:
    """The first photographs of VOC's folder by name, the longer side of each as long as one of ``sides`` in turn."""
    files = sorted((data / "JPEGImages").glob("*.jpg"))[:count]
    return [Picture(f.stem, to_canvas(read_rgb(f), sides[n % len(sides)])) for n, f in enumerate(files)]


def main() -> None:
    """Compare, print a line a backbone and one JSON object."""
    import onnxruntime

    options = given(__doc__, images=50)
    images = [picture.image for picture in photographs(options.data, [SIDE], options.images)]
    results = {}
    for backbone in options.backbones:
        model = model_of(backbone, options.weights)
        origin = Deployable(model.network, model.card).eval()
        with tempfile.TemporaryDirectory() as place:
            save_onnx(model, path := Path(place) / "model.onnx")
            keep_output(path, "labels")
            one = onnxruntime.SessionOptions()
            one.intra_op_num_threads = 1
            session = onnxruntime.InferenceSession(path, one, providers=["CPUExecutionProvider"])
            runs = {"torch": origin, "onnx": lambda image, s=session: s.run(None, {INPUT: image.numpy()})}
            with torch.inference_mode():
                found = seconds(runs, images)
        ratio = found["onnx"] / found["torch"]
        results[backbone] = {**found, "ratio": ratio}
        print(f"{backbone}: onnx {found['onnx']:.3f} s, torch {found['torch']:.3f} s, {ratio:.2f}x", flush=True)
    last_line("onnx_speed", results)


if __name__ == "__main__":
    main()
