"""Making pictures: all that needs torch, photographs or models; runs in a process of its own (`worker.py`)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from deployments.inspector.looking import affinity, seeds_of, seeds_picture
from deployments.inspector.wants import SetPlaces, Want, stamp
from flows.machine import with_weights
from stores.artefacts import Manifest, Store
from stores.labels.card import LabelCard, read_card
from stores.labels.filling import pixel_digest
from stores.labels.origin import settings_of, source_of, spec_of, words_in
from stores.labels.quality import image_truths
from stores.labels.sets import LabelSet
from wilss.data.images import to_canvas
from wilss.data.palette import Colour, class_look, palette
from wilss.data.source import VOID, Source
from wilss.device import require_device
from wilss.errors import DataError, DataNotFoundError
from wilss.foundation.vocabulary import Words
from wilss.layout import artefact_folder, find_artefact
from wilss.models.model import Model
from wilss.models.predict import predict_image
from wilss.outputs import whole_file
from wilss.report.pictures import to_pil
from wilss.settings import Settings

THUMB = 192
QUALITY = {"image": 95, "thumb": 85}
"""Of JPEGs; colours are kept at every pixel, as edges are what is looked at."""
MOST_OPEN = 4
"""Label sets, sources and models that are kept open, of each kind."""
SLICE = 32
"""Images of a job between two reports of how far it is."""
T = TypeVar("T")


@dataclass(frozen=True)
class Opened:
    """A label set with where its pictures lie."""

    labels: LabelSet
    card: LabelCard
    places: SetPlaces

    @property
    def manifest(self) -> Manifest:
        """Of the set."""
        return self.places.manifest


class Maker:
    """Makes what is wanted and keeps open what it needed.

    Raises WilssError with what to do for what cannot be made.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self.store = settings, Store(settings.root)
        self.device = require_device(settings.device)
        self._held: dict[str, OrderedDict[Hashable, Any]] = {}

    def make(self, want: Want) -> Path:
        """The file that holds what is wanted, of `deployments.inspector.wants.KINDS`."""
        of = self.opened(want.digest)
        paths = of.places.candidates(want)
        if want.kind in ("image", "thumb", "student"):
            image, is_same = self._image(of, want.image)
            path = paths[0] if is_same else paths[-1]
            return self._save(path, self._student(want, image) if want.kind == "student" else _photograph(want, image))
        if want.kind == "truth":
            return self._save(paths[0], self._truth(of, want.image))
        image, _ = self._image(of, want.image)
        if want.kind == "affinity":
            how = self.grouper(of), spec_of(of.card).foundation
            return self._save(paths[0], affinity(image.to(self.device), of.places.pixel(want), *how))
        key = want.digest, of.places.mark, want.image  # all classes of an image are asked for one after the other
        seen = self.held("seeds", key, lambda: seeds_of(self, of, want.image, image))
        return self._save(paths[0], seeds_picture(seen, int(want.value("channel")), image))

    def job(self, want: Want) -> Iterator[tuple[int, int]]:
        """Make one of `deployments.inspector.wants.JOBS`; tells how many images of how many are done."""
        of = self.opened(want.digest)
        path = of.places.candidates(want)[0]
        found: list[NDArray[np.float64]] = [np.zeros(0)]
        for done, part in enumerate(image_truths(self.source(of), of.labels, of.labels.stage), start=1):
            found.append(part)
            if done % SLICE == 0:
                yield done, len(of.labels)
        whole = np.concatenate(found).astype(np.float32)

        def write(partial: Path) -> None:
            with partial.open("wb") as handle:
                np.save(handle, whole)

        self._write(path, write)

    def opened(self, digest: str) -> Opened:
        """A label set by its whole digest."""
        folder = artefact_folder(self.store.root, "labels", digest)

        def make() -> Opened:
            places, labels = SetPlaces(self.store.root, digest), LabelSet.open(folder)
            return Opened(labels, read_card(places.manifest, folder, len(labels.index.classes)), places)

        return self.held("set", (digest, stamp(folder)), make)

    def source(self, of: Opened) -> Source:
        """The images of a set; sets of one run share them."""
        spec = spec_of(of.card)
        custom = spec.custom.model_dump_json() if spec.custom else ""
        key = (spec.protocol.family, spec.data.model_dump_json(), custom, of.card.data_root, of.card.voc_root)
        return self.held("source", key, lambda: source_of(of.card, self.settings))

    def grouper(self, of: Opened) -> Any:
        """The grouper that the set was made with."""
        from wilss.foundation.zoo import build_grouper

        spec, weights = spec_of(of.card).foundation, self._weights(of)
        return self.held("grouper", (spec, weights), lambda: build_grouper(spec, weights, str(self.device)))

    def scorer(self, of: Opened) -> Any:
        """The scorer that the set was made with."""
        from wilss.foundation.zoo import build_scorer

        spec, weights = self.words(of).settings(spec_of(of.card).foundation), self._weights(of)
        facts = spec, weights, str(self.device), lambda: self.grouper(of)
        return self.held("scorer", (spec, weights), lambda: build_scorer(*facts))

    def words(self, of: Opened) -> Words:
        """The words that the set was made with."""
        return words_in(spec_of(of.card), self.source(of))

    def _weights(self, of: Opened) -> Path | None:
        return with_weights(settings_of(of.card, self.settings)).weights

    def held(self, what: str, key: Hashable, make: Callable[[], T]) -> T:
        """What was made for a key, or is made now; the one that was not needed for longest goes."""
        kept = self._held.setdefault(what, OrderedDict())
        if key not in kept:
            kept[key] = make()
        kept.move_to_end(key)
        while len(kept) > MOST_OPEN:
            kept.popitem(last=False)
        return cast(T, kept[key])

    def _image(self, of: Opened, image: int) -> tuple[Tensor, bool]:
        """An image on the canvas, uint8 ``(3, h, w)``; and whether it is the one that the set knows by its digest.

        Raises DataNotFoundError for a photograph that is gone, DataError for one of another shape.
        """
        image_id, size = of.labels.index.ids[image], of.labels.true_size(image)
        shown = to_canvas(
            self._from_source(of, lambda source: source.image(image_id), image_id), of.labels.index.canvas
        )
        if tuple(shown.shape[-2:]) != size:
            raise DataError(
                f"the photograph '{image_id}' has another shape than the one that was labelled ({shown.shape[-2]} x "
                f"{shown.shape[-1]}, was {size[0]} x {size[1]}); put the old one back, or label again (--again labels)"
            )
        return shown, bool(np.array_equal(pixel_digest(shown), of.labels.pixels[image]))

    def _from_source(self, of: Opened, read: Callable[[Source], Tensor], image_id: str) -> Tensor:
        """What a source has of an image of its own; a source that lacks a file is opened again next time."""
        try:
            source = self.source(of)
            ids = self.held("ids", id(source), lambda: (source, {*source.ids("train"), *source.ids("eval")}))
            if image_id not in ids[1]:
                raise DataNotFoundError(f"the data have no image '{image_id:.80}' any more; put it back")
            return read(source)
        except DataNotFoundError:
            self._held.pop("source", None)
            self._held.pop("ids", None)
            raise

    def _truth(self, of: Opened, image: int) -> Image.Image:
        image_id = of.labels.index.ids[image]

        def read(source: Source) -> Tensor:
            if not source.has_mask(image_id):
                raise DataError(f"no true mask of image '{image_id:.80}' is known; there is nothing to compare with")
            return source.mask(image_id)

        whole = self._from_source(of, read, image_id)
        return class_picture(to_canvas(whole[None], of.labels.index.canvas, nearest=True)[0])

    def _student(self, want: Want, image: Tensor) -> Image.Image:
        folder = find_artefact(self.store.root, "checkpoints", want.value("checkpoint"))
        model = self.held("student", (folder, stamp(folder)), lambda: Model.open(folder, self.device))
        return class_picture(predict_image(model.network, model.card, image), model.card.colour_of)

    def _save(self, path: Path, image: Image.Image) -> Path:
        quality = QUALITY.get(path.stem.rpartition("-")[2])
        how: dict[str, Any] = {"quality": quality, "subsampling": 0} if quality else {}
        if "transparency" in image.info:
            how["transparency"] = image.info["transparency"]
        return self._write(path, lambda partial: image.save(partial, "JPEG" if quality else "PNG", **how))

    def _write(self, path: Path, write: Callable[[Path], object]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path, shared=True) as partial:
            write(partial)
        return path


def class_picture(labels_HW: Tensor, own: Mapping[int, Colour] | None = None) -> Image.Image:
    """Class ids uint8 ``(H, W)`` as pages show classes; background is transparent, void grey and half so.

    Args:
        own: colours that the user gave; see `wilss.data.palette.class_look`.
    """
    looks = {class_id: class_look(class_id, own=own).colour for class_id in range(1, VOID)}
    shown = Image.fromarray(np.ascontiguousarray(labels_HW.to(torch.uint8).numpy()), "P")
    shown.putpalette(palette({**looks, VOID: (128, 128, 128)}))
    shown.info["transparency"] = bytes([0, *[255] * (VOID - 1), 128])
    return shown


def _photograph(want: Want, image: Tensor) -> Image.Image:
    shown = to_pil(image)
    if want.kind == "thumb":
        shown.thumbnail((THUMB, THUMB), Image.Resampling.LANCZOS)
    return shown
