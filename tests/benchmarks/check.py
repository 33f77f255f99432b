"""What looking a data folder over costs beside decoding it: ``python -m tests.benchmarks.check``.

``wilss data check`` of 20,000 small photographs with masks, nothing remembered of them, against a process that decodes
every image and mask once as a training does (`read_rgb`, `read_mask`), in as many threads. They take turns, so that
both meet the same machine. The second check finds what the first remembered.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from tests.benchmarks import last_line
from wilss.data.palette import palette
from wilss.data.places.place import SETTLED_NS

SIDE = (160, 120)
CLASSES = 20
DECODE = """
import sys
from pathlib import Path
from wilss.data.files import read_mask, read_rgb
from wilss.data.looks import in_threads
for read, name in ((read_rgb, "images"), (read_mask, "masks")):
    shown = in_threads(lambda path: read(path).shape[-1], sorted((Path(sys.argv[1]) / name).iterdir()))
    assert len(shown) == int(sys.argv[2])
"""


def make_folder(root: Path, images: int) -> None:
    """A folder of one's own: blurred noise as JPEG, a disc of one class as palette PNG, and their table."""
    gen, (width, height) = np.random.default_rng(0), SIDE
    y, x = np.mgrid[:height, :width]
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    rows = ["image,labels"]
    for number in range(images):
        coarse = gen.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize(SIDE).save(root / "images" / f"{number:06d}.jpg")
        class_id = 1 + number % CLASSES
        inside = np.hypot(y - height * gen.random(), x - width * gen.random()) < height / 3
        mask = Image.fromarray(np.where(inside, class_id, 0).astype(np.uint8))
        mask.putpalette(palette())
        mask.save(root / "masks" / f"{number:06d}.png")
        rows.append(f"{number:06d},class {class_id}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")


def measure(images: int, rounds: int) -> dict[str, object]:
    """Median seconds of each process, and the median ratio of the rounds: the two of a round meet the same machine."""
    with tempfile.TemporaryDirectory() as name:
        folder, root = Path(name) / "data", Path(name) / "root"
        make_folder(folder, images)
        time.sleep(SETTLED_NS / 1e9 + 1)  # what was just written is not remembered
        check = [sys.executable, "-m", "flows.cli", "data", "check", str(folder), "--root", str(root)]
        commands = {"decode": [sys.executable, "-c", DECODE, str(folder), str(images)], "check": check, "again": check}
        times: dict[str, list[float]] = {part: [] for part in commands}
        cpu: dict[str, list[float]] = {part: [] for part in commands}
        for _ in range(rounds):
            shutil.rmtree(root, ignore_errors=True)
            root.mkdir()
            for part, command in commands.items():
                wall, busy = _seconds(command)
                times[part].append(wall)
                cpu[part].append(busy)
                print(f"{part:<8} {wall:6.1f} s, {busy:6.1f} s of the processor", flush=True)
    decode, first, again = (statistics.median(times[part]) for part in commands)
    return {
        "ratio": _ratio(times),
        "cpu_ratio": _ratio(cpu),
        "reference": "decoding every image and mask once",
        "reference_seconds": decode,
        "seconds": first,
        "again_seconds": again,
        "images": images,
        "rounds": rounds,
    }


def _ratio(of: dict[str, list[float]]) -> float:
    return statistics.median(check / decode for check, decode in zip(of["check"], of["decode"], strict=True))


def _seconds(command: list[str]) -> tuple[float, float]:
    """Of a process: by the clock, and of the processor."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("WILSS_")}
    before, start = _busy(), time.perf_counter()
    done = subprocess.run(command, env=env, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return time.perf_counter() - start, _busy() - before


def _busy() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure, print every time and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    last_line("check", measure(options.images, options.rounds))


if __name__ == "__main__":
    main()
