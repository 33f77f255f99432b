"""Which images each step of a benchmark has, told from image-level labels alone. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wilss.data.source import Source
from wilss.data.tags import read_labels
from wilss.outputs import writable_folder
from wilss.protocol import Benchmark, Scenario, step_images


@dataclass(frozen=True)
class TaggedList:
    """Training images: their ids, class ids (from 1) of each, and the names of all classes by id."""

    ids: tuple[str, ...]
    tags: tuple[tuple[int, ...], ...]
    classes: tuple[str, ...]

    @classmethod
    def of(cls, source: Source) -> TaggedList:
        """Those of a data set; read once for all runs over it."""
        return cls(source.ids("train"), source.tags("train"), tuple(source.classes))


@dataclass(frozen=True)
class StepList:
    """One step: names of its classes, number and ids of its images.

    with_old_class: images that show a class of an earlier step too. in_earlier_step: images that an earlier step has
    too. images_by_labels: "1", "2", ... of the step's classes -> images that show as many.
    """

    step: int
    classes: tuple[str, ...]
    images: int
    with_old_class: int
    in_earlier_step: int
    images_by_labels: dict[str, int]
    ids: tuple[str, ...]


def read_list(labels: Path, classes: Sequence[str], ignore: Sequence[str] = ()) -> TaggedList:
    """The images of a label table, which need not be at hand; see `wilss.data.tags.read_labels`."""
    table = read_labels(labels, classes, ignore=ignore)
    return TaggedList(tuple(table), tuple(table.values()), tuple(classes))


def list_steps(images: TaggedList, protocol: Benchmark, scenario: Scenario) -> list[StepList]:
    """Every step of a benchmark over these images."""
    cut = [step_images(images.tags, protocol, step, scenario) for step in range(len(protocol.steps))]
    return [_listed(images, protocol, step, at, set().union(*cut[:step])) for step, at in enumerate(cut)]


def _listed(images: TaggedList, protocol: Benchmark, step: int, at: Sequence[int], earlier: set[int]) -> StepList:
    """A step that has the images at these positions.

    Args:
        earlier: positions of those that steps before it have.
    """
    old, own = set(protocol.seen(step - 1)) if step else set(), set(protocol.steps[step])
    shown = Counter(len(own & set(images.tags[i])) for i in at)
    return StepList(
        step=step,
        classes=tuple(images.classes[c - 1] for c in protocol.steps[step]),
        images=len(at),
        with_old_class=sum(bool(old & set(images.tags[i])) for i in at),
        in_earlier_step=len(earlier & set(at)),
        images_by_labels={str(k): shown[k] for k in range(1, max(shown, default=0) + 1)},
        ids=tuple(images.ids[i] for i in at),
    )


def write_lists(steps: Sequence[StepList], folder: Path) -> None:
    """Write one id list a step: ``step-0.txt`` and so on. Raises SpecError where nothing may be written."""
    writable_folder(folder)
    for entry in steps:
        (folder / f"step-{entry.step}.txt").write_text("".join(f"{i}\n" for i in entry.ids))
