"""A folder of one's own from its first run: ``python -m tests.benchmarks.own_folder --data VOC --weights WEIGHTS``.

About 350 photographs of VOC become a folder as a user would have it: four classes with masks, four with tags alone, in
an order that is not VOC's, a few held out to score on. The command that the README names learns them with settings as
they come; the joint bound learns the same photographs with masks of all eight. Minutes by the clock, IoU by class.

``--folder choosing`` makes another one, of other classes and training images alone: settings are chosen on it, as
``--set section.key=value``, and never on what is scored.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from tests.benchmarks import last_line
from wilss.data.families import family_of


class Folder(NamedTuple):
    """Classes of step 0 and of step 1, and the list of what is held out."""

    base: tuple[str, ...]
    new: tuple[str, ...]
    held_out: str


FOLDERS = {
    "scored": Folder(("dog", "bus", "bird", "aeroplane"), ("train", "cat", "car", "horse"), "dev"),
    "choosing": Folder(("cat", "train", "sheep", "boat"), ("bicycle", "dog", "bus", "motorbike"), "train_aug"),
}
EACH, HELD_OUT = 34, 10
"""Photographs of a class to learn from, and to score on."""
BENCHMARK = """name: mine
data: folder
steps:
  - [{base}]
  - [{new}]
"""
VOID = 255


def make_folder(voc: Path, folder: Path, all_masks: bool, of: Folder) -> Path:
    """Write images, tags and masks; ``all_masks`` also draws the new classes of the training images."""
    names, taken = (*of.base, *of.new), set[str]()
    numbers = {family_of("voc").classes.index(name) + 1: place + 1 for place, name in enumerate(names)}
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    rows, held_out, lists = ["image,labels"], list[str](), voc / "ImageSets" / "Segmentation"
    for scored, name, each in ((False, "train_aug", EACH), (True, of.held_out, HELD_OUT)):
        counts = dict.fromkeys(names, 0)
        for image_id in (lists / f"{name}.txt").read_text().split():
            if image_id in taken:
                continue
            mask = np.asarray(Image.open(voc / "SegmentationClassAug" / f"{image_id}.png"))
            shown = [names[place - 1] for number, place in numbers.items() if (mask == number).any()]
            if not shown or all(counts[one] >= each for one in shown):
                continue
            taken.add(image_id)
            for one in shown:
                counts[one] += 1
            shutil.copy(voc / "JPEGImages" / f"{image_id}.jpg", folder / "images")
            rows.append(f"{image_id}.jpg,{';'.join(shown)}")
            held_out += [f"{image_id}.jpg"] * scored
            drawn = names if all_masks or scored else of.base
            if set(shown) & set(drawn):
                own = np.where(mask == VOID, VOID, 0).astype(np.uint8)
                for number, place in numbers.items():
                    if names[place - 1] in drawn:
                        own[mask == number] = place
                Image.fromarray(own).save(folder / "masks" / f"{image_id}.png")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    (folder / "eval.txt").write_text("\n".join(held_out) + "\n")
    (folder / "mine.yaml").write_text(BENCHMARK.format(base=", ".join(of.base), new=", ".join(of.new)))
    return folder


def run(folder: Path, root: Path, weights: Path, method: str, of: Folder, changes: list[str]) -> dict[str, Any]:
    """``wilss run``, with settings as they come but for ``changes``: minutes and IoU by class in the end."""
    start = time.perf_counter()
    command = [str(Path(sys.executable).with_name("wilss")), "run", str(folder / "mine.yaml"), "--data", str(folder)]
    own = ["--weights", str(weights), "--method", method, "--root", str(root)]
    own += [part for change in changes for part in ("--set", change)]
    subprocess.run([*command, *own], check=True, stdout=sys.stderr)
    minutes = (time.perf_counter() - start) / 60
    (report,) = (root / "runs").glob("*/report.json")
    iou = json.loads(report.read_text())["steps"][-1]["per_class_iou"]
    return {
        "minutes": minutes,
        "photographs": len((folder / "labels.csv").read_text().splitlines()) - 1,
        **{part: float(np.mean([iou[name] for name in of])) for part, of in (("base", of.base), ("new", of.new))},
        "iou": {name: iou[name] for name in (*of.base, *of.new)},
    }


def main() -> None:
    """Make the folders, run the methods, print a table and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--methods", nargs="+", default=["fmwiss", "joint"])
    parser.add_argument("--folder", choices=FOLDERS, default="scored")
    parser.add_argument("--set", nargs="+", default=[], help="settings to try, on the folder for choosing")
    parser.add_argument("--keep", type=Path, help="folder in which the folders and roots stay")
    given = parser.parse_args()
    of = FOLDERS[given.folder]
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        place = given.keep or Path(temporary)
        if place.is_dir() and any(place.iterdir()):
            parser.error(f"'{place}' is not empty; name another folder with --keep")
        for method in given.methods:
            folder = make_folder(given.data, place / f"photographs-{method}", method == "joint", of)
            found = results[method] = run(folder, place / f"root-{method}", given.weights, method, of, given.set)
            by_class = " ".join(f"{name} {100 * value:.0f}" for name, value in found["iou"].items())
            shares = f"base {found['base']:.3f}, new {found['new']:.3f}: {by_class}"
            print(f"{method}: {found['minutes']:.1f} min, {shares}", flush=True)
    last_line("own_folder", results)


if __name__ == "__main__":
    main()
