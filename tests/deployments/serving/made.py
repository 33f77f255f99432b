"""A root with students whose classes lie far apart, images of many kinds, and real servers over them."""

from __future__ import annotations

import io
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from stores.artefacts import Recipe, Store
from tests.wilss.models.cards import INPUT, SPEC, student_card
from tests.wilss.odd_files import noise
from wilss.models.files import save_model
from wilss.nets.pretrained import find_weights
from wilss.nets.segmenter import build_segmenter

CHECKOUT = Path(__file__).parents[3]
CANVAS = 96


def publish(root: Path, seed: int, names: tuple[str, ...] = ("cat", "dog"), broken: bool = False) -> str:
    """A student whose logits differ by far more than rounding; its digest.

    Args:
        broken: what it computes is no number.
    """
    torch.manual_seed(seed)
    model = build_segmenter(SPEC, find_weights("resnet_scenes", "none", None), (len(names),))
    with torch.no_grad():
        for layer in model.classifiers:
            layer.weight.mul_(1000)
            layer.bias.zero_()
            if broken:
                layer.bias.fill_(3e38)
                layer.weight.fill_(3e38)
    ids = tuple(range(7, 7 + len(names)))
    card = student_card(classes=names, class_ids=ids, step_sizes=(len(names),), input={**INPUT, "canvas": CANVAS})
    store, recipe = Store(root), Recipe("checkpoints", {"seed": seed, "names": list(names), "broken": broken})
    with store.build(recipe) as folder:
        save_model(model.state_dict(), card, folder)
        return store.publish(recipe, folder, {"images": 1}).digest


def blobs(height: int = 60, width: int = 80, seed: int = 0) -> Image.Image:
    """Patches of colour, of which the student sees several classes."""
    small = np.random.default_rng(seed).integers(0, 256, (max(height // 10, 1), max(width // 10, 1), 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """The bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def bits(width: int, height: int) -> bytes:
    """A black PNG of one bit a pixel: few bytes, many pixels."""
    return encoded(Image.new("1", (width, height)))


def animated() -> bytes:
    """A WEBP of three frames, the first of them a photograph of nothing."""
    frames = [noise(30, 40, seed) for seed in range(3)]
    return encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)


@dataclass
class Server:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    address: str
    line: str

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @property
    def memory(self) -> int:
        """Bytes that it holds."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def end(self, number: int = signal.SIGTERM, seconds: float = 60) -> tuple[int, str]:
        """Exit code and what it said, after a signal."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=seconds)
        return self.process.returncode, out + err


def command(*words: object) -> list[str]:
    return [sys.executable, "-P", "-c", "from deployments.command import main; main()", "serve", *map(str, words)]


def environment(**env: str) -> dict[str, str]:
    own = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "WILSS_"))}
    return {**own, "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1", **env}


@contextmanager
def served(root: Path, model: str, *words: object, **env: str) -> Iterator[Server]:
    """A server that answers, at a free port."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    told = command(model, "--root", root, "--port", 0, "--device", "cpu", *words)
    process = subprocess.Popen(told, cwd=root, env=environment(**env), preexec_fn=_heed, **streams)  # type: ignore[call-overload]
    try:
        line = _first_line(process)
        found = re.search(r"http://[^/ ]+", line)
        assert found, line + process.communicate()[1]
        yield Server(process, found[0], line)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _first_line(process: subprocess.Popen[str], seconds: float = 120) -> str:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    return process.stdout.readline() if ready else ""


def _heed() -> None:  # what runs in the background of a shell, as CI may, is born deaf to Ctrl-C
    signal.signal(signal.SIGINT, signal.SIG_DFL)
