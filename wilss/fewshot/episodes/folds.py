"""Folds of few-shot segmentation: which classes are learnt with masks (base) and which are tested (novel).

PASCAL-5i: novel ids 5i+1 .. 5i+5 (OSLSM, Shaban et al. 2017; PFENet's code). COCO-20i: ids 1..80 in the order of COCO's
own ids; novel every fourth ("stride": FWB, PFENet, BAM, HSNet) or twenty in a row ("contiguous": PANet).
COCO-to-PASCAL: the base classes of a COCO fold, tested on the VOC classes that are none of them (RePRI, CWT).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from wilss.data.coco.names import COCO_CLASSES, COCO_IDS, VOC_TO_COCO, coco_lookup
from wilss.data.scenes import outlines
from wilss.data.source import Split
from wilss.data.voc_names import VOC_PROMPTS
from wilss.errors import SpecError, did_you_mean
from wilss.protocol import Benchmark

Variant = Literal["stride", "contiguous"]
NameTable = Literal["correct", "legacy"]

N_FOLDS = 4
CROSS = "coco-to-pascal"

TEST_CLASSES: dict[str, tuple[str, ...]] = {
    "pascal-5i": tuple(VOC_PROMPTS),
    "scenes-5i": outlines.CLASSES,
    "coco-20i": COCO_CLASSES,
    CROSS: tuple(VOC_PROMPTS),
}
"""Few-shot benchmark -> names of the classes of its test data; class id = position + 1."""

_FAMILY = {"pascal-5i": "voc", "scenes-5i": "scenes", "coco-20i": "coco-voc", CROSS: "coco-voc"}
"""Few-shot benchmark -> family of incremental benchmarks over the same training classes."""


@dataclass(frozen=True)
class Fold:
    """One fold of a few-shot benchmark.

    base: ids that training may use, of the training data's classes. novel: ids that are tested, of the test data's
    classes; for COCO-to-PASCAL these are two lists of classes (COCO and VOC), otherwise one.
    variant: how COCO's classes are dealt out; the folds of VOC and scenes are contiguous.
    table: names by which COCO-to-PASCAL compares classes (see `fold_of`).
    """

    benchmark: str
    fold: int
    base: tuple[int, ...]
    novel: tuple[int, ...]
    variant: Variant
    table: NameTable = "correct"

    @property
    def train_classes(self) -> tuple[str, ...]:
        """Names of all classes of the training data, by id."""
        return COCO_CLASSES if self.benchmark == CROSS else TEST_CLASSES[self.benchmark]

    @property
    def test_classes(self) -> tuple[str, ...]:
        """Names of all classes of the test data, by id."""
        return TEST_CLASSES[self.benchmark]

    @property
    def held_out(self) -> tuple[int, ...]:
        """Ids of the training data that are no base class; an image with any pixel of one is filtered out."""
        return tuple(c for c in range(1, len(self.train_classes) + 1) if c not in self.base)

    def wanted(self, split: Split) -> tuple[int, ...]:
        """Ids that episodes of a split are about: base classes in training, novel ones in evaluation."""
        return self.base if split == "train" else self.novel

    def describe(self) -> str:
        """Name for messages, such as "coco-20i fold 2 (stride)"."""
        facts: list[str] = [self.variant] if _is_coco(self.benchmark) else []
        facts += [f"{self.table} names"] if self.benchmark == CROSS else []
        return f"{self.benchmark} fold {self.fold}" + (f" ({', '.join(facts)})" if facts else "")


def fold_of(benchmark: str, fold: int, variant: Variant = "stride", table: NameTable = "correct") -> Fold:
    """Look a fold up.

    Args:
        benchmark: "pascal-5i", "scenes-5i", "coco-20i" or "coco-to-pascal".
        fold: 0 to 3.
        variant: of COCO's folds; the others have one only, and it is not looked at.
        table: "legacy" is the published name table of COCO-to-PASCAL, where VOC's id 7 is called cat and 8 car (it is
            the other way round): fold 2 then tests cat and fold 3 car, each a training class of its fold.

    Raises SpecError for a name or number that is not known.
    """
    for kind, value, known in (
        ("few-shot benchmark", benchmark, tuple(TEST_CLASSES)),
        ("variant", variant, get_args(Variant)),
        ("name table", table, get_args(NameTable)),
    ):
        if value not in known:
            raise SpecError(f"unknown {kind} '{value}'.{did_you_mean(value, known)}")
    if fold not in range(N_FOLDS):
        raise SpecError(f"{benchmark} has no fold {fold}; its folds are 0 to {N_FOLDS - 1}")
    if not _is_coco(benchmark):
        base, novel = _deal(len(TEST_CLASSES[benchmark]), fold, "contiguous")
        return Fold(benchmark, fold, base, novel, "contiguous")
    base, novel = _deal(len(COCO_CLASSES), fold, variant)
    if benchmark != CROSS:
        return Fold(benchmark, fold, base, novel, variant)
    return Fold(benchmark, fold, base, _unseen_voc(base, table), variant, table)


def may_feed(fold: Fold, incremental: Benchmark) -> None:
    """Refuse to start an incremental benchmark from a backbone that was trained on the base classes of ``fold``.

    Rule: every base class of the fold is in the base step, so that no later step's class was seen with masks. Fold 3 of
    20 classes may start 15-5 and 15-1, and nothing else may start anything. Whether images of later classes were seen
    as background is another matter: the disjoint scenario needs a backbone trained on filtered lists.

    Raises SpecError, naming the classes.
    """
    if _FAMILY[fold.benchmark] != incremental.family:
        raise SpecError(
            f"{fold.describe()} and {incremental.name} do not number the same classes; start it from a backbone "
            f"trained on data of the family '{incremental.family}'"
        )
    leaked = _leaked(fold, incremental)
    if leaked:
        right = [k for k in range(N_FOLDS) if not _leaked(fold_of(fold.benchmark, k, fold.variant), incremental)]
        advice = f"use fold {' or '.join(map(str, right))}" if right else "no fold is free of this; use none"
        raise SpecError(
            f"a backbone trained on {fold.describe()} has seen masks of {', '.join(leaked)}, but {incremental.name} "
            f"has masks of its base step only and these are not in it; {advice}"
        )


def _is_coco(benchmark: str) -> bool:
    return benchmark in ("coco-20i", CROSS)


def _deal(count: int, fold: int, variant: Variant) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Base and novel ids among 1..count."""
    size = count // N_FOLDS
    strided = range(fold + 1, count + 1, N_FOLDS)
    novel = tuple(strided if variant == "stride" else range(size * fold + 1, size * (fold + 1) + 1))
    return tuple(c for c in range(1, count + 1) if c not in novel), novel


def _unseen_voc(base: tuple[int, ...], table: NameTable) -> tuple[int, ...]:
    """VOC ids whose name is none of the COCO classes ``base``."""
    named = list(VOC_TO_COCO)
    if table == "legacy":
        named[6], named[7] = named[7], named[6]  # ids 7 and 8
    seen = {list(COCO_IDS)[c - 1] for c in base}
    return tuple(voc_id for voc_id, coco_id in enumerate(named, start=1) if coco_id not in seen)


def _leaked(fold: Fold, incremental: Benchmark) -> list[str]:
    """Names of the base classes of the fold that the base step does not have."""
    base_step = set(incremental.steps[0])
    if _is_coco(fold.benchmark):
        base_step = {coco_lookup()[c] for c in base_step}
    return [fold.train_classes[c - 1] for c in fold.base if c not in base_step]
