"""Looking at vector sets, and folding them into plain checkpoints. Plain functions for the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stores.artefacts import Store, read_manifest
from stores.checkpoints import CheckpointIndex, load_checkpoint, load_index, save_checkpoint
from stores.runs import write_run
from stores.vectors import VECTORS, StoredVectors, bases_folder, load_bases, require_vectors
from tasks.workspace import start_folder
from wilss.data.augment import normalise
from wilss.data.files import read_rgb
from wilss.data.images import to_canvas
from wilss.data.scenes import World, draw
from wilss.errors import FormatError, SpecError
from wilss.measure.render import contact_sheet, png
from wilss.measure.svf_report import layers_csv, svf_html
from wilss.measure.vectors import By, Component, ForegroundShare, activation_maps, heat, layer_moves, strongest
from wilss.nets.vectors import VectorSets
from wilss.protocol import benchmarks

N_SCENES, N_SHOWN = 24, 4
"""Scenes of the built-in world that shares are measured on, and how many of them are shown."""
TOLERANCE = 1e-4
"""A folded weight may differ from the checkpoint's own by this share of its norm: another machine rounds otherwise."""


@dataclass(frozen=True)
class Picture:
    """An image uint8 ``(3, H, W)``, and its labels uint8 ``(H, W)`` where they are known."""

    name: str
    image: Tensor
    labels: Tensor | None = None


@dataclass
class Looked:
    """A component over all pictures: heat maps of those that are shown, and its share on objects."""

    heats: list[Tensor] = field(default_factory=list)
    share: ForegroundShare = field(default_factory=ForegroundShare)


def svf_report(
    checkpoint: str, images: Sequence[Path], count: int, by: By, seed: int, out: Path | None, root: Path
) -> dict[str, Any]:
    """Write what the steps so far changed by singular values into a folder; returns the content of ``report.json``.

    Args:
        images: files to show activations on; else scenes of the built-in world, for checkpoints of its benchmarks.
        count: how many risen and how many fallen components. seed: of the world.

    Raises ArtefactNotFoundError for a checkpoint without vectors, DataError for a broken image.
    """
    if count < 1:
        raise SpecError(f"{count} components cannot be shown; give --count a positive number")
    store = Store(root)
    folder = start_folder(checkpoint, store)
    stored, (model, index) = require_vectors(folder), load_checkpoint(folder)
    pictures = _files(images, index) if images else _scenes(index, seed)
    sets = _open(stored, store)
    convolutions = {k: g for k, g in stored.vectors.items() if isinstance(sets.plain.get_submodule(k), nn.Conv2d)}
    ranked = dict(zip(("risen", "fallen"), strongest(sets.values(), convolutions, count, by), strict=True))
    looked = {kind: _look(model.backbone, sets.right(), found, pictures, index) for kind, found in ranked.items()}
    moves, name = layer_moves(stored.vectors), folder.resolve().name
    report = {
        "checkpoint": name,
        "benchmark": index.benchmark,
        "step": index.step,
        "bases": stored.checkpoint,
        "n_values": sum(row.rank for row in moves),
        "by": by,
        "pictures": bool(pictures),
        "n_images": len(pictures),
        "foreground_area": _area(pictures),
        "foreground": {kind: _mean(found) for kind, found in looked.items()},
        **{kind: _entries(found, looked[kind]) for kind, found in ranked.items()},
        "layers": [asdict(row) for row in moves],
        "folder": str(out or root / "svf" / name),
    }
    sheets = [(f"What has {kind}", _sheet(pictures, found, looked[kind])) for kind, found in ranked.items() if pictures]
    content = {"report.json": json.dumps(report, indent=1, allow_nan=False), "layers.csv": layers_csv(moves)}
    write_run(Path(str(report["folder"])), {**content, "svf.html": svf_html(report, sheets)})
    return report


def svf_export(checkpoint: str, out: Path, root: Path) -> StoredVectors:
    """Copy the vector set of a checkpoint to a file of its own; it goes with the checkpoint of its bases."""
    folder = start_folder(checkpoint, Store(root))
    stored = require_vectors(folder)
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folder / VECTORS, out)
    return stored


def svf_fold(checkpoint: str, step: int | None, out: Path, root: Path) -> CheckpointIndex:
    """Write a plain checkpoint of a step from the bases and its vectors, with the step's own ASPP and classifiers.

    Args:
        step: one of the steps from that of the bases to that of the checkpoint; None for the checkpoint's own.

    Raises SpecError for any other step and for a folder that exists, FormatError when vectors and checkpoint disagree.
    """
    if out.exists():
        raise SpecError(f"'{out}' exists already; name a folder that does not")
    store = Store(root)
    folder = start_folder(checkpoint, store)
    stored = require_vectors(folder)
    folder = _folder_of(step, folder, stored, store)
    model, index = load_checkpoint(folder)
    sets = _open(stored, store)
    if index.step not in sets.steps:
        sets.add(index.step, require_vectors(folder).vectors)
    backbone = sets.fold(index.step)
    _require_same(backbone, model.backbone, folder)
    model.backbone = backbone
    partial = out.with_name(f"{out.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    save_checkpoint(model, index, partial)
    partial.replace(out)
    return index


def _open(stored: StoredVectors, store: Store) -> VectorSets:
    """The bases with the vectors' layers decomposed; the step of the bases is the first."""
    bases = load_bases(stored, store)
    return VectorSets(bases, tuple(stored.vectors), load_index(bases_folder(stored, store)).step)


def _folder_of(step: int | None, folder: Path, stored: StoredVectors, store: Store) -> Path:
    """Folder of an earlier step of the same chain: back from one checkpoint to the one before, as far as the bases."""
    bases, found = bases_folder(stored, store), {load_index(folder).step: folder}
    if step is None or step in found:
        return folder
    found[load_index(bases).step] = bases
    while step not in found:
        folder = store.path("checkpoints", read_manifest(folder).parents["previous"])
        if folder == bases:
            known = ", ".join(map(str, sorted(found)))
            raise SpecError(f"the checkpoint's vectors know no step {step}; they know the steps {known}")
        found[load_index(folder).step] = folder
    return found[step]


def _require_same(folded: nn.Module, own: nn.Module, folder: Path) -> None:
    """Raise FormatError when a folded weight is not that of the checkpoint."""
    theirs = own.state_dict()
    for name, value in folded.state_dict().items():
        wanted = theirs[name].float()
        if float((value.float() - wanted).norm()) > TOLERANCE * float(wanted.norm()):
            raise FormatError(
                f"'{name}', folded from the vectors of '{folder}', is not the checkpoint's own weight; delete that "
                "checkpoint and run its step again"
            )


def _files(paths: Sequence[Path], index: CheckpointIndex) -> list[Picture]:
    return [Picture(path.stem, to_canvas(read_rgb(path), index.canvas)) for path in paths]


def _scenes(index: CheckpointIndex, seed: int) -> list[Picture]:
    """Evaluation scenes; none for a checkpoint that is not of the built-in world."""
    known = benchmarks().get(index.benchmark)
    if known is None or known.family != "scenes":
        return []
    scenes = draw(World(seed=seed, image_size=min(max(index.canvas, 32), 512)), "eval", 0, N_SCENES)
    both = zip(scenes.images, scenes.masks, strict=True)
    return [Picture(f"scene {number}", image, mask) for number, (image, mask) in enumerate(both)]


@torch.inference_mode()
def _look(
    network: nn.Module,
    right: dict[str, Tensor],
    components: Sequence[Component],
    pictures: Sequence[Picture],
    index: CheckpointIndex,
) -> list[Looked]:
    """Every component over all pictures; scenes beyond the first few are measured only."""
    found = [Looked() for _ in components]
    for number, picture in enumerate(pictures):
        images = normalise(picture.image[None].float() / 255, index.mean, index.std)
        for looked, response in zip(found, activation_maps(network, right, components, images), strict=True):
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


def _entries(components: Sequence[Component], found: Sequence[Looked]) -> list[dict[str, Any]]:
    return [{**asdict(c), "foreground": looked.share.value} for c, looked in zip(components, found, strict=True)]


def _sheet(pictures: Sequence[Picture], components: Sequence[Component], found: Sequence[Looked]) -> bytes:
    """The images, and below them a row of heat maps for each component; PNG bytes."""
    shown = [p for number, p in enumerate(pictures) if p.labels is None or number < N_SHOWN]
    notes = [f"{c.layer} component {c.index}: g {c.factor:.4f}" for c in components]
    rows = [[p.image for p in shown], *(looked.heats for looked in found)]
    return png(contact_sheet(rows, [p.name for p in shown], ["", *notes]))
