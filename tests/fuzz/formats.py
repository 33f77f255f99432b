"""Formats that are spoilt, each with the commands that read it.

A format copies a sound example into an empty folder, spoils one file of it, and says what is then called.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tests.flows.test_cli import voc_folder
from tests.fuzz.mutate import ODD_TEXT, ODD_VALUES, spoil_bytes, spoil_image, spoil_json, spoil_text
from tests.wilss.test_coco import coco_folder

Command = tuple[str, ...]
YAML = """name: pets
data: folder
steps:
  - [cat, dog]
  - [guinea pig]
prompts:
  cat: [cat, kitten]
ignore: [sofa]
"""
RUN = ("scenes-15-5", "--preset", "tiny")
TOOLS = {"coco": "instances.json", "cvat": "annotations.xml", "label-studio": "tasks.json"}
"""Forms of other tools -> the file that is written in each."""


@dataclass(frozen=True)
class Examples:
    """Sound inputs in one folder: ``pets`` and its ``pets.yaml``, ``voc``, ``coco``, a ``root`` with a finished run."""

    folder: Path

    @property
    def labels(self) -> str:
        """Digest of the label set that the last step learnt from."""
        return self._artefact("labels 1")

    @property
    def checkpoint(self) -> str:
        """Digest of the student of the last step."""
        return self._artefact("checkpoint 1")

    def _artefact(self, node: str) -> str:
        reports = (self.folder / "root" / "runs").glob("*/report.json")
        return str(json.loads(next(reports).read_text())["artefacts"][node])


def make_examples(folder: Path, run: Callable[..., object]) -> Examples:
    """Write the sound inputs.

    Args:
        run: calls the command line with these arguments.
    """
    pets = folder / "pets"
    for name in ("images", "masks"):
        (pets / name).mkdir(parents=True)
    for number in range(6):
        pixels = np.full((48, 64, 3), 40 * number + 10, np.uint8)
        pixels[8:30, 8:40] = 200
        mask = np.zeros((48, 64), np.uint8)
        mask[8:30, 8:40] = number % 2 + 1
        Image.fromarray(pixels).save(pets / "images" / f"pet {number}.jpg")
        if number < 4:
            Image.fromarray(mask).save(pets / "masks" / f"pet {number}.png")
    rows = [f"pet {n}.jpg,{'cat' if n % 2 == 0 else 'dog'}" for n in range(4)] + ["pet 4.jpg,guinea pig;sofa"]
    (pets / "labels.csv").write_text("\n".join(["image,labels", *rows, 'pet 5.jpg,"guinea pig"']) + "\n")
    (pets / "eval.txt").write_text("pet 0\npet 1\n")
    (folder / "pets.yaml").write_text(YAML)
    voc_folder(folder / "voc")
    coco_folder(folder / "coco")
    run("run", *RUN, "--root", folder / "root")
    made, where = Examples(folder), ("--root", folder / "root")
    for form in TOOLS:
        run("labels", "export", made.labels, "--to", folder / form, "--format", form, *where)
    run("labels", "review", made.labels, "--accept-above", "0.5", "--who", "ann", *where)
    run("labels", "review", made.labels, "--export", folder / "review.zip", *where)
    return made


def _copy(source: Path, target: Path) -> Path:
    """A copy that shares the bytes of its files; what is spoilt is written anew."""
    return Path(shutil.copytree(source, target, copy_function=os.link))


def _write(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def _pets(of: Examples, to: Path) -> tuple[Path, Path]:
    shutil.copy(of.folder / "pets.yaml", to / "pets.yaml")
    return _copy(of.folder / "pets", to / "pets"), to / "pets.yaml"


def _looked_over(pets: Path, yaml: Path) -> list[Command]:
    own = ("--root", str(pets.parent / "root"))
    return [
        ("data", "check", str(pets), "--benchmark", str(yaml), "-o", str(pets.parent / "sheet.png")),
        ("protocol", str(yaml), "--data", str(pets), *own),
        ("run", str(yaml), "--data", str(pets), "--preset", "tiny", "--dry-run", *own),
    ]


def table(of: Examples, to: Path, rng: random.Random) -> list[Command]:
    """labels.csv"""
    pets, yaml = _pets(of, to)
    _write(pets / "labels.csv", spoil_text((pets / "labels.csv").read_text(), rng))
    return _looked_over(pets, yaml)


def id_list(of: Examples, to: Path, rng: random.Random) -> list[Command]:
    """eval.txt, or a list of a VOC folder"""
    if rng.random() < 0.5:
        pets, yaml = _pets(of, to)
        _write(pets / "eval.txt", spoil_text((pets / "eval.txt").read_text(), rng))
        return _looked_over(pets, yaml)
    voc = _copy(of.folder / "voc", to / "voc")
    path = voc / "ImageSets" / "Segmentation" / rng.choice(("train_aug.txt", "dev.txt"))
    _write(path, spoil_text(path.read_text(), rng))
    return [
        ("data", "check", str(voc), "-o", str(to / "sheet.png")),
        ("protocol", "voc-15-5", "--data", str(voc), "--root", str(to / "root")),
    ]


def benchmark(of: Examples, to: Path, rng: random.Random) -> list[Command]:
    """a benchmark's YAML"""
    pets, yaml = _pets(of, to)
    _write(yaml, spoil_text(yaml.read_text(), rng))
    return _looked_over(pets, yaml)


def mask(of: Examples, to: Path, rng: random.Random) -> list[Command]:
    """a mask"""
    pets, yaml = _pets(of, to)
    path = pets / "masks" / f"pet {rng.randrange(4)}.png"
    _write(path, spoil_image(path.read_bytes(), rng))
    return _looked_over(pets, yaml)


def image(of: Examples, to: Path, rng: random.Random) -> list[Command]:
    """an image"""
    pets, yaml = _pets(of, to)
    path = pets / "images" / f"pet {rng.randrange(6)}.jpg"
    _write(path, spoil_image(path.read_bytes(), rng))
    root = str(_copy(of.folder / "root", to / "store"))
    return [*_looked_over(pets, yaml), ("predict", of.checkpoint, str(path), "-o", str(to / "out"), "--root", root)]


def coco(of: Examples, to: Path, rng: random.Random) -> list[Command]:
    """annotations of COCO"""
    folder = _copy(of.folder / "coco", to / "coco")
    path = folder / "annotations" / "instances_train2017.json"
    _write(path, spoil_json(path.read_text(), rng))
    own = ("--set", "data.coco_eval=train2017", "--root", str(to / "root"))
    data = ("--data", str(folder), "--voc", str(of.folder / "voc"), "--eval-list", "dev")
    return [
        ("protocol", "coco-to-voc", *data, *own),
        ("run", "coco-to-voc", *data, "--preset", "tiny", "--dry-run", *own),
        ("data", "import", "coco", str(path), str(folder / "train2017"), "--to", str(to / "made")),
    ]


def setting(of: Examples, to: Path, rng: random.Random) -> list[Command]:
    """--set"""
    from wilss.spec import RunSpec

    sections = [name for name in RunSpec.model_fields if name not in ("benchmark", "custom")]
    section = rng.choice((*sections, *ODD_TEXT))
    field = getattr(RunSpec.model_fields.get(section), "annotation", None)
    keys = [*getattr(field, "model_fields", {"": None}), *ODD_TEXT]
    value = rng.choice((*ODD_TEXT, *map(json.dumps, ODD_VALUES)))
    word = f"{section}.{rng.choice(keys)}={value}".replace("\0", "").encode("utf-8", "replace").decode()
    return [("run", *RUN, "--dry-run", "--root", str(to / "root"), "--set", word)]


def _of_store(
    of: Examples, to: Path, rng: random.Random, kinds: tuple[str, ...], names: tuple[str, ...]
) -> list[Command]:
    root = _copy(of.folder / "root", to / "root")
    files = sorted(p for kind in kinds for name in names for p in (root / kind).rglob(name) if p.is_file())
    path = rng.choice(files)
    spoil = path.suffix == ".json" and path.name != "report.html"
    content = path.read_bytes()
    _write(path, spoil_json(content.decode(), rng) if spoil else spoil_bytes(content, rng))
    labels = next((root / "labels").glob("??/*")).name
    where = ("--root", str(root))
    picture = str(of.folder / "pets" / "images" / "pet 0.jpg")
    return [
        ("runs", *where),
        ("labels", "list", *where),
        ("labels", "show", labels, "-o", str(to / "sheet.png"), *where),
        ("labels", "export", labels, "--to", str(to / "export"), *where),
        ("predict", of.checkpoint, picture, "-o", str(to / "out"), *where),
        ("run", *RUN, "--dry-run", *where),
    ]


def manifest(of: Examples, to: Path, rng: random.Random) -> list[Command]:
    """a manifest"""
    kinds = ("labels", "banks", "checkpoints", "evaluations")
    return _of_store(of, to, rng, kinds, ("manifest.json",))


def checkpoint(of: Examples, to: Path, rng: random.Random) -> list[Command]:
    """a checkpoint"""
    return _of_store(of, to, rng, ("checkpoints",), ("card.json", "*.safetensors"))


def label_set(of: Examples, to: Path, rng: random.Random) -> list[Command]:
    """a label set"""
    return _of_store(of, to, rng, ("labels",), ("index.json", "zarr.json", "0", "[0-9]*"))


def report(of: Examples, to: Path, rng: random.Random) -> list[Command]:
    """a report"""
    return _of_store(of, to, rng, ("runs",), ("report.json",))


def episodes(of: Examples, to: Path, rng: random.Random) -> list[Command]:
    """masks and images of few-shot supports, and their lists"""
    voc = _copy(of.folder / "voc", to / "voc")
    folder = rng.choice(("JPEGImages", "SegmentationClassAug"))
    path = rng.choice(sorted((voc / folder).iterdir()))
    _write(path, spoil_image(path.read_bytes(), rng))
    return [
        ("data", "check", str(voc), "-o", str(to / "sheet.png")),
        ("fuzz-episodes", str(voc)),
    ]


def other_tool(of: Examples, to: Path, rng: random.Random) -> list[Command]:
    """masks that another tool wrote"""
    form = rng.choice(list(TOOLS))
    path = _copy(of.folder / form, to / form) / TOOLS[form]
    content, by_value = path.read_bytes(), path.suffix == ".json" and rng.random() < 0.7
    _write(path, spoil_json(content.decode(), rng) if by_value else spoil_bytes(content, rng))
    root = _copy(of.folder / "root", to / "root")
    return [("labels", "import", str(path), "--parent", of.labels, "--root", str(root))]


def review(of: Examples, to: Path, rng: random.Random) -> list[Command]:
    """what people said of a label set, and a file in which it is moved"""
    root = _copy(of.folder / "root", to / "root")
    moved = to / "review.zip"
    _write(moved, (of.folder / "review.zip").read_bytes())
    path = rng.choice((moved, root / "reviews" / of.labels / "acts.jsonl"))
    _write(path, spoil_bytes(path.read_bytes(), rng))
    where = ("--root", str(root))
    return [
        ("labels", "review", of.labels, *where),
        ("labels", "review", of.labels, "--import", str(moved), *where),
        ("labels", "apply", of.labels, *where),
        ("store", "repair", *where),
    ]


FORMATS = {
    made.__name__: made
    for made in (
        *(table, id_list, benchmark, mask, image, coco, setting),
        *(manifest, checkpoint, label_set, report, episodes, other_tool, review),
    )
}
