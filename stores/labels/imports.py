"""Masks from files, as a child of their label set: what `stores.labels.export` wrote, corrected by people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stores.artefacts import ArtefactRef, Manifest, Store
from stores.labels.card import read_card
from stores.labels.children import make_child
from stores.labels.coco import COCO, FROM_CVAT, Category, read_coco
from stores.labels.cvat import CVAT, read_cvat
from stores.labels.exchange import ADVICE, JSON_BYTES, Foreign, Found, Masks, require_once, require_size
from stores.labels.export import FORMAT, LAYERS, TABLE
from stores.labels.label_studio import TASKS, read_label_studio
from stores.labels.names import mask_names
from stores.labels.sets import LabelSet
from wilss.data.files import read_mask
from wilss.errors import DataError, DataNotFoundError
from wilss.outside import checked, read_json, require_format
from wilss.report.pictures import flatten_layers

FILES = (COCO, FROM_CVAT, CVAT, TASKS)
"""What a folder is looked through for, before palette PNGs."""


class _Image(Foreign):
    id: str
    file: str
    layers: bool = False


class _Table(Foreign):
    classes: tuple[Category, ...]
    images: tuple[_Image, ...]


def import_labels(folder: Path, parent: str, root: Path) -> Manifest:
    """Publish the masks of a folder as a child of the label set ``parent``; images without masks have no row in it.

    The folder holds what an export wrote, or plain ``ID.png`` files of class ids; a file is COCO's JSON, CVAT's XML or
    Label Studio's JSON. The same masks give the same set.

    Raises DataNotFoundError for a folder without masks, DataError for masks that are not of the parent's images,
    classes and sizes, FormatError for JSON that cannot be read.
    """
    store = Store(root)
    manifest = store.get("labels", parent)
    path = store.path("labels", manifest.digest)
    labels = LabelSet.open(path)
    class_ids = read_card(manifest, path, len(labels.index.classes)).class_ids
    found = _found(folder, labels, class_ids)

    def correct(image_id: str, before: Tensor) -> Tensor:
        return _on_canvas(found.masks(image_id), labels, image_id)

    if not found.ids:
        raise DataNotFoundError(f"'{folder}' has masks of no image; name what an export wrote, with the masks in it")
    ids = sorted(found.ids, key=labels.position)  # whatever order another tool put them in
    return make_child(store, ArtefactRef(kind="labels", digest=manifest.digest), ids, correct)


def _found(folder: Path, labels: LabelSet, class_ids: tuple[int, ...]) -> Found:
    """What a folder or a file holds: its name tells XML from JSON, and JSON's tasks are a list."""
    path = folder if folder.is_file() else next((folder / name for name in FILES if (folder / name).exists()), None)
    if path is None:
        return _palette(folder, labels, class_ids)
    if path.suffix.lower() == ".xml":
        return read_cvat(path, labels)
    if path.suffix.lower() != ".json":
        raise DataError(f"'{path}' is neither .json nor .xml; name a folder of masks, or a file of one of these")
    content = read_json(path, ADVICE, JSON_BYTES)
    return (read_label_studio if isinstance(content, list) else read_coco)(path, content, labels)


def _on_canvas(masks: Masks, labels: LabelSet, image_id: str) -> Tensor:
    image, canvas = labels.position(image_id), labels.index.canvas
    size = labels.true_size(image)
    require_size(masks.shape[1:], labels, image_id)
    small = F.interpolate(torch.from_numpy(masks)[None], size, mode="nearest-exact")[0]
    return F.pad(small, (0, canvas - size[1], 0, canvas - size[0]))


def _palette(folder: Path, labels: LabelSet, class_ids: tuple[int, ...]) -> Found:
    table = _read_table(folder, labels, class_ids) if (folder / TABLE).exists() else _named(folder, labels)

    def masks(image_id: str) -> Masks:
        entry = table[image_id]
        flat = read_mask(_inside(folder, entry.file)).numpy()
        odd = sorted({*np.unique(flat).tolist()} - {0, *class_ids})
        if odd:
            raise DataError(
                f"mask '{folder / entry.file}' holds the value {odd[0]}; a label set of "
                f"{', '.join(labels.index.classes)} has 0 (background) and {', '.join(map(str, class_ids))}. Paint it "
                "with one of them"
            )
        whole = flat[None] == np.array(class_ids)[:, None, None]
        return _layers(folder, entry, flat, class_ids, labels) if entry.layers else whole.astype(np.uint8)

    return Found(list(table), masks)


def _layers(folder: Path, entry: _Image, flat: Masks, class_ids: tuple[int, ...], labels: LabelSet) -> Masks:
    """Masks that overlap, a file each; the map of all of them is only looked at."""
    masks = np.zeros((len(class_ids), *flat.shape), np.uint8)
    tagged = labels.index.tags[labels.position(entry.id)].nonzero()[0]
    for channel in tagged:
        path = _inside(folder, f"{LAYERS}/{Path(entry.file).stem}.{class_ids[channel]}.png")
        layer = read_mask(path).numpy()
        if layer.shape != flat.shape or not {*np.unique(layer).tolist()} <= {0, class_ids[channel]}:
            raise DataError(
                f"'{path}' is another size than '{entry.file}', or holds more than {class_ids[channel]}; {ADVICE}"
            )
        masks[channel] = layer > 0
    own = [class_ids[channel] for channel in tagged]
    if not np.array_equal(flatten_layers(torch.from_numpy(masks[tagged]), own).numpy(), flat):
        raise DataError(
            f"'{folder / entry.file}' is not what its masks in '{LAYERS}' make, which overlap; change those too, or "
            f'say "layers": false of the image in {TABLE} to take the map alone'
        )
    return masks


def _read_table(folder: Path, labels: LabelSet, class_ids: tuple[int, ...]) -> dict[str, _Image]:
    path = folder / TABLE
    content = read_json(path, ADVICE, JSON_BYTES)
    require_format(content, path, FORMAT)
    table = checked(_Table, content, path, ADVICE)
    _require_classes(path, table.classes, labels, class_ids)
    require_once(path, [image.id for image in table.images])
    return {image.id: image for image in table.images}


def _named(folder: Path, labels: LabelSet) -> dict[str, _Image]:
    """Files by the names that an export would have given; others are no masks of the set."""
    there = {path.name for path in folder.glob("*.png")} if folder.is_dir() else set()
    if not there:
        raise DataNotFoundError(
            f"'{folder}' has neither {TABLE} nor {', '.join(FILES)}, nor any PNG file; name a folder of masks, or a "
            ".json or .xml file"
        )
    names = {f"{name}.png": i for name, i in zip(mask_names(labels.index.ids), labels.index.ids, strict=True)}
    odd = sorted(there - set(names))
    if odd:
        raise DataError(
            f"'{folder / odd[0]}' is the mask of no image of the label set, as are {len(odd)} of {len(there)} files; "
            "take them out, or name them as the images are"
        )
    return {image_id: _Image(id=image_id, file=name) for name, image_id in names.items() if name in there}


def _require_classes(path: Path, classes: Sequence[Category], labels: LabelSet, class_ids: tuple[int, ...]) -> None:
    wanted, seen = dict(zip(class_ids, labels.index.classes, strict=True)), {one.id: one.name for one in classes}
    if seen != wanted:
        raise DataError(f"'{path}' has the classes {seen!s:.200}, the label set {wanted!s:.200}; name another parent")


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"'{folder / TABLE}' names '{name:.100}', which is not in its folder; {ADVICE}")
    return path
