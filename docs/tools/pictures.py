"""Pictures of the documentation, out of a real run over the folder to practise with.

    python -m docs.tools.pictures

makes the folder and the run (build/pictures, found again the next time), and writes docs/pictures. Those of the
inspector need a Chromium and are left as they are where there is none.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

import wilss
from stores.artefacts import Store
from stores.labels.sets import LabelSet
from wilss.data.source import Source
from wilss.report.pictures import View, flatten_layers
from wilss.report.records import RunReport
from wilss.report.sheets import contact_sheet

ROOT = Path(__file__).parents[2]
TO, PLACE = ROOT / "docs" / "pictures", ROOT / "build" / "pictures"
RUN = "run mine.yaml --data mine --preset demo --set base.min_iterations=400 step.min_iterations=200"
LARGEST = 150_000
"""Bytes of a picture."""
HEAT = torch.tensor([255.0, 200.0, 0.0])


@dataclass(frozen=True)
class Made:
    """What the run left in a folder."""

    folder: Path

    @cached_property
    def report(self) -> RunReport:
        """Of the only run."""
        return RunReport.read(next((self.folder / "wilss-data" / "runs").glob("mine-*/report.json")))

    @cached_property
    def source(self) -> Source:
        """The photographs."""
        return wilss.open_source(self.folder / "mine.yaml", self.folder / "mine")

    @cached_property
    def names(self) -> dict[int, str]:
        """Class id -> name."""
        return dict(enumerate(self.source.classes, start=1))

    @cached_property
    def labels(self) -> LabelSet:
        """The co-segmented label set of step 1."""
        return LabelSet.open(Store(self.folder / "wilss-data").path("labels", self.report.artefacts["labels 1"]))

    def seen(self, image_id: str, step: int) -> View:
        """What the student of a step sees in an image."""
        model = wilss.load(self.report.artefacts[f"checkpoint {step}"], self.folder / "wilss-data")
        image = self.source.image(image_id)
        return View(image, model.predict(image))

    def masks(self, image_id: str, stage: str) -> View:
        """Pseudo-labels of an image."""
        row = self.labels.position(image_id)
        ids = [1 + self.source.classes.index(name) for name in self.labels.index.classes]
        return View(self.source.image(image_id), flatten_layers(self.labels.read(stage, row, row + 1)[0], ids))

    def heat(self, image_id: str) -> View:
        """The scorer's map of an image's first tag, as light on the grey image."""
        row = self.labels.position(image_id)
        score = torch.from_numpy(self.labels.soft(row)).float()
        image = self.source.image(image_id)
        strongest = score.flatten(0, -3).amax(0)[None, None]
        light = F.interpolate(strongest, image.shape[-2:], mode="bilinear", align_corners=False)[0]
        return View(_lit(image, light))


def _lit(image: Tensor, light: Tensor) -> Tensor:
    grey = image.float().mean(0, keepdim=True).expand(3, -1, -1) * 0.6
    return ((1 - light) * grey + light * HEAT.view(3, 1, 1)).round().to(torch.uint8)


def way(made: Made, image_id: str) -> Image.Image:
    """One image from its tag to the student that has learnt it."""
    tags = " and ".join(made.labels.index.tagged(made.labels.position(image_id)))
    titles = ("image", "scorer", "initial mask", "refined mask", "student before", "student after")
    views = [View(made.source.image(image_id)), made.heat(image_id), made.masks(image_id, "initial")]
    views += [made.masks(image_id, "refined"), made.seen(image_id, 0), made.seen(image_id, 1)]
    return contact_sheet([views], titles, [f"tagged: {tags}"], made.names)


def label_set(made: Made, ids: Sequence[str]) -> Image.Image:
    """Images of a label set: scene, tags, both stages of their masks."""
    rows = [[View(made.source.image(i)), made.masks(i, "initial"), made.masks(i, "refined")] for i in ids]
    notes = [f"tagged: {', '.join(made.labels.index.tagged(made.labels.position(i)))}" for i in ids]
    return contact_sheet(rows, ("image", "initial", "refined"), notes, made.names)


def step(made: Made, ids: Sequence[str]) -> Image.Image:
    """Evaluation images before and after the step."""
    titles = ("image", "truth", "before the step", "after the step")
    rows = [
        [View(made.source.image(i)), View(made.source.image(i), made.source.mask(i)), made.seen(i, 0), made.seen(i, 1)]
        for i in ids
    ]
    shown = dict(zip(made.source.ids("eval"), made.source.tags("eval"), strict=True))
    notes = [f"shows: {', '.join(made.names[c] for c in shown[i])}" for i in ids]
    return contact_sheet(rows, titles, notes, made.names)


def inspector(made: Made) -> dict[str, Image.Image]:
    """The inspector's pages in a real browser; nothing where there is none."""
    from tests.e2e.browser import Seen, browser, page_of, program
    from tests.e2e.inspected import served

    if program() is None:
        return {}
    root, digest = made.folder / "wilss-data", made.report.artefacts["labels 1"]
    taken = {}
    with served(root, "--data", str(made.folder / "mine")) as server, browser() as opened:
        for name, path in (("inspector", f"/labels/{digest}"), ("inspector-image", f"/labels/{digest}/images/0")):
            with page_of(opened, Seen(name, 1280, "light"), server.address + path) as page:
                page.wait_for_load_state("networkidle")
                page.screenshot(path=made.folder / f"{name}.png")
            taken[name] = Image.open(made.folder / f"{name}.png").convert("RGB")
    return taken


def keep(picture: Image.Image, name: str) -> Path:
    """Write a picture with as many colours as its size allows. Raises ValueError for one that stays too large."""
    path = TO / f"{name}.png"
    for colours in (256, 128, 64, 32):
        picture.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= LARGEST:
            return path
    raise ValueError(f"'{path}' is larger than {LARGEST} bytes; draw fewer or smaller images")


def made_in(folder: Path) -> Made:
    """The run, made where it is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if not (folder / "mine.yaml").exists():
        subprocess.run([sys.executable, ROOT / "examples" / "practice_folder.py", "mine"], cwd=folder, check=True)
    command = [sys.executable, "-m", "flows.cli", *RUN.split()]
    subprocess.run(command, cwd=folder, env=environment, check=True)
    return Made(folder)


def choose(made: Made) -> tuple[list[str], list[str]]:
    """Images to show: of the label set the first of each class in turn, of the evaluation those with most classes."""
    first: dict[str, list[str]] = {}
    for row, image_id in enumerate(made.labels.index.ids):
        first.setdefault(made.labels.index.tagged(row)[0], []).append(image_id)
    of_labels = [image_id for pair in zip(*first.values(), strict=False) for image_id in pair][:4]
    tags = dict(zip(made.source.ids("eval"), made.source.tags("eval"), strict=True))
    return of_labels, sorted(tags, key=lambda image_id: -len(tags[image_id]))[:4]


def main() -> None:
    """Make all pictures."""
    TO.mkdir(exist_ok=True)
    made = made_in(PLACE)
    of_labels, evaluated = choose(made)
    drawn = {
        "way": way(made, of_labels[2]),
        "labels": label_set(made, of_labels),
        "step": step(made, evaluated),
        **inspector(made),
    }
    for name, picture in drawn.items():
        print(keep(picture, name))


if __name__ == "__main__":
    main()
