"""What can be asked of the process that makes pictures, and where it lies once it is made. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.inspector.marks import Mark, mark_of
from stores.artefacts import Manifest, Store, read_manifest
from stores.labels.columns import shown_folder, truth_path
from stores.labels.sets import LabelSet
from wilss.errors import DamagedArtefactError, DataError, DataNotFoundError, SpecError, WeightsNotFoundError, WilssError
from wilss.layout import MANIFEST, cache_folder, find_artefact

KINDS = ("image", "thumb", "truth", "student", "seeds", "affinity")
"""Of one image. student: what the one named by "checkpoint" sees. seeds: of "channel", and what the grouper takes for
alike to them. affinity: how alike everything is to the pixel "x", "y" of the image on the canvas."""
JOBS = ("iou",)
"""Of all rows of a set, with progress. iou: with the truth."""
NAMED = {
    "student": ("checkpoint",),
    "seeds": ("channel",),
    "affinity": ("x", "y"),
}
"""What else has to be said; anything more is refused."""
LONGEST = 64
"""Letters of a value."""


@dataclass(frozen=True)
class Want:
    """A picture of a label set, by its whole digest.

    image: position in the set; -1 for `JOBS`. more: what `NAMED` lists, as names and values.
    """

    digest: str
    kind: str
    image: int = -1
    more: tuple[tuple[str, str], ...] = ()

    def value(self, name: str) -> str:
        """One of ``more``. Raises SpecError unless it is given once and is short."""
        found = [value for key, value in self.more if key == name]
        if len(found) != 1 or not 0 < len(found[0]) <= LONGEST:
            raise SpecError(f"a picture of kind '{self.kind}' is asked for with one '{name}'; load the page again")
        return found[0]

    def number(self, name: str, most: int) -> int:
        """The same as a whole number from 0 to ``most``."""
        value = self.value(name)
        if not (value.isascii() and value.isdigit() and int(value) <= most):
            raise SpecError(f"'{name}' is {value!r:.40}; expected is a number from 0 to {most}; load the page again")
        return int(value)


@dataclass(frozen=True)
class Problem:
    """Why a picture cannot be shown, and what to do, in one sentence.

    kind: "data" (the photographs), "weights", "damaged", "asked" (the request), "process", or "other".
    """

    reason: str
    kind: str = "other"


_KINDS: tuple[tuple[type[WilssError], str], ...] = (
    (DamagedArtefactError, "damaged"),
    (WeightsNotFoundError, "weights"),
    (DataNotFoundError, "data"),
    (DataError, "data"),
    (SpecError, "asked"),
)


def problem_of(error: WilssError) -> Problem:
    """What an error says, and of what."""
    return Problem(str(error), next((kind for of, kind in _KINDS if isinstance(error, of)), "other"))


class SetPlaces:
    """Where pictures of one label set lie; holds sizes and digests of its images, 24 bytes each.

    Raises what `LabelSet.open` raises.
    """

    def __init__(self, root: Path, digest: str) -> None:
        self.root, folder = root, find_artefact(root, "labels", digest)
        self.mark = stamp(folder)
        self.manifest: Manifest = read_manifest(folder)
        labels = LabelSet.open(folder)
        self.pixels: NDArray[np.uint32] = np.ascontiguousarray(labels.pixels)
        self.sizes = np.ascontiguousarray(labels.sizes[:, :2])
        self.channels = len(labels.index.classes)
        self.folder = shown_folder(root, self.manifest)

    def candidates(self, want: Want) -> list[Path]:
        """Files that may hold what is wanted, the first one first; the last one belongs to this set alone.

        Raises SpecError for what nobody can want, ArtefactNotFoundError for a student or a set that is gone.
        """
        self._require(want)
        if want.kind == "iou":
            return [truth_path(self.root, self.manifest)]
        name = self._name(want)
        shared = self._shared(want.image)
        if shared is None or want.kind not in ("image", "thumb", "student"):
            return [self.folder / f"{want.image}-{name}"]
        return [shared.with_name(f"{shared.name}-{name}"), self.folder / f"{want.image}-{name}"]

    def pixel(self, want: Want) -> tuple[int, int]:
        """Column and row that are clicked. Raises SpecError for a pixel outside of the image."""
        height, width = self.sizes[want.image].tolist()
        return want.number("x", width - 1), want.number("y", height - 1)

    def _require(self, want: Want) -> None:
        names = NAMED.get(want.kind, ())
        if want.kind not in (*KINDS, *JOBS) or {key for key, _ in want.more} - set(names):
            raise SpecError(f"there is no picture '{want.kind[:40]}' that is asked for so; load the page again")
        if want.kind in KINDS and not 0 <= want.image < len(self.pixels):
            raise SpecError(f"there is no image {want.image} in this label set of {len(self.pixels)}")

    def _name(self, want: Want) -> str:
        if want.kind == "student":
            folder = find_artefact(self.root, "checkpoints", want.value("checkpoint"))
            return f"student-{folder.name}-{read_manifest(folder).seal[:16]}.png"
        if want.kind == "seeds":
            return f"seeds-{want.number('channel', self.channels - 1)}.png"
        if want.kind == "affinity":
            return "affinity-{}-{}.png".format(*self.pixel(want))
        return f"{want.kind}.{'png' if want.kind == 'truth' else 'jpg'}"

    def _shared(self, image: int) -> Path | None:
        """The beginning of the files of an image that sets share, known by its pixels."""
        pixels = self.pixels[image]
        if not pixels.any():
            return None
        name = pixels.astype("<u4").tobytes().hex()
        return cache_folder(self.root) / "pictures" / name[:2] / name


def stamp(folder: Path) -> Mark:
    """What tells an artefact from one that took its place."""
    return mark_of(folder / MANIFEST)


def made_from(store: Store, manifest: Manifest) -> Manifest | None:
    """The co-segmented set that a set comes from through all parents, None where there is none any more."""
    seen: set[str] = set()
    while "scorer" not in manifest.recipe:
        parent: Any = manifest.parents.get("parent")
        if parent is None or parent in seen or not store.path("labels", parent).exists():
            return None
        seen.add(parent)
        manifest = store.get("labels", parent)
    return manifest
