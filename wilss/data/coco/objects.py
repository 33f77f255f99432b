"""COCO's 80 classes for episodes: ids 1 to 80 in the order of COCO's own numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from wilss.data.coco.names import COCO_CLASSES, coco_lookup
from wilss.data.coco.split import COCO_VERSION, CocoSplit
from wilss.data.files import read_rgb
from wilss.data.findings import Finding
from wilss.data.gate import require_sound
from wilss.data.source import Split
from wilss.digest import code_version, digest_of


@dataclass(frozen=True)
class CocoSource:
    """Two splits of COCO with their instance masks; ids are "train/NAME" and "eval/NAME"."""

    train: CocoSplit
    evaluation: CocoSplit

    @property
    def classes(self) -> tuple[str, ...]:
        """COCO's names."""
        return COCO_CLASSES

    @property
    def prompts(self) -> dict[str, tuple[str, ...]]:
        """Every class is known by its own name."""
        return {name: (name,) for name in COCO_CLASSES}

    @cached_property
    def fingerprint(self) -> str:
        """See `wilss.data.source.Source.fingerprint`."""
        parts = [(s.name, list(s.ids), s.fingerprint(s.ids)) for s in (self.train, self.evaluation)]
        return digest_of({"coco80": parts, "crowds": "known", **code_version(COCO_VERSION)})

    def fingerprint_of(self, ids: Sequence[str], classes: Sequence[int]) -> str:
        """See `wilss.data.source.Source.fingerprint_of`; these data are fixed."""
        return self.fingerprint

    def ids(self, split: Split) -> tuple[str, ...]:
        """See `wilss.data.source.Source.ids`."""
        return tuple(f"{split}/{name}" for name in self._part(split).ids)

    def tags(self, split: Split) -> tuple[tuple[int, ...], ...]:
        """See `wilss.data.source.Source.tags`."""
        return tuple(self.shown_classes(image_id) for image_id in self.ids(split))

    @property
    def further_eval(self) -> Mapping[str, tuple[str, ...]]:
        """No second evaluation set."""
        return {}

    @property
    def skipped(self) -> int:
        """Images left out because they cannot be decoded."""
        return sum(part.skipped for part in {self.train, self.evaluation})

    def check(self) -> None:
        """Look at every image. Raises DataError for the first thing that a run refuses; see `findings`."""
        require_sound(self.findings())

    def findings(self) -> list[Finding]:
        """What is wrong with both splits; see `CocoSplit.findings`."""
        return [finding for part in dict.fromkeys((self.train, self.evaluation)) for finding in part.findings()]

    def shown_classes(self, image_id: str) -> tuple[int, ...]:
        """Class ids of all annotations of an image, ascending, crowds included, which its mask leaves void."""
        split, _, name = image_id.partition("/")
        rank = _rank()
        return tuple(sorted(int(rank[c]) for c in self._part(split).tags(name)))

    @property
    def shown(self) -> dict[str, tuple[str, ...]]:
        """Image id -> class names, of every image once. Raises DataError for annotations that a run refuses."""
        splits: tuple[Split, ...] = ("train",) if self.train == self.evaluation else ("train", "eval")
        return {i: tuple(COCO_CLASSES[c - 1] for c in self.shown_classes(i)) for s in splits for i in self.ids(s)}

    def has_mask(self, image_id: str) -> bool:
        """Every image has one."""
        return True

    def image(self, image_id: str) -> Tensor:
        """See `wilss.data.source.Source.image`."""
        return read_rgb(self.path(image_id))

    def path(self, image_id: str) -> Path:
        """The file of an image."""
        split, _, name = image_id.partition("/")
        return self._part(split).path(name)

    def mask(self, image_id: str) -> Tensor:
        """See `wilss.data.source.Source.mask`."""
        split, _, name = image_id.partition("/")
        return _rank()[self._part(split).mask(name).long()]

    def _part(self, split: str) -> CocoSplit:
        return self.train if split == "train" else self.evaluation


def _rank() -> Tensor:
    """Labels of `CocoSplit.mask` -> class ids here, uint8 ``(256,)``."""
    return torch.tensor(coco_lookup(), dtype=torch.uint8)
