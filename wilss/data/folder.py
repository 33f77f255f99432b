"""A folder of one's own: ``images/`` and ``labels.csv``, and ``masks/`` for the images of step 0."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from wilss.data.files import read_mask, read_rgb
from wilss.data.id_lists import read_ids
from wilss.data.source import VOID, Split
from wilss.data.tags import read_labels
from wilss.digest import digest_of, file_digest, hasher
from wilss.errors import DataError, DataNotFoundError

FOLDER_VERSION = 1
"""Raised whenever the same files give other images, masks or tags."""
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
SPLITS: tuple[Split, ...] = ("train", "eval")
LAYOUT = "images/NAME.jpg, labels.csv (image, class names), and optionally masks/NAME.png and eval.txt"


@dataclass(frozen=True)
class FolderSource:
    """Images with tags, some with masks.

    ``masks/NAME.png`` is a palette or grey PNG: 0 background, k the k-th class of the benchmark, 255 void. Images with
    a mask may serve step 0; without one, tags of base classes are passed over, as they could not be learnt from.
    ``eval.txt`` lists names to score on; they need masks and are never trained on.

    Args:
        classes: all class names of the benchmark by id. base: ids of step 0.
        ignore: names in labels.csv that no step learns.
        skip_unreadable: leave out images that cannot be decoded instead of stopping.
    """

    root: Path
    classes: tuple[str, ...]
    base: tuple[int, ...]
    ignore: tuple[str, ...] = ()
    skip_unreadable: bool = False

    def __post_init__(self) -> None:
        if not (self.root / "images").is_dir() or not (self.root / "labels.csv").is_file():
            missing = "labels.csv" if (self.root / "images").is_dir() else "images/"
            raise DataNotFoundError(f"'{self.root}' lacks {missing}. Expected layout: {LAYOUT}")

    @property
    def prompts(self) -> dict[str, tuple[str, ...]]:
        """See `wilss.data.source.Source.prompts`."""
        return {name: (name,) for name in self.classes}

    @cached_property
    def fingerprint(self) -> str:
        """Digest of all names, files, labels and classes."""
        everything = range(1, len(self.classes) + 1)
        return digest_of([self.fingerprint_of(self.ids(split), everything) for split in SPLITS])

    def fingerprint_of(self, ids: Sequence[str], classes: Sequence[int]) -> str:
        """See `wilss.data.source.Source.fingerprint_of`: other rows and images may change."""
        digest = hasher(FOLDER_VERSION)
        digest.update(repr([self.classes[c - 1] for c in classes]).encode())
        tags = {i: t for split in SPLITS for i, t in zip(self.ids(split), self.tags(split), strict=True)}
        for image_id in ids:
            paths = (self._files[image_id], self._mask_path(image_id))
            # bytes, as people mend masks without changing their size
            files = [file_digest(path) for path in paths if path.is_file()]
            shown = [c for c in tags[image_id] if c in classes]
            digest.update(f"{image_id} {files} {shown}\n".encode())
        return digest.hexdigest()[:32]

    @property
    def further_eval(self) -> dict[str, tuple[str, ...]]:
        """No second evaluation set."""
        return {}

    @cached_property
    def _files(self) -> dict[str, Path]:
        return image_files(self.root)

    @cached_property
    def _table(self) -> dict[str, tuple[int, ...]]:
        by_file = {path.name: image_id for image_id, path in self._files.items()}
        known = {*by_file, *by_file.values()}
        table: dict[str, tuple[int, ...]] = {}
        path, where = self.root / "labels.csv", self.root / "images"
        for name, tags in read_labels(path, self.classes, known, self.ignore, where).items():
            image_id = by_file.get(name, name)
            if image_id in table:
                raise DataError(f"'{path}' has two rows for image '{image_id}'; remove one")
            table[image_id] = tags
        return table

    @cached_property
    def _splits(self) -> dict[str, tuple[str, ...]]:
        held_out = self._held_out()
        ids = {"eval": held_out, "train": tuple(i for i in self._files if i not in set(held_out))}
        if self.skip_unreadable:
            ids = {split: tuple(i for i in names if self._readable(i)) for split, names in ids.items()}
        return ids

    def _held_out(self) -> tuple[str, ...]:
        path = self.root / "eval.txt"
        if not path.is_file():
            return ()
        names = read_ids(path)
        for name in names:
            if name not in self._files or not self._mask_path(name).is_file():
                raise DataError(f"'{path}' lists '{name}', which needs images/{name}.jpg and masks/{name}.png")
        return names

    @property
    def skipped(self) -> int:
        """Images left out because they cannot be decoded."""
        return len(self._files) - sum(len(ids) for ids in self._splits.values())

    def ids(self, split: Split) -> tuple[str, ...]:
        """See `wilss.data.source.Source.ids`."""
        return self._splits[split]

    def tags(self, split: Split) -> tuple[tuple[int, ...], ...]:
        """See `wilss.data.source.Source.tags`: of labels.csv, and for images without a row of their mask."""
        return self._tags[split]

    @cached_property
    def _tags(self) -> dict[str, tuple[tuple[int, ...], ...]]:
        with ThreadPoolExecutor(2) as pool:
            return {split: tuple(pool.map(self._tags_of, self.ids(split))) for split in ("train", "eval")}

    def _tags_of(self, image_id: str) -> tuple[int, ...]:
        tags = self._table.get(image_id)
        if not self.has_mask(image_id):
            return tuple(c for c in tags or () if c not in self.base)
        return tuple(v for v in torch.unique(self.mask(image_id)).tolist() if 0 < v < VOID) if tags is None else tags

    def image(self, image_id: str) -> Tensor:
        """See `wilss.data.source.Source.image`."""
        if image_id not in self._files:
            raise DataNotFoundError(f"'{self.root / 'images'}' has no image '{image_id}'")
        return read_rgb(self._files[image_id])

    def has_mask(self, image_id: str) -> bool:
        """See `wilss.data.source.Source.has_mask`."""
        return self._mask_path(image_id).is_file()

    def mask(self, image_id: str) -> Tensor:
        """See `wilss.data.source.Source.mask`."""
        path = self._mask_path(image_id)
        mask = read_mask(path)
        wrong = [v for v in torch.unique(mask).tolist() if v > len(self.classes) and v != VOID]
        if wrong:
            raise DataError(
                f"mask '{path}' holds the value {wrong[0]}; allowed are 0 (background), 1 to {len(self.classes)} (the "
                f"classes of the benchmark in order) and {VOID} (void)"
            )
        return mask

    def check(self) -> None:
        """Decode every image and mask once. Raises the first DataError or DataNotFoundError found."""
        with ThreadPoolExecutor(2) as pool:
            for _ in pool.map(self._check_one, (*self.ids("train"), *self.ids("eval"))):
                pass

    def _check_one(self, image_id: str) -> None:
        image = self.image(image_id)
        if self.has_mask(image_id) and image.shape[1:] != self.mask(image_id).shape:
            raise DataError(f"image '{image_id}' and its mask differ in size; they must have the same height and width")

    def _readable(self, image_id: str) -> bool:
        try:
            self._check_one(image_id)
        except (DataError, DataNotFoundError):
            return False
        return True

    def _mask_path(self, image_id: str) -> Path:
        return self.root / "masks" / f"{image_id}.png"


def image_files(root: Path) -> dict[str, Path]:
    """Image id (file name without suffix) -> file, sorted. Raises DataError for none, or two of one name."""
    files, problems = find_images(root)
    if problems:
        raise DataError(problems[0])
    return files


def find_images(root: Path) -> tuple[dict[str, Path], list[str]]:
    """Image id -> file, sorted, the first of a name; and what is wrong with the folder."""
    files: dict[str, Path] = {}
    problems = []
    for path in sorted((root / "images").iterdir()):
        if path.suffix.lower() not in SUFFIXES:
            continue
        first = files.setdefault(path.stem, path)
        if first != path:
            problems.append(f"'{path}' and '{first.name}' share the name '{path.stem}'; rename one of them")
    if not files:
        problems.append(f"'{root / 'images'}' holds no image; put {', '.join(SUFFIXES[:3])} files there")
    return files, problems
