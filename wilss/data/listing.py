"""Which images each step of a benchmark has, told from image-level labels alone. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wilss.data.tags import read_labels
from wilss.outputs import writable_folder
from wilss.protocol import Benchmark, Scenario, count_steps


@dataclass(frozen=True)
class TaggedList:
    """Training images: their ids, class ids (from 1) of each, and the names of all classes by id."""

    ids: tuple[str, ...]
    tags: tuple[tuple[int, ...], ...]
    classes: tuple[str, ...]


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
    return [
        StepList(
            step=counts.step,
            classes=tuple(images.classes[c - 1] for c in protocol.steps[counts.step]),
            images=len(counts.images),
            with_old_class=counts.with_old,
            in_earlier_step=counts.repeated,
            images_by_labels={str(k): n for k, n in enumerate(counts.labels, start=1)},
            ids=tuple(images.ids[i] for i in counts.images),
        )
        for counts in count_steps(images.tags, protocol, scenario)
    ]


def write_lists(steps: Sequence[StepList], folder: Path) -> None:
    """Write one id list a step: ``step-0.txt`` and so on. Raises SpecError where nothing may be written."""
    writable_folder(folder)
    for entry in steps:
        (folder / f"step-{entry.step}.txt").write_text("".join(f"{i}\n" for i in entry.ids))
