"""COCO as base data and VOC as new data: the benchmark COCO-to-VOC (WILSON, section 4 and its released code)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from wilss.data.coco import names as coco_names
from wilss.data.coco.names import CLASS_OF_VOC, N_BASE
from wilss.data.coco.split import COCO_VERSION, CocoSplit
from wilss.data.files import read_rgb
from wilss.data.findings import Finding
from wilss.data.gate import require_sound
from wilss.data.source import Split
from wilss.data.voc import VocSource
from wilss.digest import hasher
from wilss.errors import DataError


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
        """Digest of the lists, of the annotations' and images' contents, and of the VOC part."""
        digest = hasher(COCO_VERSION)
        digest.update(self.voc.fingerprint.encode())
        for split, ids in ((self.coco_train, self._base_ids), (self.coco_eval, self.coco_eval.ids)):
            digest.update(repr((split.name, ids, split.fingerprint(ids))).encode())
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

    @property
    def shown(self) -> dict[str, tuple[str, ...]]:
        """Image id -> class names, of every image once. Raises DataError for annotations that a run refuses."""
        ids, tags = [*self.ids("train"), *self.ids("eval")], [*self.tags("train"), *self.tags("eval")]
        found = dict(zip(ids, tags, strict=True))
        scored = zip(self.further_eval["voc"], self.voc.tags("eval"), strict=True)
        found |= {image_id: tuple(sorted(CLASS_OF_VOC[c - 1] for c in shown)) for image_id, shown in scored}
        if self.coco_train == self.coco_eval:
            found = {image_id: shown for image_id, shown in found.items() if not image_id.startswith("coco/")}
        return {image_id: tuple(self.classes[c - 1] for c in shown) for image_id, shown in found.items()}

    def image(self, image_id: str) -> Tensor:
        """See `wilss.data.source.Source.image`."""
        return read_rgb(self.path(image_id))

    def path(self, image_id: str) -> Path:
        """The file of an image."""
        part, _, name = image_id.partition("/")
        return self.voc.files.image_path(name) if part == "voc" else self._coco(part).path(name)

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
        """Look at every file. Raises DataError for the first thing that a run refuses; see `findings`."""
        require_sound(self.findings())

    def findings(self) -> list[Finding]:
        """What is wrong: of VOC by decoding everything, of COCO by headers and outlines, as it is too large."""
        train, scored = self.coco_train.findings, self.coco_eval.findings
        try:
            base = self._base_ids
        except DataError:
            return [*train(), *scored()]
        return [*train(base), *scored(), *self.voc.findings()]

    @property
    def skipped(self) -> int:
        """Images left out because they cannot be decoded."""
        return self.voc.skipped + sum(split.skipped for split in {self.coco_train, self.coco_eval})

    def _coco(self, part: str) -> CocoSplit:
        return self.coco_eval if part == "coco-eval" else self.coco_train
