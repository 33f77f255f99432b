"""Images and masks that lie in two folders, looked at once and read in one way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wilss.data.colours import ColourTable, table_of_masks
from wilss.data.files import decoding, missing, opened, read_rgb
from wilss.data.findings import Finding
from wilss.data.index import FileIndex
from wilss.data.looks import Looks, MaskLook, in_threads
from wilss.data.mask_pixels import decode_mask
from wilss.data.mask_reading import Drawn, Reading, lies_on, reading_of, turned
from wilss.data.rules import BINARY, Pair, binary_masks, mask_findings, pair_findings
from wilss.data.source import VOID
from wilss.errors import DataError, DataNotFoundError


@dataclass(frozen=True)
class PairedFiles:
    """The images of a data set by id, and the masks of some.

    Args:
        suffix: of the images that a message names where there is none. n_classes: of the masks' values.
        table: of the masks' colours; None has the masks agree on one. strict: see `reading_of`.
        drawn: where an EXIF orientation leaves it open, whether masks lie on stored or on upright pixels.
    """

    images: FileIndex
    masks: FileIndex
    looks: Looks
    n_classes: int
    table: Callable[[], ColourTable] | None = None
    strict: bool = False
    drawn: Drawn | None = None
    _mask_looks: dict[str, MaskLook] = field(default_factory=dict, repr=False)

    def image_path(self, image_id: str) -> Path:
        """Where an image is, or would be."""
        return self.images.files.get(image_id) or self.images.folder / f"{image_id}.jpg"

    def mask_path(self, image_id: str) -> Path:
        """Where a mask is, or would be."""
        return self.masks.files.get(image_id) or self.masks.folder / f"{image_id}.png"

    def has_mask(self, image_id: str) -> bool:
        """Whether an image has one."""
        return image_id in self.masks.files

    def image(self, image_id: str) -> Tensor:
        """See `wilss.data.source.Source.image`."""
        path = self.image_path(image_id)
        return read_rgb(path, self.looks.stamps.place.held(path))

    def mask(self, image_id: str) -> Tensor:
        """See `wilss.data.source.Source.mask`."""
        path = self.mask_path(image_id)
        if not self.has_mask(image_id):
            raise DataNotFoundError(missing(path))
        reading, turn = self._usable(image_id), self._is_turned(image_id)
        with opened(path, self.looks.stamps.place.held(path)) as image, decoding(path):
            values = reading.apply(decode_mask(image))
        return torch.from_numpy(turned(values, turn))

    def shown(self, image_id: str) -> tuple[int, ...]:
        """Class ids that a mask shows, ascending. Raises as `mask` does."""
        values = self._usable(image_id).values(self.mask_look(image_id))
        return tuple(sorted(value for value in values if 0 < value < VOID))

    def facts(self, image_id: str) -> list[Any]:
        """What determines an image and its mask, for a digest: their bytes, and how the mask is read."""
        stamps = self.looks.stamps
        found: list[Any] = [stamps.digest(self.image_path(image_id))]
        if self.has_mask(image_id):
            reading = self.reading(image_id)
            found += [stamps.digest(self.mask_path(image_id)), *reading.facts, self._is_turned(image_id)]
        return found

    def mask_look(self, image_id: str) -> MaskLook:
        """What the file of a mask holds."""
        if image_id not in self._mask_looks:
            self._mask_looks[image_id] = self.looks.mask(self.mask_path(image_id))
        return self._mask_looks[image_id]

    def reading(self, image_id: str) -> Reading:
        """How a mask is read."""
        return reading_of(self.mask_look(image_id), self.colour_table, self.strict)

    @cached_property
    def colour_table(self) -> ColourTable:
        """What colours of masks stand for."""
        if self.table is not None:
            return self.table()
        self.looks.ahead(masks=self.masks.files.values())
        return table_of_masks(in_threads(self.mask_look, self.masks.files))

    def pair(self, image_id: str) -> Pair:
        """An image and its mask as they are seen."""
        path, image = self.image_path(image_id), self.looks.image(self.image_path(image_id))
        if not self.has_mask(image_id):
            return Pair(image_id, path, image)
        return Pair(image_id, path, image, self.mask_path(image_id), self.mask_look(image_id), self.reading(image_id))

    def problem(self, image_id: str, mask: bool = False) -> Finding | None:
        """Why an image cannot be used; None for one that can. mask: whether it needs one."""
        found = self.findings_of(self.pair(image_id), mask)
        return next((finding for finding in found if finding.severity == "refuse"), None)

    def findings_of(self, pair: Pair, mask: bool = False) -> list[Finding]:
        """Findings of one image, those that refuse it first."""
        found = pair_findings(pair, self.n_classes, self.drawn)
        if mask and pair.mask is None:
            path = self.mask_path(pair.image_id)
            seen = "does not exist, and the image needs a mask"
            found.insert(0, Finding("refuse", "no-mask", str(path), seen, "draw it, or leave the image out"))
        return found

    def examine(self, ids: Sequence[str], need_mask: Collection[str] = ()) -> tuple[list[Pair], list[Finding]]:
        """Look at images and their masks, each once.

        Args:
            need_mask: ids of images that cannot be used without one.
        """
        needing = frozenset(need_mask)
        masks = [self.masks.files[image_id] for image_id in ids if self.has_mask(image_id)]
        self.looks.ahead([self.image_path(image_id) for image_id in ids], masks)
        _ = self.colour_table
        pairs = in_threads(self.pair, ids)
        found = [finding for pair in pairs for finding in self.findings_of(pair, pair.image_id in needing)]
        self.looks.stamps.save()
        refused = binary_masks(found, sum(_shows(pair) for pair in pairs))
        return pairs, [*refused, *(finding for finding in found if not refused or finding.kind != BINARY)]

    def _usable(self, image_id: str) -> Reading:
        """How a mask is read. Raises DataError for one that cannot be."""
        look = self.mask_look(image_id)
        if look.problem:
            raise DataError(look.problem)
        reading, path = self.reading(image_id), self.mask_path(image_id)
        for finding in mask_findings(path, look, reading, self.n_classes):
            if finding.severity == "refuse":
                raise DataError(str(finding))
        return reading

    def _is_turned(self, image_id: str) -> int:
        """The orientation by which a mask is turned, 1 for none. Raises DataError where it does not fit its image."""
        header = self.looks.header(self.image_path(image_id))
        size = self.mask_look(image_id).size
        turn, problem = lies_on(header.stored, header.size, header.orientation, size, self.drawn)
        if problem:
            raise DataError(f"'{self.image_path(image_id)}' {problem}")
        return header.orientation if turn else 1


def _shows(pair: Pair) -> bool:
    """Whether a mask holds anything but background."""
    usable = pair.mask is not None and not pair.mask.problem and pair.reading is not None and not pair.reading.problem
    return usable and set(pair.values()) != {0}
