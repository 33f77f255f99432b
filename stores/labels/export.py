"""Label sets as palette PNGs."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F

from stores.artefacts import Store
from stores.labels.card import read_card
from stores.labels.quality import parts_of
from stores.labels.sets import LabelSet
from wilss.data.voc import save_palette_png
from wilss.errors import SpecError, did_you_mean
from wilss.outputs import file_names, writable_folder
from wilss.report.pictures import flatten_layers


def export_labels(digest: str, to: Path, stage: str | None, root: Path) -> int:
    """Write one palette PNG per image, named by its id (see `safe_name`), at the image's own size; returns how many.

    Overlapping masks are flattened, the smaller one on top. Raises SpecError for a stage the set does not have.
    """
    store = Store(root)
    manifest = store.get("labels", digest)
    folder = store.path("labels", manifest.digest)
    labels = LabelSet.open(folder)
    chosen = stage or labels.index.stages[-1]
    if chosen not in labels.index.stages:
        raise SpecError(
            f"label set {manifest.digest[:12]} has no stage '{chosen}'.{did_you_mean(chosen, labels.index.stages)}"
        )
    names = file_names(labels.index.ids)
    writable_folder(to)
    class_ids = read_card(manifest, folder, len(labels.index.classes)).class_ids
    for rows in parts_of(labels.index):
        for layer, row in zip(labels.read(chosen, rows.start, rows.stop), rows, strict=True):
            (height, width), original = labels.true_size(row), labels.original_size(row)
            flat = flatten_layers(layer[:, :height, :width], class_ids)
            large = F.interpolate(flat[None, None].float(), original, mode="nearest-exact")[0, 0]
            save_palette_png(large.to(torch.uint8), to / f"{names[row]}.png")
    return len(labels)
