"""An annotation file of COCO's form, validated before anything is drawn of it. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wilss.data.coco.columns import POLYGONS, RUNS, Columns
from wilss.data.coco.entries import CocoImage, Sayer, categories_of, image_row, images_of
from wilss.data.coco.outlines import area_of, draw, judge, tell
from wilss.data.coco.stream import records
from wilss.data.findings import Finding, Severity, plain
from wilss.data.gate import from_message
from wilss.errors import DataError, FormatError

FETCH = "fetch it again, or export it anew from the tool that made it"
NEEDED = ("images", "annotations", "categories")


@dataclass(frozen=True)
class CocoFile:
    """What an annotation file says.

    images: those that can be used, by name (see `CocoImage.name`), ascending. listed: ids of all, as text; n_listed:
    images in the list. categories: names by id, as text.
    findings: what is wrong with the file as a whole, its categories and images; objects have their own.
    """

    path: Path
    images: dict[str, CocoImage]
    listed: frozenset[str]
    n_listed: int
    categories: dict[str, str]
    columns: Columns
    findings: tuple[Finding, ...]
    _sizes: dict[str, tuple[int, int]] = field(default_factory=dict)

    @cached_property
    def _objects(self) -> dict[str, NDArray[np.int64]]:
        """Image key -> numbers of its objects."""
        owner = np.asarray(self.columns.image, np.int64)
        order = np.argsort(owner, kind="stable")
        keys = list(self.columns.keys_of_images)
        cuts = np.searchsorted(owner[order], np.arange(len(keys) + 1))
        return {key: order[cuts[k] : cuts[k + 1]] for k, key in enumerate(keys)}

    @cached_property
    def _category_keys(self) -> tuple[str, ...]:
        return tuple(self.columns.keys_of_categories)

    @cached_property
    def _states(self) -> NDArray[np.uint8]:
        """State of every object, its image's size known."""
        sizes = np.zeros((len(self.columns.keys_of_images) + 1, 2), np.int64)  # the last: of objects without an image
        for image in self.images.values():
            if image.key in self.columns.keys_of_images:
                sizes[self.columns.keys_of_images[image.key]] = self.size(image)
        return judge(self.columns, sizes)

    def size(self, image: CocoImage) -> tuple[int, int]:
        """Height and width: as annotated, else those of the file (see `with_sizes`), else (0, 0)."""
        return image.size or self._sizes.get(image.key, (0, 0))

    def with_sizes(self, folder: Path, look: Callable[[Path], tuple[int, int]]) -> CocoFile:
        """The same file with the sizes that it does not tell.

        Args:
            folder: of the images. look: height and width of a file, (0, 0) where it cannot be read.
        """
        unknown = [image for image in self.images.values() if image.size is None]
        return replace(self, _sizes={image.key: look(self.find(image, folder)) for image in unknown})

    def find(self, image: CocoImage, folder: Path) -> Path:
        """An image's file: its name seen from the folder, or from the one above, or without its own folders.

        The last only where no other image has that name; nothing leads out of the folder. What is nowhere would lie in
        the folder by its whole name.
        """
        first, _, rest = image.file_name.partition("/")
        above = [folder / rest] if first == folder.name and rest else []
        bare = [folder / image.bare] if self._bare[image.bare] == 1 else []
        paths = (folder / image.file_name, *above, *bare)
        return next((path for path in paths if path.is_file()), paths[0])

    @cached_property
    def _bare(self) -> Counter[str]:
        return Counter(image.bare for image in self.images.values())

    def objects(self, image: CocoImage) -> list[int]:
        """Numbers of an image's objects, in the file's order."""
        found = self._objects.get(image.key)
        return [] if found is None else found.tolist()

    def category(self, number: int) -> str | None:
        """Id of an object's category, as text; None for one that the file does not list."""
        position = self.columns.category[number]
        key = self._category_keys[position] if position >= 0 else None
        return key if key in self.categories else None

    def name_of(self, number: int) -> str | None:
        """Name of an object's category; None for one that the file does not list."""
        key = self.category(number)
        return None if key is None else self.categories[key]

    def is_crowd(self, number: int) -> bool:
        """Whether an object is a crowd."""
        return bool(self.columns.crowd[number])

    def is_drawn(self, number: int) -> bool:
        """Whether an object has an outline that can be drawn."""
        return bool(self._states[number] <= RUNS)

    def box(self, number: int) -> tuple[float, ...] | None:
        """Left, top, width and height of an object without an outline; None for one without a box."""
        return self.columns.boxes.get(number)

    def mask(self, image: CocoImage, number: int) -> NDArray[np.bool_] | None:
        """Pixels of an object, ``(H, W)``; None for one that has no outline, which its finding tells.

        Raises DataError for an outline that must not be drawn.
        """
        finding = self._finding(image, number)
        if finding and finding.severity == "refuse":
            raise DataError(str(finding))
        return draw(self.columns, number, self.size(image), self._states)

    def layers(self, image: CocoImage) -> Iterator[tuple[int, NDArray[np.bool_]]]:
        """Objects that can be drawn with their pixels: crowds first, then larger below smaller ones."""
        drawn = [(n, mask) for n in self.objects(image) if (mask := self.mask(image, n)) is not None]
        yield from sorted(drawn, key=lambda one: (not self.is_crowd(one[0]), -area_of(self.columns, *one)))

    @cached_property
    def _suspect(self) -> NDArray[np.bool_]:
        """Objects that have to be looked at one by one: most have polygons and a listed category."""
        listed = np.array([key in self.categories for key in self._category_keys] + [False])
        found = (self._states != POLYGONS) | ~listed[np.asarray(self.columns.category, np.int64)]
        found[self.columns.parts] = True
        return found

    def object_findings(self, image: CocoImage) -> Iterator[Finding]:
        """What is wrong with the objects of an image."""
        for number in self.objects(image):
            if finding := self._finding(image, number):
                yield finding

    def strays(self) -> Iterator[Finding]:
        """Objects of images that the file does not list."""
        owners = list(self.columns.keys_of_images)
        for number, position in enumerate(self.columns.image):
            if position < 0 or owners[position] not in self.listed:
                whose = owners[position] if position >= 0 else "none"
                seen = f"has annotation {self.columns.ids[number]!s:.40} of image {whose:.60}, which it does not list"
                yield self._say(
                    "warn", "coco-image-unlisted", seen, "it is passed over; list the image, or take it out"
                )

    def _finding(self, image: CocoImage, number: int) -> Finding | None:
        if not self._suspect[number] or self.size(image) == (0, 0):  # the image cannot be read, which is told
            return None
        what = f"has annotation {self.columns.ids[number]!s:.40} (image '{image.file_name:.200}') "
        if self.category(number) is None:
            seen = f"{what}of a category that it does not list"
            return self._say("refuse", "coco-category-unlisted", seen, "list the category, or take the annotation out")
        told = tell(self.columns, number, self._states)
        return self._say(told.severity, told.kind, what + told.seen, told.cure) if told else None

    def _say(self, severity: Severity, kind: str, seen: str, cure: str) -> Finding:
        return Finding(severity, kind, str(self.path), plain(seen), cure)


def read_annotations(path: Path) -> CocoFile:
    """Read and validate an annotation file: bounded memory, and nothing of it reaches native code.

    What is wrong is told by ``findings`` (a file that is none of COCO's has just one of them, and no image).
    """
    try:
        return _read(path)
    except FormatError as error:
        told = from_message("refuse", "coco-format", str(path), str(error))
        return CocoFile(path, {}, frozenset(), 0, {}, Columns(), (told,))


def _read(path: Path) -> CocoFile:
    columns, images, categories = Columns(), [], []
    for key, record in records(path, FETCH):
        if key in NEEDED and not isinstance(record, dict):
            raise FormatError(f"'{path}' is no COCO annotation file ({key} holds {record!r:.40}); {FETCH}")
        if key == "annotations":
            columns.add(record)
        elif key == "images":
            images.append(image_row(record))
        elif key == "categories":
            categories.append((record.get("id"), record.get("name")))
    if not images or not categories:
        lacking = "images" if not images else "categories"
        raise FormatError(f"'{path}' is no COCO annotation file (it lists no {lacking}); {FETCH}")
    say = Sayer(path)
    sound, listed = images_of(images, say)
    named = categories_of(categories, say)
    return CocoFile(path, sound, listed, len(set(images)), named, columns, tuple(say.found))
