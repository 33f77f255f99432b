"""Label sets as files of other tools: palette PNGs, COCO's JSON, CVAT's XML, tasks of Label Studio."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch

from stores.artefacts import Store
from stores.labels.card import read_card
from stores.labels.coco import COCO, write_coco
from stores.labels.cvat import CVAT, write_cvat
from stores.labels.exchange import Outgoing, file_names_in, suffixed, write_json
from stores.labels.label_studio import CONFIG, TASKS, write_label_studio
from stores.labels.names import mask_names, require_absent
from stores.labels.sets import LabelSet
from wilss.data.voc import save_palette_png
from wilss.errors import SpecError, did_you_mean
from wilss.outputs import whole_file, writable_folder
from wilss.report.pictures import flatten_layers

Format = Literal["palette", "coco", "cvat", "label-studio"]
TABLE = "labels.json"
LAYERS = "layers"
FORMAT = 1


def export_labels(
    digest: str, to: Path, stage: str | None, root: Path, form: Format = "palette", images: Path | None = None
) -> int:
    """Write a label set's masks at the images' own size into a folder; returns how many images they are of.

    "palette": ``NAME.png`` for each image, values are class ids, the smaller of two overlapping masks on top, and for
    an image whose masks overlap ``layers/NAME.ID.png`` for each of its classes; ``labels.json`` tells which image has
    which name. "coco": ``instances.json``. "cvat": ``annotations.xml``. "label-studio": ``tasks.json`` and
    ``labeling.xml``. `stores.labels.imports.import_labels` takes any of them back.

    Args:
        images: folder of the images, for forms that name their files; without it the names are ids, with ".jpg" behind
            them where the tool cuts suffixes off.

    Raises SpecError for a stage the set does not have, and where a file of one of the names is there; DataError for an
    image that is not in ``images``.
    """
    store = Store(root)
    manifest = store.get("labels", digest)
    folder = store.path("labels", manifest.digest)
    labels = LabelSet.open(folder)
    chosen = stage or labels.stage
    if chosen not in labels.index.stages:
        raise SpecError(
            f"label set {manifest.digest[:12]} has no stage '{chosen}'.{did_you_mean(chosen, labels.index.stages)}"
        )
    class_ids = read_card(manifest, folder, len(labels.index.classes)).class_ids
    writer, files = _WRITERS[form]
    of = Outgoing(labels, chosen, class_ids, _names(labels, form, images))
    require_absent(writable_folder(to), files or [TABLE, LAYERS, *(f"{name}.png" for name in of.names)])
    writer(of, to)
    return len(labels)


def _names(labels: LabelSet, form: Format, images: Path | None) -> list[str]:
    if form == "palette":
        if images is not None:
            others = ", ".join(get_args(Format)[1:])
            raise SpecError(f"palette PNGs are named by id, not by the files in '{images}'; leave --images to {others}")
        return mask_names(labels.index.ids)
    if images is not None:
        return file_names_in(images, labels)
    return list(labels.index.ids) if form == "coco" else suffixed(labels)


def _write_palette(of: Outgoing, to: Path) -> None:
    layered = set()
    for image, masks, channels in of.rows():
        own = [of.class_ids[channel] for channel in channels]
        _save(flatten_layers(torch.from_numpy(masks), own), to / f"{of.names[image]}.png")
        if masks.sum(0, dtype=np.uint8).max(initial=0) > 1:
            layered.add(image)
            (to / LAYERS).mkdir(exist_ok=True)
            for mask, class_id in zip(masks, own, strict=True):
                _save(torch.from_numpy(mask * np.uint8(class_id)), to / LAYERS / f"{of.names[image]}.{class_id}.png")
    write_json(to / TABLE, _table(of, layered))


def _save(mask: torch.Tensor, path: Path) -> None:
    with whole_file(path) as partial:
        with_suffix = partial.with_name(f"{partial.name}.png")  # Pillow goes by it
        save_palette_png(mask, with_suffix)
        with_suffix.replace(partial)


def _table(of: Outgoing, layered: set[int]) -> dict[str, Any]:
    images = [
        {"id": image_id, "file": f"{name}.png", "layers": image in layered}
        for image, (image_id, name) in enumerate(zip(of.labels.index.ids, of.names, strict=True))
    ]
    classes = [{"id": i, "name": name} for i, name in zip(of.class_ids, of.labels.index.classes, strict=True)]
    return {"format": FORMAT, "classes": classes, "images": images}


_WRITERS: dict[Format, tuple[Callable[[Outgoing, Path], None], list[str]]] = {
    "palette": (_write_palette, []),  # its files have the names of the images
    "coco": (write_coco, [COCO]),
    "cvat": (write_cvat, [CVAT]),
    "label-studio": (write_label_studio, [TASKS, CONFIG]),
}
"""Form -> what writes it, and the files that it writes."""
