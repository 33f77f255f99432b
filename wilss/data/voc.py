"""A PASCAL VOC devkit folder: JPEGImages, SegmentationClassAug or SegmentationClass, ImageSets/Segmentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO

import torch
from PIL import Image
from torch import Tensor

from wilss.data.colours import LABELMAP, ColourTable, read_labelmap, voc_table
from wilss.data.findings import Finding
from wilss.data.folder import left_out
from wilss.data.gate import require_sound
from wilss.data.id_lists import IdList
from wilss.data.index import index_images, index_masks
from wilss.data.looks import Looks, in_threads
from wilss.data.mask_reading import Drawn
from wilss.data.pairs import PairedFiles
from wilss.data.palette import Colour, palette
from wilss.data.set_rules import against_tags, equal_files, refusal
from wilss.data.source import Split
from wilss.data.stamps import Stamps
from wilss.data.tags import Labels, class_ids, label_table, row_findings
from wilss.data.voc_lists import LISTS, look_at_splits
from wilss.data.voc_names import VOC_PROMPTS
from wilss.digest import hasher
from wilss.errors import DataError, DataNotFoundError

VOC_VERSION = 2
"""Raised whenever the same files give other images, masks or tags."""
LAYOUT = "JPEGImages/ID.jpg, SegmentationClassAug/ID.png (or SegmentationClass) and ImageSets/Segmentation/LIST.txt"


@dataclass(frozen=True)
class VocSource:
    """A VOC devkit folder (``VOCdevkit/VOC2012`` or any folder of that layout).

    Masks are palette PNG in VOC's colours, grey PNG of class ids, or in the colours of a ``labelmap.txt`` whose names
    are VOC's.

    Args:
        root: the folder.
        train_list, eval_list: names under ``ImageSets/Segmentation`` without ".txt". Two lists must not overlap; who
            names one twice wants to score on training images.
        labels_csv: image-level labels of the training images ("image_id,labels", names separated by spaces). When None
            they are read off the masks once; the masks of later steps serve for nothing else.
        skip_unreadable: leave out images that cannot be decoded instead of stopping.
        drawn: see `PairedFiles`. stamps: what is known of files.
    """

    root: Path
    train_list: str = "train_aug"
    eval_list: str = "val"
    labels_csv: Path | None = None
    skip_unreadable: bool = False
    drawn: Drawn | None = None
    stamps: Stamps = field(default_factory=lambda: Stamps(None), compare=False, repr=False)

    def __post_init__(self) -> None:
        for folder in ("JPEGImages", LISTS):
            if not (self.root / folder).is_dir():
                raise DataNotFoundError(
                    f"'{self.root}' is no VOC folder: '{folder}' is missing. Expected layout: {LAYOUT}. Get VOC 2012 "
                    "from the PASCAL VOC site (VOCtrainval_11-May-2012.tar), pass its VOCdevkit/VOC2012 with --data"
                )

    @property
    def classes(self) -> tuple[str, ...]:
        """The twenty VOC classes."""
        return tuple(VOC_PROMPTS)

    @property
    def prompts(self) -> dict[str, tuple[str, ...]]:
        """See `VOC_PROMPTS`."""
        return VOC_PROMPTS

    @cached_property
    def fingerprint(self) -> str:
        """Digest of ids and contents of images and masks, and of the table of labels."""
        digest = hasher(VOC_VERSION)
        for split in ("train", "eval"):
            ids = self.ids(split)
            for image_id, files in zip(ids, in_threads(self.files.facts, ids), strict=True):
                digest.update(f"{split} {image_id} {files}\n".encode())
        if self.labels_csv:
            digest.update(repr(self.tags("train")).encode())
        self.stamps.save()
        return digest.hexdigest()[:32]

    @cached_property
    def files(self) -> PairedFiles:
        """Its images and masks."""
        images = index_images(self.root / "JPEGImages", deep=True)
        augmented = self.root / "SegmentationClassAug"
        masks = index_masks(augmented if augmented.is_dir() else self.root / "SegmentationClass", images, deep=True)
        return PairedFiles(images, masks, Looks(self.stamps), len(self.classes), self._colours, True, self.drawn)

    def _colours(self) -> ColourTable:
        path = self.root / LABELMAP
        if not path.is_file():
            return voc_table()
        try:
            return read_labelmap(path, self.classes)
        except DataError as error:
            raise DataError(
                f"{error} This folder has classes of its own and not VOC's: make it a folder of your own with wilss "
                "data import, or remove the file if the masks hold VOC's ids"
            ) from error

    @cached_property
    def _listed(self) -> dict[str, tuple[str, ...]]:
        lists, found = self._looked
        require_sound(found)
        return {split: listed.ids for split, listed in lists.items()}

    @cached_property
    def _looked(self) -> tuple[dict[str, IdList], list[Finding]]:
        return look_at_splits(self.root / LISTS, self.train_list, self.eval_list, self.files.images.names)

    @cached_property
    def _lists(self) -> dict[str, tuple[str, ...]]:
        if not self.skip_unreadable:
            return self._listed
        return {split: tuple(i for i in ids if self._readable(i)) for split, ids in self._listed.items()}

    @property
    def skipped(self) -> int:
        """Images left out because they cannot be decoded."""
        return sum(len(self._listed[split]) - len(ids) for split, ids in self._lists.items())

    @cached_property
    def _tags(self) -> dict[str, tuple[tuple[int, ...], ...]]:
        scored = tuple(in_threads(self.files.shown, self.ids("eval")))
        if self.labels_csv:
            rows = class_ids(self._labels, self.classes)
            require_sound(self._of_table({"train": IdList(self.ids("train"))}))
            return {"train": tuple(rows[image_id] for image_id in self.ids("train")), "eval": scored}
        return {"train": tuple(in_threads(self.files.shown, self.ids("train"))), "eval": scored}

    def fingerprint_of(self, ids: Sequence[str], classes: Sequence[int]) -> str:
        """See `wilss.data.source.Source.fingerprint_of`; these data are fixed."""
        return self.fingerprint

    def ids(self, split: Split) -> tuple[str, ...]:
        """See `wilss.data.source.Source.ids`."""
        return self._lists[split]

    def tags(self, split: Split) -> tuple[tuple[int, ...], ...]:
        """See `wilss.data.source.Source.tags`."""
        return self._tags[split]

    def image(self, image_id: str) -> Tensor:
        """See `wilss.data.source.Source.image`."""
        return self.files.image(image_id)

    @property
    def further_eval(self) -> dict[str, tuple[str, ...]]:
        """No second evaluation set."""
        return {}

    def has_mask(self, image_id: str) -> bool:
        """See `wilss.data.source.Source.has_mask`."""
        return self.files.has_mask(image_id)

    def mask(self, image_id: str) -> Tensor:
        """See `wilss.data.source.Source.mask`. Raises DataError for a value that is neither class, 0 nor 255."""
        return self.files.mask(image_id)

    def check(self) -> None:
        """Look at every listed file once. Raises DataError for the first finding that refuses."""
        require_sound(self.findings())

    def findings(self) -> list[Finding]:
        """See `wilss.data.gate.Examined`."""
        found = [*self.files.images.told(), *self.files.masks.told()]
        try:
            _ = self.files.colour_table
        except DataError as error:
            found.append(refusal("label-map", self.root / LABELMAP, error))
            return found
        lists, of_lists = self._looked
        found += of_lists
        return [*found, *self._of_table(lists), *self._of_pixels(lists)]

    def _of_table(self, lists: Mapping[str, IdList]) -> list[Finding]:
        """Of the table of labels."""
        if not self.labels_csv:
            return []
        try:
            found = row_findings(self._labels, self.classes, self.files.images.names, (), self.files.images.folder)
        except (DataError, DataNotFoundError) as error:
            return [refusal("labels", self.labels_csv, error)]
        rows = class_ids(self._labels, self.classes)
        missing = [image_id for image_id in lists.get("train", IdList()).ids if image_id not in rows]
        if missing:
            seen = (
                f"has no row for {len(missing)} images of the training list '{self.train_list}', first '{missing[0]}'"
            )
            found.append(Finding("refuse", "no-row", str(self.labels_csv), seen, "add one for each"))
        return found

    def _of_pixels(self, lists: Mapping[str, IdList]) -> list[Finding]:
        """Of listed images and their masks, which all must have."""
        ids = tuple(dict.fromkeys(i for listed in lists.values() for i in listed.ids))
        held_out = lists["eval"].ids if "eval" in lists and self.train_list != self.eval_list else ()
        pairs, found = self.files.examine(ids, ids)
        found = left_out(found) if self.skip_unreadable else found
        found += against_tags(pairs, self._rows, self.classes, range(1, len(self.classes) + 1))
        return [*found, *equal_files(pairs, self.stamps, held_out)]

    @cached_property
    def _rows(self) -> Mapping[str, tuple[int, ...]]:
        """Image id -> class ids of the table; none where there is none that can be read."""
        try:
            return class_ids(self._labels, self.classes) if self.labels_csv else {}
        except (DataError, DataNotFoundError):  # said among the findings
            return {}

    def tag_names(self) -> dict[str, tuple[str, ...]]:
        """Image id -> class names of the listed images whose masks can be read."""
        usable = [i for i in dict.fromkeys((*self._listed["train"], *self._listed["eval"])) if self._readable(i)]
        return {i: tuple(self.classes[c - 1] for c in self.files.shown(i)) for i in usable}

    def _readable(self, image_id: str) -> bool:
        return self.files.problem(image_id, mask=True) is None

    @cached_property
    def _labels(self) -> Labels:
        assert self.labels_csv is not None
        return label_table(self.labels_csv, self.classes, self.files.images.names)


def save_palette_png(mask: Tensor, path: Path | IO[bytes], own: Mapping[int, Colour] | None = None) -> None:
    """Write uint8 labels ``(H, W)`` as a palette PNG in VOC colours, or a label's own, to a file or an open one."""
    image = Image.fromarray(mask.to(torch.uint8).cpu().numpy(), mode="P")
    image.putpalette(palette(own))
    image.save(path, "PNG")
