"""Scoring a student on Dask's workers: parts of a list of images, whose confusion matrices add up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from torch import Tensor

from stores.artefacts import ArtefactRef
from stores.plans.run import Run
from stores.progress import stage_progress
from tasks.base import heavy_task
from tasks.workers import RunElsewhere, opened, require_same
from wilss.data.images import ImageTable, MaskedImages
from wilss.data.room import Room
from wilss.data.source import Source
from wilss.measure.score import score_batches, score_crops
from wilss.models.files import load_student
from wilss.nets.segmenter import Segmenter


@dataclass(frozen=True)
class ScoreList:
    """Images that a student is scored on by workers, and how.

    name: of the matrix, as `read_confusions` has it. student: a checkpoint. names: of its classes, None for any.
    classes: ids of the classes whose labels count. data: digest of the images and these labels. canvas, channels: see
    `wilss.data.images`. part: which of the source's evaluation sets, "" the main one. images: ids, where they are none
    of these. crop: side of centre crops; None scores full-size images.
    """

    name: str
    student: ArtefactRef
    names: tuple[str, ...] | None
    classes: tuple[int, ...]
    data: str
    canvas: int
    channels: tuple[int, ...]
    part: str = ""
    images: tuple[str, ...] = ()
    crop: int | None = None

    def ids(self, source: Source) -> tuple[str, ...]:
        """All of the images."""
        return self.images or (source.further_eval[self.part] if self.part else source.ids("eval"))


@heavy_task(name="image sizes", task_run_name="sizes of images, part {part}")
def image_shapes(run: RunElsewhere, of: ScoreList, ids: Sequence[str], part: int) -> list[tuple[int, ...]]:
    """Shapes of images on the canvas, by which they share batches."""
    with opened(run) as here, stage_progress(f"{of.name} sizes, part {part}") as progress:
        table = ImageTable(here.source, tuple(ids), of.canvas, Room(0))
        shapes = [tuple(table.image(position).shape) for position in range(len(table))]
        progress("sizes", len(table), len(table), 0.0)
        return shapes


@heavy_task(name="scored part", task_run_name="scores of {of.name} images, part {part}")
def scored_part(run: RunElsewhere, of: ScoreList, batches: Sequence[Sequence[str]], part: int) -> tuple[str, Tensor]:
    """The name of a matrix, and what these batches of images add to it, int64 ``(1 + C, 1 + C)``."""
    with opened(run) as here:
        here.session.once(("same data", of.data), lambda: _require_same_data(run, here, of))
        model = here.session.latest(of.student, lambda: _loaded(here, of))
        ids = [image_id for batch in batches for image_id in batch]
        data = MaskedImages(ImageTable(here.source, tuple(ids), of.canvas, here.session.room), of.channels, here.source)
        with stage_progress(f"{of.name}, part {part}") as progress:
            if of.crop:
                return of.name, score_crops(model, data, of.crop, progress=progress)
            starts = list(accumulate(map(len, batches), initial=0))
            positions = [range(start, stop) for start, stop in pairwise(starts)]
            return of.name, score_batches(model, data, positions, progress)


def _loaded(here: Run, of: ScoreList) -> Segmenter:
    return load_student(here.store.folder(of.student), of.names)[0].to(here.device)


def summed(parts: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """Whole matrices by name; whole numbers, so that the order of the parts does not matter."""
    tables: dict[str, Tensor] = {}
    for name, table in parts:
        tables[name] = tables[name] + table if name in tables else table
    return tables


def _require_same_data(run: RunElsewhere, here: Run, of: ScoreList) -> bool:
    found = here.source.fingerprint_of(of.ids(here.source), of.classes)
    require_same(run, "digest of the images", found, of.data)
    return True
