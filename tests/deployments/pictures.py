"""A root with a label set of scenes, and the process that makes its pictures."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import numpy as np
import torch

from deployments.inspector.pictures import Pictures, Problem, Want
from stores.artefacts import Recipe, Store
from stores.labels.filling import pixel_digest
from stores.labels.index import LabelIndex
from stores.labels.writer import LabelWriter, ShardRows
from tests.wilss.models.cards import SPEC, student_card
from wilss.data.scenes.source import ScenesSource
from wilss.foundation.zoo import build_grouper, build_scorer
from wilss.measure.columns import COLUMNS
from wilss.models.files import no_weights, save_model
from wilss.nets.segmenter import build_segmenter
from wilss.spec import RunSpec, make_spec

BENCHMARK = {"benchmark": "scenes-15-5", "preset": "tiny"}


def spec_of_scenes() -> RunSpec:
    return make_spec(BENCHMARK)


def publish_scenes(root: Path, count: int = 3, known: bool = True, **recipe: object) -> str:
    """Digest of a set of step 1 whose masks are the truth, but for the first image, whose masks are empty.

    Args:
        known: the set knows its images by their pixels.
    """
    spec = spec_of_scenes()
    source, class_ids = ScenesSource(spec.data.world, spec.data.n_train, spec.data.n_eval), spec.protocol.steps[1]
    ids = [i for i, tags in zip(source.ids("train"), source.tags("train"), strict=True) if set(tags) & set(class_ids)]
    ids, side = ids[:count], spec.data.canvas
    shown = np.stack([source.mask(image_id).numpy() for image_id in ids])
    tags = np.stack([[(mask == c).any() for c in class_ids] for mask in shown])
    names = tuple(source.classes[c - 1] for c in class_ids)
    of = LabelIndex(tuple(ids), names, tags, side, (side // 8, side // 8), ("final",))
    masks = np.stack(
        [(shown[image] == class_ids[channel]) & (image > 0) for image, channel in zip(*of.pairs, strict=True)]
    )
    sizes = np.array([[*mask.shape, *mask.shape] for mask in shown], np.uint32)
    pixels = np.stack([pixel_digest(source.image(i)) if known else np.zeros(4, "<u4") for i in ids])
    models = {"scorer": build_scorer(spec.foundation).digest, "grouper": build_grouper(spec.foundation).digest}
    store, made = Store(root), Recipe("labels", {**models, "known": known, **recipe})
    card = {"format": 2, "benchmark": "scenes-15-5", "step": 1, "class_ids": list(class_ids)}
    with store.build(made) as folder:
        unknown = np.full((of.n_rows, len(COLUMNS)), np.nan, np.float32)
        rows = ShardRows({"final": np.packbits(masks, axis=-1)}, None, unknown, sizes, pixels.astype(np.uint32))
        LabelWriter.begin(folder, of).write(0, rows)
        store.publish(made, folder, {"rows": of.n_rows}, {**card, "spec": spec.model_dump(mode="json")})
    return made.digest


def asked(pictures: Pictures, want: Want) -> Path | Problem:
    """What a page gets."""
    return asyncio.run(pictures.path(want))


def made(pictures: Pictures, want: Want) -> Path:
    """The same, which has to be a file."""
    found = asked(pictures, want)
    assert isinstance(found, Path), found
    return found


def refused(pictures: Pictures, want: Want) -> Problem:
    """The same, which has to be none."""
    found = asked(pictures, want)
    assert isinstance(found, Problem), found
    return found


def republish_with(root: Path, folder: Path, **notes: object) -> str:
    """Digest of a copy of a set whose card says something else."""
    store = Store(root)
    before = store.get("labels", folder.name)
    made_of = Recipe("labels", {**before.recipe, "notes": sorted(notes)})
    with store.build(made_of) as staging:
        shutil.copytree(folder, staging, dirs_exist_ok=True)
        (staging / "manifest.json").unlink()
        store.publish(made_of, staging, before.counts, {**before.notes, **notes})
    return made_of.digest


def publish_student(root: Path) -> str:
    """Digest of a small student of two classes with random weights."""
    weights, made_of = no_weights(SPEC.backbone, student_card().input), Recipe("checkpoints", {"number": 1})
    torch.manual_seed(0)
    network = build_segmenter(SPEC, weights, (2,))
    store = Store(root)
    with store.build(made_of) as folder:
        save_model(network.state_dict(), student_card(), folder)
        store.publish(made_of, folder, {})
    return made_of.digest
