"""Lists that episodes are drawn from: images with a large enough object, and the images of every class.

Rules: PFENet's list building (Tian et al. 2020, code), inherited from OSLSM: an object must survive downsampling by 32;
BAM's filter (Lang et al. 2022, code): training images with any pixel of a class that is no base class are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Literal, Protocol, get_args, runtime_checkable

import torch
from torch import Tensor

from wilss.data.source import VOID, Source
from wilss.errors import DataError, SpecError, did_you_mean
from wilss.fewshot.episodes.folds import Fold

ListKind = Literal["filtered", "unfiltered"]

MIN_AREA = 2 * 32 * 32
"""Pixels of a class that an image of original size (VOC, COCO) needs to be listed for it."""
CHUNK = 64
"""Masks that one thread reads at a time: a multiple of the blocks in which scenes are drawn."""


@runtime_checkable
class ShowsMore(Protocol):
    """Data whose images show classes that their masks leave void."""

    def shown_classes(self, image_id: str) -> tuple[int, ...]:
        """Class ids of all that an image shows."""
        ...


@dataclass(frozen=True)
class ImageClasses:
    """Classes of one image: id -> area in pixels of its original label. 0 and 255 are no classes.

    A class that only a void region shows, such as a crowd of COCO, has area 0.
    """

    image_id: str
    areas: Mapping[int, int]


@dataclass(frozen=True)
class EpisodeList:
    """Images and their classes, ready to draw episodes from; both in the order of the data.

    wanted: ids that episodes may be about. min_area: pixels that an image needs to be listed for a class.
    images: those with at least one wanted class of that size. by_class: id -> ids of the images that have it in that
    size, for every wanted class, also one that has none.
    dropped: ids whose images were left out. names: names of the data's classes, for messages; class id = position + 1.
    """

    wanted: tuple[int, ...]
    min_area: int
    images: tuple[ImageClasses, ...]
    by_class: Mapping[int, tuple[str, ...]]
    dropped: tuple[int, ...] = ()
    names: tuple[str, ...] = ()

    def present(self, position: int) -> tuple[int, ...]:
        """Wanted classes in the label of one image, ascending, of any area: the rule of size is not repeated."""
        areas = self.images[position].areas
        return tuple(c for c in self.wanted if areas.get(c, 0) > 0)

    def name_of(self, class_id: int) -> str:
        """Class for messages: "7 ('car')" where its name is known."""
        return f"{class_id} ('{self.names[class_id - 1]}')" if class_id <= len(self.names) else str(class_id)


def class_areas(mask: Tensor) -> dict[int, int]:
    """Pixels of each class in a label uint8 ``(H, W)``, ascending by id; without background (0) and void (255)."""
    counts = torch.bincount(mask.flatten(), minlength=VOID + 1).tolist()
    return {c: counts[c] for c in range(1, VOID) if counts[c]}


def read_areas(source: Source, ids: Sequence[str]) -> tuple[ImageClasses, ...]:
    """Classes of every image, read in one pass; no mask is kept.

    Args:
        ids: images of the source that have a mask.

    Raises DataNotFoundError or DataError of the first mask that cannot be read.
    """

    def read(chunk: Sequence[str]) -> list[ImageClasses]:
        return [ImageClasses(i, shown(i) | class_areas(source.mask(i))) for i in chunk]

    def shown(image_id: str) -> dict[int, int]:
        return dict.fromkeys(source.shown_classes(image_id), 0) if isinstance(source, ShowsMore) else {}

    chunks = [ids[k : k + CHUNK] for k in range(0, len(ids), CHUNK)]
    with ThreadPoolExecutor(2) as pool:
        return tuple(chain.from_iterable(pool.map(read, chunks)))


def build_list(
    images: Iterable[ImageClasses],
    wanted: Sequence[int],
    min_area: int = MIN_AREA,
    drop: Sequence[int] = (),
    names: Sequence[str] = (),
) -> EpisodeList:
    """Keep the images with an object of a wanted class of at least ``min_area`` pixels.

    Args:
        wanted: class ids that episodes may be about.
        min_area: pixels in the original label; small images need a smaller value than photographs.
        drop: class ids; an image that shows one, with any pixel or in a crowd, is left out altogether.
        names: class names for messages.

    Raises SpecError for no wanted class, one that is dropped too, or an area below 1; DataError for an image listed
    twice, as it could then support itself.
    """
    wanted = tuple(sorted(set(wanted)))
    _check_request(wanted, min_area, drop)
    kept: list[ImageClasses] = []
    by_class: dict[int, list[str]] = {c: [] for c in wanted}
    seen: set[str] = set()
    for image in images:
        if image.image_id in seen:
            raise DataError(
                f"image '{image.image_id}' is listed twice; every image may be listed once, remove one line"
            )
        seen.add(image.image_id)
        large = [c for c in wanted if image.areas.get(c, 0) >= min_area]
        if not large or any(c in image.areas for c in drop):
            continue
        kept.append(image)
        for c in large:
            by_class[c].append(image.image_id)
    listed = {c: tuple(ids) for c, ids in by_class.items()}
    return EpisodeList(wanted, min_area, tuple(kept), listed, tuple(drop), tuple(names))


def train_list(
    images: Iterable[ImageClasses], fold: Fold, lists: ListKind = "filtered", min_area: int = MIN_AREA
) -> EpisodeList:
    """Training images of a fold.

    Args:
        lists: "filtered" keeps an image only if all its classes are base classes (BAM's, SVF's dagger); "unfiltered"
            keeps the others too, and their novel objects are then labelled background (PFENet).

    Raises SpecError for another kind of list, else as `build_list`.
    """
    if lists not in get_args(ListKind):
        raise SpecError(f"unknown kind of list '{lists}'.{did_you_mean(lists, get_args(ListKind))}")
    drop = fold.held_out if lists == "filtered" else ()
    return build_list(images, fold.base, min_area, drop, fold.train_classes)


def eval_list(images: Iterable[ImageClasses], fold: Fold, min_area: int = MIN_AREA) -> EpisodeList:
    """Test images of a fold; never filtered. Raises as `build_list`."""
    return build_list(images, fold.novel, min_area, names=fold.test_classes)


def _check_request(wanted: Sequence[int], min_area: int, drop: Sequence[int]) -> None:
    if not wanted:
        raise SpecError("no class is wanted; episodes need at least one class id, for example those of a fold")
    if not 1 <= wanted[0] <= wanted[-1] < VOID:
        wrong = wanted[0] if wanted[0] < 1 else wanted[-1]
        raise SpecError(f"class id {wrong} is wanted; class ids are 1 to {VOID - 1}")
    both = sorted(set(wanted) & set(drop))
    if both:
        raise SpecError(f"class id {both[0]} is both wanted and dropped; take it off one of the two")
    if min_area < 1:
        raise SpecError(f"min_area is {min_area}; it counts pixels, from 1 on")
