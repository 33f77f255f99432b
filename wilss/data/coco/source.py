"""COCO as base data and VOC as new data: the benchmark COCO-to-VOC (WILSON, section 4 and its released code)."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wilss.data.coco import names as coco_names
from wilss.data.coco.names import CLASS_OF_COCO, CLASS_OF_VOC, N_BASE
from wilss.data.files import PIXEL_LIMIT, read_rgb, read_size
from wilss.data.source import VOID, Split
from wilss.data.voc import VocSource
from wilss.digest import hasher
from wilss.errors import DataError, DataNotFoundError

COCO_VERSION = 1
"""Raised whenever the same files give other images, masks or tags."""
LAYOUT = "annotations/instances_SPLIT.json and SPLIT/*.jpg, with SPLIT train2017 and val2017"


@dataclass(frozen=True)
class CocoSplit:
    """One split of COCO: ``root/NAME/*.jpg`` and ``root/annotations/instances_NAME.json``.

    Things only: stuff is background. Crowd regions are void (255) where no instance lies. Where instances overlap the
    smaller one is on top.

    Args:
        skip_unreadable: decode every image first, and leave out those that cannot be decoded or are not of the size
            that the annotations say; minutes for the whole of COCO.
    """

    root: Path
    name: str
    skip_unreadable: bool = False

    def __post_init__(self) -> None:
        if not self.annotations.is_file() or not (self.root / self.name).is_dir():
            splits = [p.stem.removeprefix("instances_") for p in (self.root / "annotations").glob("instances_*.json")]
            known = f"; there: {', '.join(sorted(splits))}" if splits else ""
            raise DataNotFoundError(
                f"'{self.root}' has no COCO split '{self.name}'{known}. Expected layout: {LAYOUT}; other names with "
                "--set data.coco_train=NAME and --set data.coco_eval=NAME"
            )

    @property
    def annotations(self) -> Path:
        """The annotation file."""
        return self.root / "annotations" / f"instances_{self.name}.json"

    @cached_property
    def _api(self) -> Any:
        from pycocotools.coco import COCO

        with contextlib.redirect_stdout(io.StringIO()):  # it prints how long it took
            try:
                api = COCO(str(self.annotations))
            except (ValueError, KeyError, TypeError, AssertionError, RecursionError) as error:
                raise DataError(f"'{self.annotations}' is no COCO annotation file ({error}); fetch it again") from error
        wrong = {c["id"]: c["name"] for c in api.dataset["categories"]}.items() - coco_names.COCO_IDS.items()
        if wrong:
            number, name = min(wrong)
            raise DataError(
                f"'{self.annotations}' calls category {number} '{name}'; expected COCO's own numbering of 80 among 91"
            )
        return api

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """File names without suffix, ascending."""
        names = tuple(sorted(self._files))
        if not self.skip_unreadable:
            return names
        with ThreadPoolExecutor(2) as pool:
            return tuple(compress(names, pool.map(self._readable, names)))

    @property
    def skipped(self) -> int:
        """Images left out because they cannot be decoded."""
        return len(self._files) - len(self.ids)

    @cached_property
    def _files(self) -> dict[str, dict[str, Any]]:
        return {Path(entry["file_name"]).stem: entry for entry in self._api.imgs.values()}

    def tags(self, image_id: str) -> tuple[int, ...]:
        """Class ids of all annotations, crowds included."""
        found = {CLASS_OF_COCO[a["category_id"]] for a in self._annotations(image_id)}
        return tuple(sorted(found))

    def path(self, image_id: str) -> Path:
        """The image file."""
        return self.root / self.name / Path(self._entry(image_id)["file_name"]).name

    def mask(self, image_id: str) -> Tensor:
        """Class ids, uint8 ``(H, W)``. Raises DataError for an outline that cannot be drawn."""
        mask = np.zeros(self._size(image_id), np.uint8)
        for annotation in sorted(self._annotations(image_id), key=lambda a: (not a["iscrowd"], -a["area"])):
            value = VOID if annotation["iscrowd"] else CLASS_OF_COCO[annotation["category_id"]]
            mask[self._inside(annotation, mask.shape)] = value
        return torch.from_numpy(mask)

    def _inside(self, annotation: dict[str, Any], size: tuple[int, ...]) -> NDArray[np.bool_]:
        try:
            inside: NDArray[np.bool_] = self._api.annToMask(annotation).astype(bool)
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise DataError(f"'{self.annotations}': annotation {annotation['id']!s:.40} ({error})") from error
        if inside.shape != size:
            raise DataError(f"'{self.annotations}': annotation {annotation['id']!s:.40} is of another image's size")
        return inside

    def check(self, ids: Sequence[str]) -> None:
        """Look at the header of every image; COCO is too large to decode beforehand.

        Raises DataNotFoundError for a missing image, DataError for one of another size than its annotations say.
        """
        for image_id in ids:
            path, size = self.path(image_id), self._size(image_id)
            if not path.is_file():
                raise DataNotFoundError(
                    f"'{path}' does not exist, but the annotations list it; fetch it, or leave such images out with "
                    "--skip-unreadable"
                )
            if read_size(path) != size:
                raise DataError(
                    f"'{path}' is {read_size(path)}, its annotations are made for {size} (height, width); take the "
                    "images as COCO ships them, or leave such images out with --skip-unreadable"
                )

    def _readable(self, image_id: str) -> bool:
        try:
            return tuple(read_rgb(self.path(image_id)).shape[1:]) == self._size(image_id)
        except (DataError, DataNotFoundError):
            return False

    def _size(self, image_id: str) -> tuple[int, int]:
        """Raises DataError for a size that no image has."""
        entry = self._entry(image_id)
        height, width = entry["height"], entry["width"]
        if not (isinstance(height, int) and isinstance(width, int) and 0 < height * width <= 2 * PIXEL_LIMIT):
            raise DataError(f"'{self.annotations}' gives image '{image_id}' {height!s:.40} x {width!s:.40} pixels")
        return height, width

    def _annotations(self, image_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._api.imgToAnns.get(self._entry(image_id)["id"], [])
        return found

    def _entry(self, image_id: str) -> dict[str, Any]:
        if image_id not in self._files:
            raise DataNotFoundError(f"'{self.annotations}' has no image '{image_id}'; is its id of another data set?")
        return self._files[image_id]


@dataclass(frozen=True)
class CocoToVocSource:
    """80 classes: 60 base classes with COCO's masks, then the 20 of VOC with image-level labels of VOC images.

    Training images: those of COCO without any annotation of a VOC class, then VOC's. Evaluation: COCO's split; VOC's is
    scored beside it.
    """

    coco_train: CocoSplit
    coco_eval: CocoSplit
    voc: VocSource

    @property
    def classes(self) -> tuple[str, ...]:
        """See `wilss.data.coco.names.CLASSES`."""
        return coco_names.CLASSES

    @property
    def prompts(self) -> dict[str, tuple[str, ...]]:
        """See `wilss.data.coco.names.PROMPTS`."""
        return coco_names.PROMPTS

    @cached_property
    def fingerprint(self) -> str:
        """Digest of lists, annotations' sizes and the VOC part."""
        digest = hasher(COCO_VERSION)
        digest.update(self.voc.fingerprint.encode())
        for split in (self.coco_train, self.coco_eval):
            digest.update(f"{split.name} {split.annotations.stat().st_size}".encode())
        digest.update(repr((self.ids("train"), self.ids("eval"))).encode())
        return digest.hexdigest()[:32]

    @cached_property
    def _base_ids(self) -> tuple[str, ...]:
        return tuple(i for i in self.coco_train.ids if all(c <= N_BASE for c in self.coco_train.tags(i)))

    def fingerprint_of(self, ids: Sequence[str], classes: Sequence[int]) -> str:
        """See `wilss.data.source.Source.fingerprint_of`; these data are fixed."""
        return self.fingerprint

    def ids(self, split: Split) -> tuple[str, ...]:
        """See `wilss.data.source.Source.ids`; "coco/..." (evaluation: "coco-eval/...") and "voc/..."."""
        return self._ids[split]

    @cached_property
    def _ids(self) -> dict[Split, tuple[str, ...]]:
        train = (*(f"coco/{i}" for i in self._base_ids), *(f"voc/{i}" for i in self.voc.ids("train")))
        return {"train": train, "eval": tuple(f"coco-eval/{i}" for i in self.coco_eval.ids)}

    @property
    def further_eval(self) -> Mapping[str, tuple[str, ...]]:
        """VOC's evaluation images, scored over all 81 outputs."""
        return {"voc": tuple(f"voc/{i}" for i in self.voc.ids("eval"))}

    def tags(self, split: Split) -> tuple[tuple[int, ...], ...]:
        """See `wilss.data.source.Source.tags`."""
        return self._tags[split]

    @cached_property
    def _tags(self) -> dict[Split, tuple[tuple[int, ...], ...]]:
        voc = (tuple(sorted(CLASS_OF_VOC[c - 1] for c in tags)) for tags in self.voc.tags("train"))
        train = (*(self.coco_train.tags(i) for i in self._base_ids), *voc)
        return {"train": train, "eval": tuple(self.coco_eval.tags(i) for i in self.coco_eval.ids)}

    def image(self, image_id: str) -> Tensor:
        """See `wilss.data.source.Source.image`."""
        part, _, name = image_id.partition("/")
        return self.voc.image(name) if part == "voc" else read_rgb(self._coco(part).path(name))

    def has_mask(self, image_id: str) -> bool:
        """Every image has one."""
        return True

    def mask(self, image_id: str) -> Tensor:
        """See `wilss.data.source.Source.mask`."""
        part, _, name = image_id.partition("/")
        if part != "voc":
            return self._coco(part).mask(name)
        table = torch.arange(256, dtype=torch.uint8)
        table[1 : 1 + len(CLASS_OF_VOC)] = torch.tensor(CLASS_OF_VOC, dtype=torch.uint8)
        return table[self.voc.mask(name).long()]

    def check(self) -> None:
        """Decode every VOC image and mask, and look for every COCO image; COCO is too large to decode beforehand."""
        self.voc.check()
        self.coco_train.check(self._base_ids)
        self.coco_eval.check(self.coco_eval.ids)

    @property
    def skipped(self) -> int:
        """Images left out because they cannot be decoded."""
        return self.voc.skipped + sum(split.skipped for split in {self.coco_train, self.coco_eval})

    def _coco(self, part: str) -> CocoSplit:
        return self.coco_eval if part == "coco-eval" else self.coco_train
