"""Looking at label sets: contact sheets of images, truth and masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from torch import Tensor

from stores.artefacts import Store
from stores.labels.card import read_card
from stores.labels.origin import family, source_of
from stores.labels.sets import LabelSet
from stores.labels.stats import Stats, label_stats, worst_images
from wilss.data.images import to_canvas
from wilss.data.source import Source
from wilss.errors import DataError, DataNotFoundError, SpecError
from wilss.outputs import picture_path, safe_name, writable_folder
from wilss.report.pictures import View, flatten_layers
from wilss.report.sheets import contact_sheet
from wilss.settings import Settings

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
    source = source_of(card, settings)
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
        source = source_of(read_card(manifest, folder, len(labels.index.classes)), settings)
    except (DataError, DataNotFoundError, SpecError):
        source = None
    return label_stats(labels, source, worst)


@dataclass(frozen=True)
class Looked:
    """Images of label sets in several views: one row an image, one column a view, and a line for each row.

    names: of the class ids, for a legend.
    """

    titles: tuple[str, ...]
    rows: tuple[tuple[View, ...], ...]
    notes: tuple[str, ...]
    names: dict[int, str]


def sheet(source: Source, sets: Sequence[LabelSet], rows: Sequence[int], class_ids: tuple[int, ...]) -> Image.Image:
    """Contact sheet of `look_at`."""
    looked = look_at(source, sets, rows, class_ids)
    return contact_sheet(looked.rows, looked.titles, looked.notes, looked.names)


def look_at(source: Source, sets: Sequence[LabelSet], rows: Sequence[int], class_ids: tuple[int, ...]) -> Looked:
    """Image, truth where known, and every stage of the sets; nothing where a set lacks the image.

    Args:
        rows: of the first set. class_ids: of its classes.
    """
    stages = [(labels, stage) for labels in sets for stage in labels.index.stages]
    agreement, known = sets[0].agreement(), known_names(source)
    views, notes = [], []
    for row in rows:
        image_id = sets[0].index.ids[row]
        image = to_canvas(source.image(image_id), sets[0].index.canvas)
        masks = [_masks(labels, stage, image_id, image, class_ids) for labels, stage in stages]
        views.append((View(image), truth_view(source, image_id, image), *masks))
        notes.append(f"{image_id}: {', '.join(sets[0].index.tagged(row))}; agreement {float(agreement[row]):.2f}")
    titles = ("image", "truth", *(STAGE_TITLES.get(stage, stage) for _, stage in stages))
    names = known | dict(zip(class_ids, sets[0].index.classes, strict=True))
    return Looked(titles, tuple(views), tuple(notes), names)


def _masks(labels: LabelSet, stage: str, image_id: str, image: Tensor, class_ids: tuple[int, ...]) -> View:
    """All masks of an image at one stage of a set."""
    row = labels.rows.get(image_id)
    if row is None:
        return View()
    height, width = labels.true_size(row)
    layers = labels.read(stage, row, row + 1)[0, :, :height, :width]
    return View(image, flatten_layers(layers, class_ids))


def truth_view(source: Source, image_id: str, image: Tensor) -> View:
    """The true mask over its image; nothing for an image without one."""
    return View(image, source.mask(image_id)) if source.has_mask(image_id) else View()


def known_names(source: Source) -> dict[int, str]:
    """Class id -> name, of all classes that true masks may hold."""
    return dict(enumerate(source.classes, start=1))
