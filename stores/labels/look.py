"""Looking at label sets: contact sheets of images, truth and masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from stores.artefacts import Manifest, Store
from stores.labels.card import LabelCard, read_card
from stores.labels.sets import LabelSet
from stores.labels.stats import Stats, label_stats, worst_images
from wilss.data.families import open_source
from wilss.data.images import to_canvas
from wilss.data.source import Source
from wilss.errors import DataError, DataNotFoundError, SpecError
from wilss.learn.methods import METHODS
from wilss.outputs import picture_path, safe_name, writable_folder
from wilss.report.pictures import colour, contact_sheet, flatten_layers, overlay
from wilss.settings import Settings
from wilss.spec import RunSpec, make_spec

STAGE_TITLES = {"final": "teacher"}


def show_labels(digest: str, image_id: str | None, out: Path | None, count: int, settings: Settings) -> Path:
    """Write a contact sheet of a label set, its parent and its teacher's masks; returns the path of the PNG.

    Images are sorted by their worst mask (`stores.labels.stats.WORST`); ``image_id`` picks one instead.
    """
    store = Store(settings.root)
    manifest = store.get("labels", digest)
    sets = [LabelSet.open(store.path("labels", m.digest)) for m in family(store, manifest)]
    card = read_card(manifest, store.path("labels", manifest.digest), len(sets[0].index.classes))
    rows = [sets[0].position(image_id)] if image_id else worst_images(sets[0])[:count].tolist()
    source = _source_of(card, settings)
    name = f"{manifest.digest[:12]}{'-' + safe_name(image_id) if image_id else ''}.png"
    out = picture_path(out, settings.root / "sheets" / name)
    writable_folder(out.parent)
    sheet(source, sets, rows, card.class_ids).save(out)
    return out


def stats_of(digest: str, worst: int, settings: Settings) -> Stats:
    """Numbers of a label set; IoU is left out where the images or their true masks are not at hand."""
    store = Store(settings.root)
    manifest = store.get("labels", digest)
    folder = store.path("labels", manifest.digest)
    labels = LabelSet.open(folder)
    try:
        source = _source_of(read_card(manifest, folder, len(labels.index.classes)), settings)
    except (DataError, DataNotFoundError, SpecError):
        source = None
    return label_stats(labels, source, worst)


def family(store: Store, manifest: Manifest) -> list[Manifest]:
    """The co-segmented label set and the teacher's sets made from it, when the manifest is one of them."""
    is_teacher = "teacher" in manifest.parents and "parent" in manifest.parents
    first = store.get("labels", manifest.parents["parent"]) if is_teacher else manifest
    teachers = [m for m in store.all("labels") if "teacher" in m.parents and m.parents.get("parent") == first.digest]
    chosen = [manifest] if manifest in teachers else teachers[-1:]
    return [first, *chosen]


def sheet(source: Source, sets: Sequence[LabelSet], rows: Sequence[int], class_ids: tuple[int, ...]) -> Image.Image:
    """Contact sheet: image, truth where known, and every stage of the sets, grey where a set lacks the image.

    Args:
        rows: of the first set.
    """
    stages = [(labels, stage) for labels in sets for stage in labels.index.stages]
    agreement = sets[0].agreement()
    pictures, notes = [], []
    for row in rows:
        image_id = sets[0].index.ids[row]
        height, width = sets[0].true_size(row)
        image = to_canvas(source.image(image_id), sets[0].index.canvas)
        shown = [image, truth_picture(source, image_id, image)]
        for labels, stage in stages:
            own = labels.rows.get(image_id)
            if own is None:
                shown.append(torch.full_like(image, 200))
                continue
            layers = labels.read(stage, own, own + 1)[0, :, :height, :width]
            shown.append(overlay(image, flatten_layers(layers, class_ids)))
        pictures.append(shown)
        notes.append(f"{image_id}: {', '.join(sets[0].index.tagged(row))}; agreement {float(agreement[row]):.2f}")
    titles = ["image", "truth", *(STAGE_TITLES.get(stage, stage) for _, stage in stages)]
    return contact_sheet(pictures, titles, notes)


def truth_picture(source: Source, image_id: str, image: Tensor) -> Tensor:
    """The true mask in class colours at the size of ``image``, or plain grey for an image without one."""
    if not source.has_mask(image_id):
        return torch.full_like(image, 200)
    mask = source.mask(image_id)[None, None].float()
    return colour(F.interpolate(mask, image.shape[-2:], mode="nearest-exact")[0, 0].to(torch.uint8))


def _source_of(card: LabelCard, settings: Settings) -> Source:
    """The images of a label set: where they were when it was made, unless the user says otherwise."""
    spec = _spec_of(card)
    noted = {"data": card.data_root, "voc": card.voc_root}
    found = {key: path for key, path in noted.items() if path and getattr(settings, key) is None}
    protocol, settings = spec.protocol, settings.model_copy(update=found)
    return open_source(protocol.family, spec.data, settings, protocol.steps[0], spec.custom)


def _spec_of(card: LabelCard) -> RunSpec:
    """What the run of a label set says of its data; what it trained, and how, may be refused by now."""
    trained = {"method", "step", "own", *METHODS}
    return make_spec({key: value for key, value in card.spec.items() if key not in trained})
