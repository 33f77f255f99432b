"""One split of COCO: its images, their tags and masks, and what is wrong with them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import compress
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wilss.data.coco.annotations import CocoFile, read_annotations
from wilss.data.coco.entries import CocoImage
from wilss.data.coco.names import CLASS_OF_COCO, COCO_IDS
from wilss.data.files import annotated_size, read_header, read_rgb
from wilss.data.findings import Finding, plain
from wilss.data.folder import left_out
from wilss.data.gate import from_message, require_sound
from wilss.data.mask_reading import TURN, Drawn, assumed, lies_on, turned
from wilss.data.source import VOID
from wilss.data.stamps import Stamps
from wilss.errors import DataError, DataNotFoundError

COCO_VERSION = 2
"""Raised whenever the same files give other images, masks or tags."""
LAYOUT = "annotations/instances_SPLIT.json and SPLIT/*.jpg, with SPLIT train2017 and val2017"
IMAGE_KINDS = ("coco-image", "coco-id-twice", "coco-file-twice", "coco-size", "coco-no-file", "coco-unreadable")
"""Findings on single images, which ``skip_unreadable`` leaves out."""


@dataclass(frozen=True)
class CocoSplit:
    """One split of COCO: ``root/NAME/*.jpg`` and ``root/annotations/instances_NAME.json``.

    Things only: stuff is background. Crowd regions are void (255) where no instance lies. Where instances overlap the
    smaller one is on top. An object without an outline is in no mask, but its class is among the tags.

    Args:
        skip_unreadable: decode every image first, and leave out those that cannot be decoded, are not of the size that
            the annotations say, or are listed wrongly; minutes for the whole of COCO.
        drawn: where an EXIF orientation leaves it open, whether images were annotated as stored or as shown.
        stamps: what is known of files; see `fingerprint`.
    """

    root: Path
    name: str
    skip_unreadable: bool = False
    drawn: Drawn | None = None
    stamps: Stamps = field(default_factory=lambda: Stamps(None), compare=False, repr=False)

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
    def _file(self) -> CocoFile:
        size_of = partial(annotated_size, stored=self.drawn == "raw")
        return read_annotations(self.annotations).with_sizes(self.root / self.name, size_of)

    @cached_property
    def _sound(self) -> CocoFile:
        """The file, if a run may read it."""
        for finding in self._file_findings():
            if finding.severity == "refuse":
                raise DataError(str(finding))
        return self._file

    def _file_findings(self) -> Iterator[Finding]:
        for finding in self._file.findings:
            left_out = self.skip_unreadable and finding.kind in IMAGE_KINDS and finding.severity == "refuse"
            yield replace(finding, severity="warn") if left_out else finding
        wrong = self._file.categories.items() - {(str(number), name) for number, name in COCO_IDS.items()}
        if wrong:
            number, name = min(wrong)
            command = import_command(self.annotations, self.root / self.name)
            seen = f"calls category {number:.40} '{plain(name):.60}', where COCO numbers 80 names among 91"
            cure = f"make a data folder of categories of your own: {command}"
            yield Finding("refuse", "coco-categories", str(self.annotations), seen, cure)

    def findings(self, ids: Sequence[str] | None = None) -> Iterator[Finding]:
        """What is wrong with the annotations and images; headers alone are read, COCO is too large to decode.

        Args:
            ids: images to look at; all when left out.
        """
        found = [*self._file_findings()]
        yield from found
        if any(finding.severity == "refuse" for finding in found):
            return
        yield from self._file.strays()
        yield from left_out([*self._unused()])
        ids = self.ids if ids is None else ids
        with ThreadPoolExecutor(2) as pool:
            for image_id, wrong in zip(ids, pool.map(self._image_finding, ids), strict=True):
                if wrong:
                    yield wrong
                if wrong is None or wrong.severity != "refuse":
                    yield from self._file.object_findings(self._image(image_id))

    def _unused(self) -> Iterator[Finding]:
        """Why images are left out: what is told of their headers, or by decoding them."""
        used = frozenset(self.ids)
        for image_id in sorted(self._sound.images.keys() - used):
            if found := self._image_finding(image_id):
                yield found
                continue
            try:
                read_rgb(self.path(image_id))
            except (DataError, DataNotFoundError) as error:
                yield from_message("refuse", "coco-unreadable", str(self.path(image_id)), str(error))

    def check(self, ids: Sequence[str]) -> None:
        """Look at the header of every image and at the outlines drawn on it.

        Raises DataError for the first thing that a run refuses.
        """
        require_sound(list(self.findings(ids)))

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """File names without suffix, with their folders if there are any, ascending."""
        names = tuple(self._sound.images)
        if not self.skip_unreadable:
            return names
        with ThreadPoolExecutor(2) as pool:
            return tuple(compress(names, pool.map(self._readable, names)))

    @property
    def skipped(self) -> int:
        """Images left out because they cannot be decoded or are listed wrongly."""
        return self._sound.n_listed - len(self.ids)

    def tags(self, image_id: str) -> tuple[int, ...]:
        """Class ids of all annotations, crowds and objects without an outline included."""
        file = self._sound
        names = {file.category(number) for number in file.objects(self._image(image_id))}
        return tuple(sorted(CLASS_OF_COCO[int(key)] for key in names if key is not None))

    def path(self, image_id: str) -> Path:
        """The image file."""
        return self._sound.find(self._image(image_id), self.root / self.name)

    def mask(self, image_id: str) -> Tensor:
        """Class ids, uint8 ``(H, W)``. Raises DataError for an outline that must not be drawn."""
        file, image = self._sound, self._image(image_id)
        mask = np.zeros(self._size(image), np.uint8)
        for number, inside in file.layers(image):
            mask[inside] = VOID if file.is_crowd(number) else CLASS_OF_COCO[int(file.category(number) or 0)]
        return torch.from_numpy(self._as_shown(mask, image_id))

    def _as_shown(self, mask: NDArray[np.uint8], image_id: str) -> NDArray[np.uint8]:
        """A mask turned as its image is by its EXIF orientation, where it was drawn before."""
        path = self.path(image_id)
        if not path.is_file():
            return mask
        header = read_header(path)
        turn, _ = lies_on(header.stored, header.size, header.orientation, (mask.shape[0], mask.shape[1]), self.drawn)
        return turned(mask, header.orientation) if turn else mask

    def fingerprint(self, ids: Sequence[str]) -> list[str]:
        """Digests of the annotation file and of these images' contents, "" for one that is not there.

        They are read when they are new or their stamps have changed.
        """
        with ThreadPoolExecutor(2) as pool:
            found = [self.stamps.digest(self.annotations), *pool.map(self._digest, ids)]
        self.stamps.save()
        return found

    def _digest(self, image_id: str) -> str:
        path = self.path(image_id)
        return self.stamps.digest(path) if path.is_file() else ""

    def _image_finding(self, image_id: str) -> Finding | None:
        path, image = self.path(image_id), self._image(image_id)
        size, where = self._file.size(image), str(path)
        if not path.is_file():
            seen = "does not exist, but the annotations list it"
            return Finding(
                "refuse", "coco-no-file", where, seen, "fetch it, or leave such images out with --skip-unreadable"
            )
        try:
            header = read_header(path)
        except DataError as error:
            return from_message("refuse", "coco-unreadable", where, str(error))
        places = (header.stored, header.size, header.orientation)
        if image.size is None and (seen := assumed(*places, self.drawn)):
            return Finding("warn", "orientation", where, seen, TURN)
        turn, problem = lies_on(*places, size, self.drawn)
        if problem and size not in (header.stored, header.size):
            seen = f"is {header.size}, its annotations are made for {size} (height, width)"
            cure = "take the images as COCO ships them, or leave such images out with --skip-unreadable"
            return Finding("refuse", "coco-unreadable", where, seen, cure)
        if problem:
            return from_message("refuse", "orientation", where, f"'{path}' {problem}")
        seen = (
            f"is turned by its EXIF orientation {header.orientation}, and was annotated before; its mask is turned too"
        )
        return Finding("note", "orientation", where, seen, "nothing has to be done") if turn else None

    def _readable(self, image_id: str) -> bool:
        image = self._image(image_id)
        try:
            shown = read_rgb(self.path(image_id)).shape[1:]
            size = self._file.size(image)
            return size == tuple(shown) or size == read_header(self.path(image_id)).stored
        except (DataError, DataNotFoundError):
            return False

    def _size(self, image: CocoImage) -> tuple[int, int]:
        size = self._sound.size(image)
        if size == (0, 0):
            raise DataError(
                f"'{self.annotations}' tells no size of '{image.file_name}', which cannot be read; fetch it"
            )
        return size

    def _image(self, image_id: str) -> CocoImage:
        if image_id not in self._sound.images:
            raise DataNotFoundError(f"'{self.annotations}' has no image '{image_id}'; is its id of another data set?")
        return self._sound.images[image_id]


def import_command(annotations: Path, images: Path) -> str:
    """The command that makes a data folder of an annotation file with categories of its own."""
    words = ("wilss", "data", "import", "coco", str(annotations), "--images", str(images), "--to", "DIR")
    return shlex.join(words)
