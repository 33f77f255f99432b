"""What ``wilss predict`` and ``wilss serve`` take beside the network: ``python -m tests.benchmarks.predict``.

The command's work (`stores.models.predict.Predictions`, without starting Python) over JPEGs of 321 pixels, against a
plain loop over the same files and the same network: Pillow decodes, the network runs, its logits are enlarged, the
highest becomes a palette PNG; one after the other, in one thread. Both decode every file and write one PNG each, no
overlays; the command also keeps its table and journal, and has every file on the disk before it goes on. The server is
asked for the same files by one client, one after the other, which writes the PNGs that come back. Ratios are medians,
over rounds that take turns, of the seconds of each by the loop's; below 1 the loop is slower. PyTorch has one thread.

Where segmentation_models_pytorch is installed, its DeepLabV3 over the same backbone goes through the same plain loop by
its own ``predict``: another network of about this size, whose seconds are told beside.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, redirect_stderr
from http import HTTPStatus
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from stores.models.predict import Predictions
from stores.models.predict_options import PredictOptions
from tests.benchmarks import last_line
from tests.benchmarks.serve import Client
from tests.deployments.serving.made import served
from tests.wilss.models.cards import student_card
from wilss.data.voc import save_palette_png
from wilss.models.files import save_model
from wilss.models.model import Model
from wilss.nets.pretrained import find_weights
from wilss.nets.segmenter import build_segmenter
from wilss.nets.spec import StudentSpec

BACKBONE, CLASSES, SIDE = "resnet18", 20, 321
HEADERS = {"accept": "image/png", "content-type": "image/jpeg"}


def make_model(folder: Path) -> Path:
    """A random student of VOC's size."""
    torch.manual_seed(0)
    spec = StudentSpec(backbone=BACKBONE, weights="none", output_stride=16)
    weights = find_weights(BACKBONE, "none", None)
    names, ids = tuple(f"class {k}" for k in range(CLASSES)), tuple(range(1, CLASSES + 1))
    known = {"mean": weights.mean, "std": weights.std, "canvas": SIDE, "arguments": {}}
    card = student_card(spec, step_sizes=(CLASSES,), classes=names, class_ids=ids, input=known)
    folder.mkdir(parents=True)
    save_model(build_segmenter(spec, weights, (CLASSES,)).state_dict(), card, folder)
    return folder


def make_pictures(folder: Path, count: int) -> list[Path]:
    """JPEGs that compress as photographs do: coarse noise, enlarged."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    paths = [folder / f"{number:05d}.jpg" for number in range(count)]
    for path in paths:
        coarse = Image.fromarray(generator.integers(0, 256, (40, 54, 3), dtype=np.uint8))
        coarse.resize((SIDE, 241), Image.Resampling.BICUBIC).save(path, quality=90)
    return paths


@torch.inference_mode()
def plain_loop(forward: Callable[[Tensor], Tensor], paths: list[Path], out: Path) -> None:
    """What one would write oneself."""
    for path in paths:
        pixels = np.array(Image.open(path).convert("RGB"))
        image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
        logits = F.interpolate(forward(image), image.shape[-2:], mode="bilinear", align_corners=False)
        save_palette_png(logits.argmax(1)[0], out / f"{path.stem}.png")


def command(model: Path, folder: Path, out: Path, batch: int | None) -> None:
    """The command's work."""
    options = PredictOptions(overlay=False, batch=batch)
    with redirect_stderr(StringIO()):
        work = Predictions(str(model), [folder], out, folder, options=options)
        assert len(list(work.run())) == len(work.inputs)


def seconds_of(work: Callable[[Path], None], out: Path) -> float:
    """Seconds of work into an empty folder."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    begun = time.perf_counter()
    work(out)
    return time.perf_counter() - begun


def of_smp() -> Callable[[Tensor], Tensor] | None:
    """The other library's network as it predicts, None where it is not installed."""
    if find_spec("segmentation_models_pytorch") is None:
        return None
    import segmentation_models_pytorch as smp

    network = smp.DeepLabV3(BACKBONE, encoder_weights=None, classes=CLASSES + 1, encoder_output_stride=16)
    return lambda image: network.predict(F.pad(image, (0, -image.shape[-1] % 16, 0, -image.shape[-2] % 16)))


@contextmanager
def server(model: Path, folder: Path) -> Iterator[Callable[[list[Path], Path], None]]:
    """A server in a process of its own, and what asks it for files over one connection."""
    with served(folder, str(model)) as running:

        def ask(paths: list[Path], out: Path) -> None:
            with closing(Client(running).line) as line:
                for path in paths:
                    line.request("POST", "/predict", path.read_bytes(), HEADERS)
                    answer = line.getresponse()
                    assert answer.status == HTTPStatus.OK, answer.read()
                    (out / f"{path.stem}.png").write_bytes(answer.read())

        yield ask


def measure(images: int, rounds: int, batch: int | None = None) -> dict[str, object]:
    """Seconds and their ratios."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, paths = make_model(folder / "model"), make_pictures(folder / "in", images)
        network = Model.open(model, torch.device("cpu")).network
        works: dict[str, Callable[[Path], None]] = {
            "predict": lambda out: command(model, folder / "in", out, batch),
            "loop": lambda out: plain_loop(network, paths, out),
        }
        if other := of_smp():
            works["smp"] = lambda out: plain_loop(other, paths, out)
        with server(model, folder) as ask:
            works["serve"] = lambda out: ask(paths, out)
            found = rounds_of(works, folder / "out", rounds)
    medians = {f"{key}_seconds": round(statistics.median(values), 3) for key, values in found.items()}
    ratios = {"ratio": ratio(found, "predict"), "serve_ratio": ratio(found, "serve")}
    return {"images": images, "batch": batch, **ratios, **medians}


def rounds_of(works: dict[str, Callable[[Path], None]], out: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of each in every round, which they take turns in; after one that is not counted."""
    found: dict[str, list[float]] = {key: [] for key in works}
    for number in range(rounds + 1):
        for key, work in works.items():
            taken = seconds_of(work, out)
            found[key] += [taken] if number else []
    return found


def ratio(found: dict[str, list[float]], name: str) -> float:
    """Median of one's seconds by the loop's."""
    return round(statistics.median(a / b for a, b in zip(found[name], found["loop"], strict=True)), 3)


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int)
    given = parser.parse_args()
    torch.set_num_threads(1)
    last_line("predict", measure(given.images, given.rounds, given.batch))


if __name__ == "__main__":
    main()
