"""What drawing a scene costs beside reading it back as PNG, one thread: ``python -m tests.benchmarks.world``."""

from __future__ import annotations

import argparse
import io
import time

import numpy as np
import torch
from PIL import Image

from tests.benchmarks import last_line
from wilss.data.scenes.world import draw
from wilss.data.spec import World


def main() -> None:
    """Measure, print both rates and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1024)
    options = parser.parse_args()
    torch.set_num_threads(1)
    draw(World(), "warm up", 0, 32)
    start = time.perf_counter()
    scenes = draw(World(), "benchmark", 0, options.count)
    drawing = time.perf_counter() - start
    files = [
        (_png(image.permute(1, 2, 0)), _png(mask)) for image, mask in zip(scenes.images, scenes.masks, strict=True)
    ]
    start = time.perf_counter()
    for image, mask in files:
        np.array(Image.open(io.BytesIO(image))), np.array(Image.open(io.BytesIO(mask)))
    reading = time.perf_counter() - start
    rate = options.count / drawing
    print(
        f"drawn {rate:8.0f} scenes a second\nread  {options.count / reading:8.0f} scenes a second (image and mask, PNG)"
    )
    last_line("world", {"scenes_per_second": rate, "ratio": drawing / reading, "reference": "PNG"})


def _png(pixels: torch.Tensor) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels.numpy()).save(buffer, "PNG")
    return buffer.getvalue()


if __name__ == "__main__":
    main()
