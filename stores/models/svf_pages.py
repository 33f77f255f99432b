"""The report on a vector set: which singular values moved most, and what their components look at."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stores.artefacts import Store
from stores.models.subject import Subject, open_subject
from stores.runs import write_run
from wilss.data.given import read_named
from wilss.data.images import to_canvas
from wilss.data.scenes.world import draw
from wilss.data.spec import World
from wilss.errors import SpecError
from wilss.measure.vectors import By, Component, ForegroundShare, activation_maps, heat, layer_moves, strongest
from wilss.outputs import require_free, writable_folder
from wilss.report.gallery import Gallery
from wilss.report.pictures import View, gallery
from wilss.report.svf import layers_csv, svf_page

N_SCENES, N_SHOWN = 24, 4
"""Scenes of the built-in world that shares are measured on, and how many of them are shown."""


@dataclass(frozen=True)
class Picture:
    """An image uint8 ``(3, H, W)``, and its labels uint8 ``(H, W)`` where they are known."""

    name: str
    image: Tensor
    labels: Tensor | None = None


FILES = ("report.json", "layers.csv", "svf.html")


@dataclass
class Looked:
    """A component over all pictures: heat maps of those that are shown, and its share on objects."""

    component: Component
    heats: list[Tensor] = field(default_factory=list)
    share: ForegroundShare = field(default_factory=ForegroundShare)


def svf_report(
    name: str,
    images: Sequence[Path],
    count: int,
    by: By,
    seed: int,
    out: Path | None,
    root: Path,
    weights: Path | None = None,
    replace: bool = False,
) -> dict[str, Any]:
    """Write what a training changed by singular values into a folder; returns the content of ``report.json``.

    Args:
        name: see `stores.models.subject.open_subject`; weights too.
        images: files to show activations on; else scenes of the built-in world, for checkpoints of its benchmarks.
        count: how many risen and how many fallen components. seed: of the world.

    Raises ArtefactNotFoundError for a checkpoint without vectors, DataError for a broken image, SpecError for a folder
    that cannot be written.
    """
    if count < 1:
        raise SpecError(f"{count} components cannot be shown; give --count a positive number")
    require_free([out / file for file in FILES] if out else [], replace)
    subject = open_subject(name, Store(root), weights)
    out = writable_folder(out or root / "svf" / subject.name)
    pictures = _files(images, subject) if images else _scenes(subject, seed)
    ranked = zip(("risen", "fallen"), _strongest(subject, count, by), strict=True)
    looked = {kind: _look(subject, found, pictures) for kind, found in ranked}
    report = {"checkpoint": subject.name, "by": by, **_content(subject, looked, pictures), "folder": str(out)}
    galleries = {kind: _gallery(kind, pictures, found) for kind, found in looked.items() if pictures}
    files = {"report.json": json.dumps(report, indent=1, allow_nan=False)}
    files |= {"layers.csv": layers_csv(layer_moves(subject.vectors)), "svf.html": svf_page(report, galleries)}
    write_run(out, files)
    return report


def _strongest(subject: Subject, count: int, by: By) -> tuple[list[Component], list[Component]]:
    """Risen and fallen components; only those of convolutions have a map."""
    layers = {name: subject.tuned.get_submodule(name) for name in subject.vectors}
    found = {name: subject.vectors[name] for name, layer in layers.items() if isinstance(layer, nn.Conv2d)}
    return strongest(subject.sets.values(), found, count, by)


def _content(subject: Subject, looked: Mapping[str, Sequence[Looked]], pictures: Sequence[Picture]) -> dict[str, Any]:
    moves = layer_moves(subject.vectors)
    return {
        "benchmark": subject.benchmark,
        "title": subject.title,
        "step": subject.step,
        "bases": subject.on,
        "n_values": sum(row.rank for row in moves),
        "n_images": len(pictures),
        "foreground_area": _area(pictures),
        "foreground": {kind: _mean(found) for kind, found in looked.items()},
        **{kind: [{**asdict(one.component), "foreground": one.share.value} for one in looked[kind]] for kind in looked},
        "layers": [asdict(row) for row in moves],
    }


def _files(paths: Sequence[Path], subject: Subject) -> list[Picture]:
    return [Picture(path.stem, to_canvas(read_named(path), subject.canvas)) for path in paths]


def _scenes(subject: Subject, seed: int) -> list[Picture]:
    """Evaluation scenes; none for a model that is not of the built-in world."""
    if not subject.of_scenes:
        return []
    scenes = draw(World(seed=seed, image_size=min(max(subject.canvas, 32), 512)), "eval", 0, N_SCENES)
    both = zip(scenes.images, scenes.masks, strict=True)
    return [Picture(f"scene {number}", image, mask) for number, (image, mask) in enumerate(both)]


@torch.inference_mode()
def _look(subject: Subject, components: Sequence[Component], pictures: Sequence[Picture]) -> list[Looked]:
    """Every component over all pictures; scenes beyond the first few are measured only."""
    found, right = [Looked(component) for component in components], subject.sets.right()
    for number, picture in enumerate(pictures):
        run = partial(subject.run, picture.image[None].float() / 255)
        for looked, response in zip(found, activation_maps(subject.tuned, right, components, run), strict=True):
            if picture.labels is not None:
                looked.share.add(response[0], picture.labels)
            if picture.labels is None or number < N_SHOWN:
                looked.heats.append(heat(picture.image, response[0]))
    return found


def _area(pictures: Sequence[Picture]) -> float | None:
    """Share of objects in the area of all pictures, None where no labels are known."""
    share = ForegroundShare()
    for picture in pictures:
        if picture.labels is not None:
            share.add(torch.ones(picture.labels.shape), picture.labels)
    return share.value


def _mean(found: Sequence[Looked]) -> float | None:
    shares = [looked.share.value for looked in found if looked.share.value is not None]
    return sum(shares) / len(shares) if shares else None


def _gallery(kind: str, pictures: Sequence[Picture], found: Sequence[Looked]) -> Gallery:
    """The images, and below them a row of heat maps for each component."""
    shown = [p for number, p in enumerate(pictures) if p.labels is None or number < N_SHOWN]
    rows = [("images", [View(p.image) for p in shown])]
    for looked in found:
        one = looked.component
        caption = f"{one.layer} component {one.index}: g {one.factor:.4f}"
        rows.append((caption, [View(heat_map) for heat_map in looked.heats]))
    return gallery(f"What has {kind}", [p.name for p in shown], rows)
