"""Which classes, images and labels each step has (class-incremental protocols; Cermelli et al. 2022, code).

Rules: overlap step t = images with at least one of the step's classes (in step 0 later classes are painted background);
disjoint step t = those of them whose foreground is classes of the steps 0 to t only (MiB, PLOP).
COCO-to-VOC knows no scenarios: step 0 = images without any VOC class, also those that show no class at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from wilss.errors import SpecError, did_you_mean

Scenario = Literal["overlap", "disjoint"]

SPLITS: dict[str, tuple[int, ...]] = {
    "15-5": (15, 5),
    "10-10": (10, 10),
    "15-1": (15, 1, 1, 1, 1, 1),
    "10-5-5": (10, 5, 5),
    "10-2": (10, 2, 2, 2, 2, 2),
}
"""Number of classes of each step, in the order of the class ids."""

TWENTY = ("scenes", "voc")
"""Families of twenty classes, which are split alike."""
COCO_TO_VOC = "coco-to-voc"


@dataclass(frozen=True)
class Benchmark:
    """An ordered list of steps over one class list; ``steps[t]`` holds the class ids (from 1) of step t.

    family: where the images come from, see `wilss.data.families`.
    keeps_empty: step 0 holds all images without a later class, also empty ones; there are no scenarios.
    """

    name: str
    family: str
    steps: tuple[tuple[int, ...], ...]
    keeps_empty: bool = False

    def seen(self, step: int) -> tuple[int, ...]:
        """Class ids known after ``step``, in the order of the output channels 1, 2, ..."""
        return tuple(c for classes in self.steps[: step + 1] for c in classes)

    def merged(self) -> Benchmark:
        """The same classes in one step: what the joint upper bound learns."""
        return Benchmark(self.name, self.family, (self.seen(len(self.steps) - 1),), self.keeps_empty)

    def sizes(self, step: int) -> tuple[int, ...]:
        """Number of classes of the steps up to ``step``."""
        return tuple(len(classes) for classes in self.steps[: step + 1])


def benchmarks() -> dict[str, Benchmark]:
    """All built-in benchmarks by name."""
    found = {}
    for family in TWENTY:
        for split, sizes in SPLITS.items():
            starts = [1 + sum(sizes[:t]) for t in range(len(sizes))]
            steps = tuple(tuple(range(a, a + n)) for a, n in zip(starts, sizes, strict=True))
            found[f"{family}-{split}"] = Benchmark(f"{family}-{split}", family, steps)
    base, new = tuple(range(1, 61)), tuple(range(61, 81))
    found[COCO_TO_VOC] = Benchmark(COCO_TO_VOC, "coco-voc", (base, new), keeps_empty=True)
    return found


def benchmark(name: str) -> Benchmark:
    """Look a benchmark up. Raises SpecError with the closest name."""
    known = benchmarks()
    if name not in known:
        raise SpecError(f"unknown benchmark '{name}'.{did_you_mean(name, known)}")
    return known[name]


def step_images(tags: Sequence[Sequence[int]], protocol: Benchmark, step: int, scenario: Scenario) -> tuple[int, ...]:
    """Positions of the images of ``step``, ascending.

    Args:
        tags: class ids of every training image.

    Raises SpecError for a step that the benchmark does not have.
    """
    if not 0 <= step < len(protocol.steps):
        raise SpecError(f"{protocol.name} has no step {step}; its steps are 0 to {len(protocol.steps) - 1}")
    own, known = set(protocol.steps[step]), set(protocol.seen(step))
    if step == 0 and protocol.keeps_empty:
        return tuple(i for i, present in enumerate(tags) if set(present) <= known)
    shown = tuple(i for i, present in enumerate(tags) if own & set(present))
    if scenario == "overlap" or protocol.keeps_empty:
        return shown
    return tuple(i for i in shown if set(tags[i]) <= known)


def visible_tags(tags: Sequence[int], classes: Sequence[int]) -> tuple[bool, ...]:
    """Image-level labels that a step may see: one flag for each of its own classes, nothing of any other."""
    return tuple(c in tags for c in classes)


def output_channels(seen: Sequence[int], n_classes: int, void: int = 0) -> list[int]:
    """Lookup table of 256 entries from class id to output channel: unlisted classes 0, id 255 -> ``void``."""
    table = [0] * 256
    table[255] = void
    for channel, class_id in enumerate(seen, start=1):
        if not 1 <= class_id <= n_classes:
            raise SpecError(f"class id {class_id} is outside 1..{n_classes}")
        table[class_id] = channel
    return table
