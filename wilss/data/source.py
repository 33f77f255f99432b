"""What every data set offers, before a protocol decides which part of it a step may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor

Split = Literal["train", "eval"]
VOID = 255


class Source(Protocol):
    """A data set with images, masks and image-level labels. Class ids run from 1; 0 is background, 255 void."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Foreground class names; class id = position + 1."""
        ...

    @property
    def prompts(self) -> dict[str, tuple[str, ...]]:
        """Ontology: class name -> words for the scorer."""
        ...

    @property
    def fingerprint(self) -> str:
        """Digest of the lists and files; the same data give the same digest wherever they lie."""
        ...

    def fingerprint_of(self, ids: Sequence[str], classes: Sequence[int]) -> str:
        """Digest of these images and their labels of these classes; ``fingerprint`` for data fixed as a whole."""
        ...

    def ids(self, split: Split) -> tuple[str, ...]:
        """Image ids of a split, in list order."""
        ...

    def tags(self, split: Split) -> tuple[tuple[int, ...], ...]:
        """Class ids of each image of a split: its image-level labels."""
        ...

    def image(self, image_id: str) -> Tensor:
        """RGB image, uint8 ``(3, H, W)``. Raises DataNotFoundError or DataError."""
        ...

    @property
    def further_eval(self) -> Mapping[str, tuple[str, ...]]:
        """Evaluation sets that are scored beside ``ids("eval")``: name -> image ids. Most data have none."""
        ...

    def check(self) -> None:
        """Look at every file before anything is computed. Raises the first DataError or DataNotFoundError found."""
        ...

    @property
    def skipped(self) -> int:
        """Images left out because they cannot be decoded."""
        ...

    def has_mask(self, image_id: str) -> bool:
        """Whether the image has pixel labels at all; a step's label set may be checked against them."""
        ...

    def mask(self, image_id: str) -> Tensor:
        """Pixel labels, uint8 ``(H, W)``. Raises DataNotFoundError or DataError."""
        ...


@runtime_checkable
class Distant(Protocol):
    """A source whose images may lie together in shards, or on another machine."""

    @property
    def far(self) -> bool:
        """Whether reading an image takes a request."""
        ...

    def shards(self, ids: Sequence[str]) -> tuple[int, ...]:
        """Number of the shard that holds each image, by first appearance; none where every image lies by itself."""
        ...

    def bring(self, images: Sequence[str], masks: Sequence[str] = ()) -> None:
        """Have images and masks at hand that are read next, by their ids; faults are told when they are read."""
        ...
