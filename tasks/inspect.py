"""Looking at what is stored: contact sheets, exports and predictions. Plain functions for the command line."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import BaseModel
from torch import Tensor

from stores.artefacts import Manifest, Store
from stores.checkpoints import CheckpointIndex, load_checkpoint
from stores.labels import LabelSet
from tasks.workspace import Workspace, open_workspace, require_device, start_folder
from wilss.architecture import Count
from wilss.data.augment import normalise
from wilss.data.files import read_rgb
from wilss.data.images import to_canvas
from wilss.data.voc import save_palette_png
from wilss.errors import DataError, FormatError, SpecError, did_you_mean
from wilss.measure.render import colour, contact_sheet, flatten_layers, overlay, to_pil
from wilss.nets.segmenter import Segmenter
from wilss.outputs import writable_folder
from wilss.outside import checked
from wilss.spec import RunSpec, Settings, make_spec

STAGE_TITLES = {"final": "teacher"}
AGAIN = "delete its folder and run again"


class LabelNotes(BaseModel):
    """What the manifest of a label set says beside its recipe; other notes are passed over."""

    spec: dict[str, Any]
    class_ids: tuple[Count, ...]
    data_root: Path | None = None
    voc_root: Path | None = None


def show_labels(digest: str, image_id: str | None, out: Path | None, count: int, settings: Settings) -> Path:
    """Write a contact sheet of a label set, its parent and its teacher's masks; returns the path of the PNG.

    Rows are sorted by agreement of scorer and grouper, lowest first; ``image_id`` picks one image instead.
    """
    store = Store(settings.root)
    manifest = store.get("labels", digest)
    sets = [LabelSet.open(store.path("labels", m.digest)) for m in family(store, manifest)]
    notes = _notes(manifest, sets[0], store.path("labels", manifest.digest))
    rows = [sets[0].position(image_id)] if image_id else sets[0].agreement().nan_to_num(2.0).argsort()[:count].tolist()
    ws = open_workspace(_without_networks(_spec_of(notes)), _with_data(settings, notes))
    out = out or settings.root / "sheets" / f"{manifest.digest[:12]}{'-' + Path(image_id).name if image_id else ''}.png"
    writable_folder(out.parent)
    sheet(ws, sets, rows, notes.class_ids).save(out)
    return out


def _spec_of(notes: LabelNotes) -> RunSpec:
    """What the run of a label set says of its data; what it trained, and how, may be refused by now."""
    trained = ("method", "step", "fmwiss", "wilson")
    return make_spec({key: value for key, value in notes.spec.items() if key not in trained})


def family(store: Store, manifest: Manifest) -> list[Manifest]:
    """The co-segmented label set and the teacher's sets made from it, when the manifest is one of them."""
    first = store.get("labels", manifest.parents["parent"]) if "parent" in manifest.parents else manifest
    teachers = [m for m in store.all("labels") if m.parents.get("parent") == first.digest]
    chosen = [manifest] if manifest in teachers else teachers[-1:]
    return [first, *chosen]


def sheet(ws: Workspace, sets: Sequence[LabelSet], rows: Sequence[int], class_ids: tuple[int, ...]):  # type: ignore[no-untyped-def]
    """Contact sheet: image, truth where known, and every stage of the sets."""
    stages = [(labels, stage) for labels in sets for stage in labels.index.stages]
    agreement = sets[0].agreement()
    pictures, notes = [], []
    for row in rows:
        image_id = sets[0].index.ids[row]
        height, width = sets[0].true_size(row)
        image = to_canvas(ws.source.image(image_id), sets[0].index.canvas)
        shown = [image, truth_picture(ws, image_id, image)]
        for labels, stage in stages:
            layers = labels.read(stage, row, row + 1)[0, :, :height, :width]
            shown.append(overlay(image, flatten_layers(layers, class_ids)))
        tags = [n for n, tagged in zip(sets[0].index.classes, sets[0].index.tags[row], strict=True) if tagged]
        pictures.append(shown)
        notes.append(f"{image_id}: {', '.join(tags)}; agreement {float(agreement[row]):.2f}")
    titles = ["image", "truth", *(STAGE_TITLES.get(stage, stage) for _, stage in stages)]
    return contact_sheet(pictures, titles, notes)


def truth_picture(ws: Workspace, image_id: str, image: Tensor) -> Tensor:
    """The true mask in class colours at the size of ``image``, or plain grey for an image without one."""
    if not ws.source.has_mask(image_id):
        return torch.full_like(image, 200)
    mask = ws.source.mask(image_id)[None, None].float()
    return colour(F.interpolate(mask, image.shape[-2:], mode="nearest-exact")[0, 0].to(torch.uint8))


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
    names = _file_names(labels.index.ids)
    writable_folder(to)
    class_ids = _notes(manifest, labels, folder).class_ids
    for shard in range(labels.index.n_shards):
        rows = labels.index.rows(shard)
        layers = labels.read(chosen, rows.start, rows.stop)
        for layer, row in zip(layers, rows, strict=True):
            (height, width), original = labels.true_size(row), labels.original_size(row)
            flat = flatten_layers(layer[:, :height, :width], class_ids)
            large = F.interpolate(flat[None, None].float(), original, mode="nearest-exact")[0, 0]
            save_palette_png(large.to(torch.uint8), to / f"{names[row]}.png")
    return len(labels)


@torch.inference_mode()
def predict_files(
    checkpoint: str, images: Sequence[Path], out: Path, root: Path, device: str = "auto"
) -> Iterator[Path]:
    """Segment image files: ``NAME.png`` holds class ids in VOC colours, ``NAME-overlay.png`` is for looking at.

    Args:
        checkpoint: digest (or its first digits) in the store, or a checkpoint folder.
    """
    if not images:
        raise SpecError("no image given; name at least one image file after the checkpoint")
    place = require_device(device)
    model, index = load_checkpoint(start_folder(checkpoint, Store(root)))
    model.to(place)
    names = [path.stem for path in images]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated:
        raise DataError(f"two images are called '{repeated}'; their results would overwrite each other, rename one")
    decoded = [read_rgb(path) for path in images]  # all of them first: a broken file must leave nothing behind
    writable_folder(out)
    for name, image in zip(names, decoded, strict=True):
        labels = predict_image(model, index, image)
        save_palette_png(labels, out / f"{name}.png")
        to_pil(overlay(image, labels)).save(out / f"{name}-overlay.png")
        yield out / f"{name}.png"


def predict_image(model: Segmenter, index: CheckpointIndex, image_3HW: Tensor) -> Tensor:
    """Class ids uint8 ``(H, W)`` of one uint8 image, at its own size."""
    device = next(model.parameters()).device
    small = to_canvas(image_3HW, index.canvas)
    logits = model(normalise(small[None].float() / 255, index.mean, index.std).to(device))
    large = F.interpolate(logits.float(), image_3HW.shape[-2:], mode="bilinear", align_corners=False)
    return torch.tensor([0, *index.class_ids], dtype=torch.uint8)[large.argmax(1)[0].cpu()]


def _file_names(image_ids: Sequence[str]) -> list[str]:
    """A file name for each image; those that would overwrite each other get a number."""
    names: dict[str, None] = {}
    for name in map(safe_name, image_ids):
        numbered = itertools.chain([name], (f"{name}-{k}" for k in itertools.count(2)))
        names[next(one for one in numbered if one not in names)] = None
    return list(names)


def safe_name(image_id: str) -> str:
    """A file name for an image id that cannot leave its folder."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in image_id).lstrip(".") or "_"


def _notes(manifest: Manifest, labels: LabelSet, folder: Path) -> LabelNotes:
    """Raises FormatError for notes that are missing or not of this label set."""
    notes = checked(LabelNotes, manifest.notes, folder / "manifest.json", AGAIN)
    if len(notes.class_ids) != len(labels.index.classes):
        raise FormatError(
            f"'{folder / 'manifest.json'}' is damaged ({len(notes.class_ids)} class ids for "
            f"{len(labels.index.classes)} classes); {AGAIN}"
        )
    return notes


def _without_networks(spec: RunSpec) -> RunSpec:
    """To look at images no network is needed, nor any file of one that the notes name."""
    return spec.model_copy(
        update={"start": None, "student": spec.student.model_copy(update={"weights": "none"})},
    )


def _with_data(settings: Settings, notes: LabelNotes) -> Settings:
    """Look for the data where they were when the set was made, unless the user says otherwise."""
    noted = {"data": notes.data_root, "voc": notes.voc_root}
    found = {key: path for key, path in noted.items() if path and getattr(settings, key) is None}
    return settings.model_copy(update=found)
