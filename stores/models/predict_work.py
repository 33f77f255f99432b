"""A student at work on files: images in batches, and the frames of videos."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stores.models.predict_inputs import Input, stamp_of
from stores.models.predict_journal import Done, Writing
from stores.models.predict_line import Line
from stores.models.predict_options import FRAMES, VIDEO, PredictOptions
from stores.models.predict_video import label_video
from stores.models.predict_write import Loaded, count_pixels, load, outlines_of, pixels_of, write_picture
from wilss.data.images import to_canvas
from wilss.errors import DataError
from wilss.models.model import Model
from wilss.models.predict import predict_image, predict_shrunk
from wilss.progress import Progress

GPU_BATCH = 8
"""Images that go through a GPU at once unless told; a CPU gains nothing by it."""


@dataclass(frozen=True)
class Job:
    """An input and the name of its results, below the folder for all."""

    input: Input
    name: str


@dataclass(frozen=True)
class Result:
    """What became of a job. files: none where it could not be decoded, which ``problem`` tells. note: to be said."""

    job: Job
    files: tuple[Path, ...] = ()
    problem: str = ""
    note: str = ""


@dataclass(frozen=True)
class Work:
    """A network, what is to be written, and where it is noted."""

    model: Model
    options: PredictOptions
    out: Path
    key: str
    writing: Writing

    @property
    def batch(self) -> int:
        """Images that go through the network at once."""
        return self.options.batch or (1 if self.model.device.type == "cpu" else GPU_BATCH)

    def images(self, jobs: Sequence[Job]) -> Iterator[Result]:
        """Segment images; results as they are done, in order where each is a batch of its own."""
        canvas = None if self.options.passes.window else self.model.card.input.canvas
        line = Line[Job, Loaded, Tensor | None, Result](
            size=lambda job: pixels_of(job.input.path),
            read=lambda job: load(job.input.path, canvas),
            group=_group,
            see=self._see,
            write=self._write,
            batch=self.batch,
        )
        return line.run(jobs)

    def video(self, job: Job, progress: Progress) -> Result:
        """Label one video; without a result where it cannot be decoded."""
        target = self.out / f"{job.name}{VIDEO}"
        masks = self.out / f"{job.name}{FRAMES}" if self.options.frame_masks else None
        stamp = job.input.stamp or (0, 0)
        self.writing.begin(job.input.place, job.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            facts = label_video(
                job.input.path,
                target,
                self.labels_of,
                self.batch,
                self.options.every,
                masks,
                self.model.palette,
                progress,
            )
        except DataError as error:
            return Result(job, problem=str(error).partition("; ")[0])
        self._finish(job, stamp, [target, *([masks] if masks else [])], facts.size, facts.pixels)
        return Result(job, (target,), note=f"{facts.frames} frames of '{job.input.path}' are labelled")

    def labels_of(self, images: Sequence[Tensor]) -> list[Tensor]:
        """Class ids of images of one size, uint8 ``(3, H, W)``."""
        fitted = [self._fitted(image) for image in images]
        return [one for one in self._see(fitted) if one is not None]

    def _fitted(self, image: Tensor) -> Loaded:
        return Loaded(image, small=to_canvas(image, self.model.card.input.canvas))

    def _see(self, group: Sequence[Loaded]) -> list[Tensor | None]:
        network, card, passes = self.model.network, self.model.card, self.options.passes
        images = [one.image for one in group if one.image is not None]
        if len(images) < len(group):  # they are a group of their own
            return [None] * len(group)
        if passes.window:
            return [predict_image(network, card, image, passes) for image in images]
        small = torch.stack([one.small for one in group if one.small is not None])
        return [*predict_shrunk(network, card, small, [image.shape[1:] for image in images], passes.tta)]

    def _write(self, job: Job, loaded: Loaded, labels: Tensor | None) -> Result:
        if loaded.image is None or labels is None:
            return Result(job, problem=loaded.problem)
        self.writing.begin(job.input.place, job.name)
        files = write_picture(loaded.image, labels, self.out / job.name, self.options.endings, self.model.palette)
        outlines = outlines_of(labels) if self.options.format == "coco" else []
        height, width = labels.shape
        self._finish(job, loaded.stamp, files, (width, height), count_pixels(labels), outlines)
        return Result(job, tuple(files), note=loaded.note)

    def _finish(
        self,
        job: Job,
        stamp: tuple[int, int],
        files: Sequence[Path],
        size: tuple[int, int],
        pixels: dict[int, int],
        outlines: Sequence[dict[str, Any]] = (),
    ) -> None:
        entry = Done(
            key=self.key,
            place=job.input.place,
            path=str(job.input.path),
            stamp=stamp,
            name=job.name,
            files={path.relative_to(self.out).as_posix(): stamp_of(path) or (0, 0) for path in files},
            width=size[0],
            height=size[1],
            pixels=pixels,
            outlines=list(outlines),
        )
        self.writing.finish(entry)


def _group(loaded: Loaded) -> Hashable:
    """What goes through the network together: images of one size, once they are fitted to the canvas."""
    if loaded.image is None:
        return None
    return tuple((loaded.small if loaded.small is not None else loaded.image).shape)
