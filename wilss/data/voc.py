"""A PASCAL VOC devkit folder: JPEGImages, SegmentationClassAug or SegmentationClass, ImageSets/Segmentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from wilss.data.files import file_size, read_mask, read_rgb
from wilss.data.id_lists import read_ids, require_apart
from wilss.data.palette import Colour, palette
from wilss.data.source import VOID, Split
from wilss.data.tags import read_labels
from wilss.data.voc_names import VOC_PROMPTS
from wilss.digest import hasher
from wilss.errors import DataError, DataNotFoundError, did_you_mean

VOC_VERSION = 1
"""Raised whenever the same files give other images, masks or tags."""
LAYOUT = "JPEGImages/ID.jpg, SegmentationClassAug/ID.png (or SegmentationClass) and ImageSets/Segmentation/LIST.txt"


@dataclass(frozen=True)
class VocSource:
    """A VOC devkit folder (``VOCdevkit/VOC2012`` or any folder of that layout).

    Args:
        root: the folder.
        train_list, eval_list: names under ``ImageSets/Segmentation`` without ".txt". Two lists must not overlap; who
            names one twice wants to score on training images.
        labels_csv: image-level labels of the training images ("image_id,labels", names separated by spaces). When None
            they are read off the masks once; the masks of later steps serve for nothing else.
        skip_unreadable: leave out images that cannot be decoded instead of stopping.
    """

    root: Path
    train_list: str = "train_aug"
    eval_list: str = "val"
    labels_csv: Path | None = None
    skip_unreadable: bool = False

    def __post_init__(self) -> None:
        for folder in ("JPEGImages", "ImageSets/Segmentation"):
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
        """Digest of ids and file sizes of images and masks."""
        digest = hasher(VOC_VERSION)
        for split in ("train", "eval"):
            for image_id in self.ids(split):
                sizes = (file_size(self._image_path(image_id)), file_size(self._mask_path(image_id)))
                digest.update(f"{split} {image_id} {sizes}\n".encode())
        if self.labels_csv:
            digest.update(self.labels_csv.read_bytes())
        return digest.hexdigest()[:32]

    @cached_property
    def _lists(self) -> dict[str, tuple[str, ...]]:
        lists = {"train": self._read_list(self.train_list), "eval": self._read_list(self.eval_list)}
        if self.train_list != self.eval_list:
            require_apart(lists["train"], lists["eval"], (self.train_list, self.eval_list))
        if self.skip_unreadable:
            lists = {split: tuple(i for i in ids if self._readable(i)) for split, ids in lists.items()}
        return lists

    @property
    def skipped(self) -> int:
        """Images left out because they cannot be decoded."""
        listed = len(self._read_list(self.train_list)) + len(self._read_list(self.eval_list))
        return listed - sum(len(ids) for ids in self._lists.values())

    @cached_property
    def _tags(self) -> dict[str, tuple[tuple[int, ...], ...]]:
        with ThreadPoolExecutor(2) as pool:
            scored = tuple(pool.map(self._tags_of_mask, self.ids("eval")))
            if self.labels_csv:
                return {"train": self._read_tags(self.labels_csv), "eval": scored}
            return {"train": tuple(pool.map(self._tags_of_mask, self.ids("train"))), "eval": scored}

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
        return read_rgb(self._image_path(image_id))

    @property
    def further_eval(self) -> dict[str, tuple[str, ...]]:
        """No second evaluation set."""
        return {}

    def has_mask(self, image_id: str) -> bool:
        """See `wilss.data.source.Source.has_mask`."""
        return self._mask_path(image_id).is_file()

    def mask(self, image_id: str) -> Tensor:
        """See `wilss.data.source.Source.mask`. Raises DataError for a value that is neither class, 0 nor 255."""
        path = self._mask_path(image_id)
        mask = read_mask(path)
        wrong = [v for v in np.unique(mask.numpy()).tolist() if v > len(self.classes) and v != VOID]
        if wrong:
            raise DataError(
                f"mask '{path}' holds the value {wrong[0]}; allowed are 0 (background), 1 to {len(self.classes)} and "
                f"{VOID} (void). Is it a colour image instead of a palette PNG?"
            )
        return mask

    def check(self) -> None:
        """Decode every image and mask once. Raises the first DataError or DataNotFoundError found."""
        for split in ("train", "eval"):
            ids = self.ids(split)
            with ThreadPoolExecutor(2) as pool:
                for _ in pool.map(self._check_one, ids):
                    pass

    def _check_one(self, image_id: str) -> None:
        image, mask = self.image(image_id), self.mask(image_id)
        if image.shape[1:] != mask.shape:
            raise DataError(
                f"image '{self._image_path(image_id)}' is {tuple(image.shape[1:])} but its mask is {tuple(mask.shape)} "
                "(height, width); they must have the same size"
            )

    def _readable(self, image_id: str) -> bool:
        try:
            self._check_one(image_id)
        except (DataError, DataNotFoundError):
            return False
        return True

    def _tags_of_mask(self, image_id: str) -> tuple[int, ...]:
        return tuple(v for v in torch.unique(self.mask(image_id)).tolist() if 0 < v < VOID)

    def _read_tags(self, path: Path) -> tuple[tuple[int, ...], ...]:
        folder = self.root / "JPEGImages"
        table = read_labels(path, self.classes, {image.stem for image in folder.glob("*.jpg")}, where=folder)
        missing = [image_id for image_id in self.ids("train") if image_id not in table]
        if missing:
            raise DataError(
                f"'{path}' has no row for {len(missing)} images of the training list '{self.train_list}', first "
                f"'{missing[0]}'; add one for each"
            )
        return tuple(table[image_id] for image_id in self.ids("train"))

    def _read_list(self, name: str) -> tuple[str, ...]:
        folder = self.root / "ImageSets" / "Segmentation"
        path = folder / f"{name}.txt"
        if path.parent != folder or not path.is_file():
            known = [p.stem for p in folder.glob("*.txt")]
            raise DataNotFoundError(
                f"split file '{path}' does not exist.{did_you_mean(name, known)} Choose one with "
                "--train-list and --eval-list"
            )
        return read_ids(path)

    def _image_path(self, image_id: str) -> Path:
        return self.root / "JPEGImages" / f"{image_id}.jpg"

    def _mask_path(self, image_id: str) -> Path:
        augmented = self.root / "SegmentationClassAug"
        return (augmented if augmented.is_dir() else self.root / "SegmentationClass") / f"{image_id}.png"


def save_palette_png(mask: Tensor, path: Path, own: Mapping[int, Colour] | None = None) -> None:
    """Write uint8 labels ``(H, W)`` as a palette PNG in VOC colours, or a label's own."""
    image = Image.fromarray(mask.to(torch.uint8).cpu().numpy(), mode="P")
    image.putpalette(palette(own))
    image.save(path, "PNG")
