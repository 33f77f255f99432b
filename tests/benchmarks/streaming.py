"""What a run takes of memory, and of time an image, as its data grow: ``python -m tests.benchmarks.streaming``.

Folders of 2,000 and of 200,000 images of 64 pixels with two of eighty classes each: forty classes with masks on 400
images, forty with tags alone on all others. ``wilss run`` labels them and learns the step, one epoch, in a process of
its own with ``--memory 2GiB``. Files of equal content share their place on the disk: each is read and decoded for
itself. For every size: the most memory that the process had, and seconds an image to open the data, to label them and
to learn from them; "growth" is the largest ratio of a cost an image to that of the smaller set, 1 is flat. It fails
where the peak is above the memory that was given, or labels or training grow by more than a tenth. With ``--shards``
images lie in tars of a thousand, and are learnt from with a buffer of four.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tests.benchmarks import last_line
from tests.peak import peak_of
from wilss.data.scenes.outlines import CLASSES as WORDS
from wilss.data.scenes.source import ScenesSource
from wilss.data.spec import World
from wilss.data.voc import save_palette_png
from wilss.report.pictures import to_pil

CLASSES, BASE, MASKED, TESTED = 80, 40, 400, 40
DISTINCT, SIDE = 512, 64
A_SHARD = 1000
"""Images of one."""
MEMORY, MOST_GROWTH = "2GiB", 1.1
NAMES = tuple(f"class {k:02d}" for k in range(CLASSES))
SETTINGS = ("step.epochs=1", "fmwiss.warmup_epochs=0", "step.batch_size=32", "step.min_iterations=0", "base.epochs=1")
COSTS = ("labels_s", "train_s")


def make_folder(folder: Path, images: int) -> Path:
    """The data, and the benchmark's file, whose path is returned."""
    for name in ("images", "masks", "once"):
        (folder / name).mkdir(parents=True)
    source, gen = ScenesSource(World(image_size=SIDE), DISTINCT, 0), np.random.default_rng(0)
    for number, image_id in enumerate(source.ids("train")):
        to_pil(source.image(image_id)).save(folder / "once" / f"{number}.jpg", quality=90)
        mask = source.mask(image_id)
        save_palette_png(mask.where((mask <= len(WORDS)) | (mask == 255), 0), folder / "once" / f"{number}.png")
    rows = ["image,labels"]
    for number in range(images):
        name, once = f"image {number:07d}", folder / "once" / str(number % DISTINCT)
        os.link(f"{once}.jpg", folder / "images" / f"{name}.jpg")
        if number < MASKED:
            os.link(f"{once}.png", folder / "masks" / f"{name}.png")
        else:
            rows.append(f"{name}.jpg,{';'.join(NAMES[k] for k in gen.choice(np.arange(BASE, CLASSES), 2, False))}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    (folder / "eval.txt").write_text("".join(f"image {number:07d}\n" for number in range(TESTED)))
    steps = [list(NAMES[:BASE]), list(NAMES[BASE:])]
    prompts = {name: [WORDS[k % len(WORDS)]] for k, name in enumerate(NAMES)}
    file = folder / "many.yaml"
    file.write_text(yaml.safe_dump({"name": "many", "data": "folder", "steps": steps, "prompts": prompts}))
    return file


def pack(folder: Path) -> None:
    """Put the images and masks of a folder into shards, which take their place."""
    images = sorted((folder / "images").iterdir())
    for number, start in enumerate(range(0, len(images), A_SHARD)):
        with tarfile.open(folder / f"part-{number:05d}.tar", "w", dereference=True) as tar:
            for image in images[start : start + A_SHARD]:
                tar.add(image, image.name)
                if (mask := folder / "masks" / f"{image.stem}.png").is_file():
                    tar.add(mask, f"{image.stem}.mask.png")
    for name in ("images", "masks", "once"):
        shutil.rmtree(folder / name)


def measure(images: int, shards: bool = False) -> dict[str, Any]:
    """Costs of one size.

    Args:
        shards: whether the images lie in shards, which are read one after the other.
    """
    with tempfile.TemporaryDirectory() as name:
        data, root = Path(name) / "data", Path(name) / "root"
        words = ["run", make_folder(data, images), "--data", data, "--root", root, "--preset", "tiny"]
        if shards:
            pack(data)
        order = [f"data.shuffle_buffer={4 * A_SHARD}"] if shards else []
        words += ["--memory", MEMORY, "--set", *SETTINGS, *order]
        peak = peak_of(*words)
        report = json.loads(next((root / "runs").glob("*/report.json")).read_text())
    seconds: dict[str, float] = report["stage_seconds"]
    of = {key: next(s for title, s in seconds.items() if key in title) for key in ("label", "student of step 1")}
    tagged = images - MASKED
    found = {"labels_s": of["label"] / tagged, "train_s": of["student of step 1"] / tagged}
    return {"images": images, "peak_mib": peak / 2**20, **found, "seconds": seconds}


def main() -> None:
    """Measure, print a line a size and one JSON object, and fail for what is not as it has to be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2_000, 200_000])
    parser.add_argument("--shards", action="store_true", help="images in tars, learnt from in the order of the shards")
    given = parser.parse_args()
    found = []
    for images in given.sizes:
        found.append(one := measure(images, given.shards))
        costs = ", ".join(f"{key[:-2]} {1e3 * one[key]:.2f} ms" for key in COSTS)
        print(f"{images:>9,} images: peak {one['peak_mib']:.0f} MiB, an image {costs}", flush=True)
    growth = {key: max((b[key] / a[key] for a, b in itertools.pairwise(found)), default=1.0) for key in COSTS}
    last_line("streaming", {"sizes": found, "growth": growth})
    sys.exit(max(one["peak_mib"] for one in found) > 2048 or max(growth.values()) > MOST_GROWTH)


if __name__ == "__main__":
    main()
