"""Masks from files, as a child of their label set: what `stores.labels.export` wrote, corrected by people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, StrictInt
from torch import Tensor

from stores.artefacts import ArtefactRef, Manifest, Store
from stores.labels.card import read_card
from stores.labels.children import make_child
from stores.labels.export import COCO, FORMAT, LAYERS, TABLE
from stores.labels.names import mask_names
from stores.labels.sets import LabelSet
from wilss.data.coco.run_lengths import filled, lengths_of
from wilss.data.files import read_mask
from wilss.errors import DataError, DataNotFoundError
from wilss.outside import checked, read_json, require_format
from wilss.report.pictures import flatten_layers

JSON_BYTES = 1 << 30
ADVICE = "write it with 'wilss labels export' and change the masks alone"
Masks = NDArray[np.uint8]
Id = Annotated[int, Field(ge=0, lt=2**53)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Class(_Model):
    id: Id
    name: str


class _Image(_Model):
    id: str
    file: str
    layers: bool = False


class _Table(_Model):
    classes: tuple[_Class, ...]
    images: tuple[_Image, ...]


class _CocoImage(_Model):
    id: Id
    file_name: str
    height: Annotated[int, Field(ge=1, le=2**20)]
    width: Annotated[int, Field(ge=1, le=2**20)]


class _Runs(_Model):
    size: tuple[StrictInt, StrictInt]
    counts: str | tuple[StrictInt, ...]


class _Annotation(_Model):
    image_id: Id
    category_id: Id
    segmentation: _Runs


class _Coco(_Model):
    categories: tuple[_Class, ...]
    images: tuple[_CocoImage, ...]
    annotations: tuple[_Annotation, ...]


@dataclass(frozen=True)
class _Found:
    """Masks of a folder: ids of the images that have some, and what gives an image's, at its own size ``(C, H, W)``."""

    ids: Sequence[str]
    masks: Callable[[str], Masks]


def import_labels(folder: Path, parent: str, root: Path) -> Manifest:
    """Publish the masks of a folder as a child of the label set ``parent``; images without masks have no row in it.

    The folder holds what an export wrote, or plain ``ID.png`` files of class ids. The same masks give the same set.

    Raises DataNotFoundError for a folder without masks, DataError for masks that are not of the parent's images,
    classes and sizes, FormatError for JSON that cannot be read.
    """
    store = Store(root)
    manifest = store.get("labels", parent)
    path = store.path("labels", manifest.digest)
    labels = LabelSet.open(path)
    class_ids = read_card(manifest, path, len(labels.index.classes)).class_ids
    found = (_coco if (folder / COCO).exists() else _palette)(folder, labels, class_ids)

    def correct(image_id: str, before: Tensor) -> Tensor:
        return _on_canvas(found.masks(image_id), labels, image_id)

    for image_id in found.ids:
        labels.position(image_id)
    return make_child(store, ArtefactRef(kind="labels", digest=manifest.digest), found.ids, correct)


def _on_canvas(masks: Masks, labels: LabelSet, image_id: str) -> Tensor:
    image, canvas = labels.position(image_id), labels.index.canvas
    size, original = labels.true_size(image), labels.original_size(image)
    if masks.shape[1:] != original:
        seen, wanted = (f"{h} x {w}" for h, w in (masks.shape[1:], original))
        raise DataError(
            f"the mask of image '{image_id}' is {seen}, the image is {wanted}; write it in the image's size"
        )
    small = F.interpolate(torch.from_numpy(masks)[None], size, mode="nearest-exact")[0]
    return F.pad(small, (0, canvas - size[1], 0, canvas - size[0]))


def _palette(folder: Path, labels: LabelSet, class_ids: tuple[int, ...]) -> _Found:
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

    return _Found(list(table), masks)


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
    _require_once(path, [image.id for image in table.images])
    return {image.id: image for image in table.images}


def _named(folder: Path, labels: LabelSet) -> dict[str, _Image]:
    """Files by the names that an export would have given; others are no masks of the set."""
    there = {path.name for path in folder.glob("*.png")} if folder.is_dir() else set()
    if not there:
        raise DataNotFoundError(f"'{folder}' has neither {TABLE} nor {COCO} nor any PNG file; name a folder of masks")
    names = {f"{name}.png": i for name, i in zip(mask_names(labels.index.ids), labels.index.ids, strict=True)}
    odd = sorted(there - set(names))
    if odd:
        raise DataError(
            f"'{folder / odd[0]}' is the mask of no image of the label set, as are {len(odd)} of {len(there)} files; "
            "take them out, or name them as the images are"
        )
    return {image_id: _Image(id=image_id, file=name) for name, image_id in names.items() if name in there}


def _coco(folder: Path, labels: LabelSet, class_ids: tuple[int, ...]) -> _Found:
    path = folder / COCO
    content = checked(_Coco, read_json(path, ADVICE, JSON_BYTES), path, ADVICE)
    _require_classes(path, content.categories, labels, class_ids)
    _require_once(path, [image.file_name for image in content.images])
    _require_once(path, [str(image.id) for image in content.images])
    channel, of = {class_id: k for k, class_id in enumerate(class_ids)}, {image.id: image for image in content.images}
    rows: dict[str, list[_Annotation]] = {image.file_name: [] for image in content.images}
    for annotation in content.annotations:
        if annotation.image_id not in of or annotation.category_id not in channel:
            seen = f"image {annotation.image_id} and category {annotation.category_id}"
            raise DataError(f"'{path}' has an annotation of {seen}, which it does not list; {ADVICE}")
        rows[of[annotation.image_id].file_name].append(annotation)
    sizes = {image.file_name: (image.height, image.width) for image in content.images}

    def masks(image_id: str) -> Masks:
        whole = np.zeros((len(class_ids), *sizes[image_id]), np.uint8)
        for row in rows[image_id]:
            runs = row.segmentation
            lengths = lengths_of(runs.counts, runs.size) if tuple(runs.size) == sizes[image_id] else None
            if lengths is None:
                raise DataError(f"'{path}' has run lengths of image '{image_id}' that do not fill it; {ADVICE}")
            whole[channel[row.category_id]] |= filled(lengths, runs.size)
        return whole

    return _Found(list(rows), masks)


def _require_classes(path: Path, classes: Sequence[_Class], labels: LabelSet, class_ids: tuple[int, ...]) -> None:
    wanted, seen = dict(zip(class_ids, labels.index.classes, strict=True)), {one.id: one.name for one in classes}
    if seen != wanted:
        raise DataError(f"'{path}' has the classes {seen!s:.200}, the label set {wanted!s:.200}; name another parent")


def _require_once(path: Path, ids: Sequence[Any]) -> None:
    if len(set(ids)) != len(ids):
        twice = next(one for k, one in enumerate(ids) if one in ids[:k])
        raise DataError(f"'{path}' lists image '{twice!s:.100}' twice; take one out")


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"'{folder / TABLE}' names '{name:.100}', which is not in its folder; {ADVICE}")
    return path
