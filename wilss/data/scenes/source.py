"""The built-in world as a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor

from wilss.data.scenes.outlines import CLASSES
from wilss.data.scenes.random_silhouettes import SILHOUETTES_VERSION, random_shapes
from wilss.data.scenes.silhouettes import ShapeSet, class_shapes
from wilss.data.scenes.world import BLOCK, draw
from wilss.data.source import VOID, Split
from wilss.data.spec import World
from wilss.digest import digest_of
from wilss.errors import DataNotFoundError

SCENES_VERSION = 1
"""Raised whenever the same `World` draws other pixels."""


@dataclass
class ScenesSource:
    """``n_train`` + ``n_eval`` generated scenes; ids are "train-000007" and "eval-000007".

    silhouettes: number and seed of random ones (`wilss.data.scenes.random_silhouettes`) in place of the twenty classes.
    """

    world: World
    n_train: int
    n_eval: int
    silhouettes: tuple[int, int] | None = None
    _blocks: dict[tuple[str, int], tuple[Tensor, Tensor]] = field(default_factory=dict, repr=False)
    _tags: dict[Split, tuple[tuple[int, ...], ...]] = field(default_factory=dict, repr=False)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the twenty classes, or numbers of the random ones."""
        if self.silhouettes is None:
            return CLASSES
        return tuple(f"silhouette {number}" for number in range(1, self.silhouettes[0] + 1))

    @property
    def prompts(self) -> dict[str, tuple[str, ...]]:
        """Every class is known by its own name."""
        return {name: (name,) for name in self.classes}

    @cached_property
    def fingerprint(self) -> str:
        """See `wilss.data.source.Source.fingerprint`."""
        facts = {"world": self.world.plain(), "train": self.n_train, "eval": self.n_eval}
        if self.silhouettes is not None:
            facts["silhouettes"] = [SILHOUETTES_VERSION, *self.silhouettes]
        return digest_of({"scenes": SCENES_VERSION, **facts})

    def fingerprint_of(self, ids: Sequence[str], classes: Sequence[int]) -> str:
        """See `wilss.data.source.Source.fingerprint_of`; these data are fixed."""
        return self.fingerprint

    def ids(self, split: Split) -> tuple[str, ...]:
        """See `wilss.data.source.Source.ids`."""
        return tuple(f"{split}-{index:06d}" for index in range(self.n_train if split == "train" else self.n_eval))

    def tags(self, split: Split) -> tuple[tuple[int, ...], ...]:
        """See `wilss.data.source.Source.tags`; read off the masks once."""
        if split not in self._tags:
            masks = (self.mask(image_id) for image_id in self.ids(split))
            self._tags[split] = tuple(tuple(c for c in mask.unique().tolist() if 0 < c < VOID) for mask in masks)
        return self._tags[split]

    @property
    def further_eval(self) -> dict[str, tuple[str, ...]]:
        """No second evaluation set."""
        return {}

    @property
    def skipped(self) -> int:
        """Scenes are always readable."""
        return 0

    def check(self) -> None:
        """Scenes are drawn when they are looked at."""

    def has_mask(self, image_id: str) -> bool:
        """Every scene has one."""
        return True

    def image(self, image_id: str) -> Tensor:
        """See `wilss.data.source.Source.image`."""
        return self._scene(image_id)[0]

    def mask(self, image_id: str) -> Tensor:
        """See `wilss.data.source.Source.mask`."""
        return self._scene(image_id)[1]

    @property
    def _shapes(self) -> ShapeSet:
        return class_shapes() if self.silhouettes is None else random_shapes(*self.silhouettes)

    def _scene(self, image_id: str) -> tuple[Tensor, Tensor]:
        split, _, number = image_id.partition("-")
        if split not in ("train", "eval") or not number.isdigit():
            raise DataNotFoundError(f"'{image_id}' is no scene; ids look like 'train-000007'")
        block, row = divmod(int(number), BLOCK)
        if (split, block) not in self._blocks:
            scenes = draw(self.world, split, block * BLOCK, (block + 1) * BLOCK, self._shapes)
            self._blocks[split, block] = scenes.images, scenes.masks
        images, masks = self._blocks[split, block]
        return images[row], masks[row]
