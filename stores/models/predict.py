"""What a stored student sees in files: images in batches, one video after the other; what is finished is skipped."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from stores.locks import held
from stores.models.predict_coco import write_coco
from stores.models.predict_inputs import find_inputs, result_names
from stores.models.predict_journal import TABLE, Done, Journal, Writing, require_own
from stores.models.predict_options import (
    COCO,
    ENDINGS,
    FRAMES,
    LEGEND,
    VIDEO,
    PredictOptions,
    classes_of,
    write_legend,
)
from stores.models.predict_video import require_video
from stores.models.predict_work import Job, Result, Work
from stores.progress import say, stage_progress
from wilss.device import require_device
from wilss.errors import DataError, SpecError
from wilss.models.card import StudentCard, load_card
from wilss.models.lookup import model_folder
from wilss.models.model import Model
from wilss.outputs import require_free, writable_folder

LOCK = ".predictions.lock"
TOLD = 5


@dataclass
class Predictions:
    """What is to be done with files, once everything is checked that can be before a network is loaded.

    classes: id -> name. unreadable: inputs without a result -> why, known as `run` goes on.

    Raises SpecError, DataNotFoundError or ArtefactNotFoundError for what cannot be done; nothing is written then.
    """

    checkpoint: str
    named: Sequence[Path]
    out: Path
    root: Path
    device: str = "auto"
    options: PredictOptions = field(default_factory=PredictOptions)
    unreadable: dict[Path, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        folder = model_folder(self.checkpoint, self.root)
        self.card: StudentCard = load_card(folder, StudentCard)
        self.key, self.classes = self.options.key(folder), classes_of(self.card)
        self.folder, self.place = folder, require_device(self.device)
        self._look()

    def _look(self) -> None:
        """What is there, what is to be done, and whether it can be."""
        self.journal = Journal(self.out)
        self.inputs = find_inputs(self.named, self.journal.results, self.out)
        self.jobs = self._jobs()
        self._require_possible()

    def _jobs(self) -> list[Job]:
        """What is not finished. A file that is gone since it was listed is found out when it is read."""
        known = {place: entry.name for place, entry in self.journal.entries.items()}
        known |= {place: entry.begun for place, entry in self.journal.begun.items()}
        names = result_names(self.inputs, ENDINGS, known)
        jobs = [Job(one, name) for one, name in zip(self.inputs, names, strict=True)]
        if self.options.again:
            return jobs
        return [job for job in jobs if not self.journal.is_finished(self.key, job.input.place, job.input.stamp)]

    def _require_possible(self) -> None:
        videos = [job for job in self.jobs if job.input.is_video]
        if videos:
            require_video(self.options)
        own, others = list[Path](), list[Path]()
        for job in self.jobs:
            for name in self._files(job):
                known = self.journal.owns(self.key, job.input.place, name)
                (own if known else others).append(self.out / name)
        for path in others:
            if path.is_dir():
                raise SpecError(f"'{path}' is a folder and no result of this command; move it, or choose another place")
        images = [one.path for one in self.inputs]
        require_free(own, True, images)
        require_free(others, self.options.replace, images)
        tables = [TABLE, LEGEND, *([COCO] if self.options.format == "coco" else [])]
        require_own(self.out, self.journal, tables, self.options.replace)

    def _files(self, job: Job) -> list[str]:
        if job.input.is_video:
            return [job.name + VIDEO, *([job.name + FRAMES] if self.options.frame_masks else [])]
        return [job.name + ending for ending in self.options.endings]

    def run(self) -> Iterator[Path]:
        """Do it; the first result of every input, or the folder's JSON where there are none, as soon as it is there.

        Inputs that cannot be decoded are kept in ``unreadable``.
        """
        model = Model.open(self.folder, self.place) if self.jobs else None  # one that is damaged leaves nothing behind
        writable_folder(self.out)
        with held(self.out / LOCK, lambda: say(f"another process writes into '{self.out}'; waiting for it")):
            self._look()  # another process may have written meanwhile
            if skipped := len(self.inputs) - len(self.jobs):
                what = "the same model and options, and unchanged files"
                say(f"{skipped} of {len(self.inputs)} are finished ({what}) and skipped; --again does them anew")
            write_legend(self.out, self.classes, self.card)
            with Writing(self.journal, self.classes, self.key) as writing:
                if model:
                    yield from self._do(model, writing)
            if self.options.format == "coco":
                write_coco(self.out / COCO, self.standing, self.classes)
                yield self.out / COCO

    @property
    def standing(self) -> list[Done]:
        """Everything in the folder that is finished with this model and these options."""
        return self.journal.standing(self.key)

    def _do(self, model: Model, writing: Writing) -> Iterator[Path]:
        work = Work(model, self.options, self.out, self.key, writing)
        begun, done = time.monotonic(), count(1)
        with stage_progress("predict") as progress:
            for result in work.images([job for job in self.jobs if not job.input.is_video]):
                self._tell(result)
                rate = (number := next(done)) / max(1e-9, time.monotonic() - begun)
                progress(f"{rate:.3g} images a second", number, len(self.jobs), 0.0)
                yield from result.files[:1]
            for job in [job for job in self.jobs if job.input.is_video]:
                result = work.video(job, progress)
                self._tell(result)
                yield from result.files[:1]

    def _tell(self, result: Result) -> None:
        path, name = result.job.input.path, result.job.name
        if result.problem:
            say(f"{result.problem}; it is left out")
            self.unreadable[path] = result.problem
        if result.note:
            say(result.note)
        if result.files and not same_name(name, path):
            say(f"the result of '{path}' is called '{result.files[0].name}'")

    def told(self) -> str:
        """One sentence on inputs that could not be decoded, "" where all could."""
        if not self.unreadable:
            return ""
        shown = ", ".join(f"'{path}'" for path in list(self.unreadable)[:TOLD])
        more = ", ..." if len(self.unreadable) > TOLD else ""
        of_all = f"{len(self.unreadable)} of {len(self.inputs)} images cannot be decoded and have no result"
        if len(self.unreadable) == len(self.inputs):
            of_all = f"none of {len(self.inputs)} images can be decoded, so there is no result"
        return f"{of_all}: {shown}{more}; replace these files"


def same_name(name: str, path: Path) -> bool:
    """Whether results are called as their input is."""
    return Path(name).name == path.stem


def predict_files(
    checkpoint: str,
    images: Sequence[Path],
    out: Path,
    root: Path,
    device: str = "auto",
    replace: bool = False,
    options: PredictOptions | None = None,
) -> Iterator[Path]:
    """Segment files, and the images of folders and patterns: see `Predictions`.

    Args:
        checkpoint: see `wilss.models.lookup.model_folder`. images: see `stores.models.predict_inputs.find_inputs`.
        replace: results that are there may be replaced; an image never is.
        options: what is written and how; palette PNGs, overlays and tables when left out.

    Yields the first result of every input. Raises as `Predictions` does, and DataError at the end for inputs that
    cannot be decoded.
    """
    chosen = dataclasses.replace(options or PredictOptions(), replace=replace)
    work = Predictions(checkpoint, images, out, root, device, chosen)
    yield from work.run()
    if said := work.told():
        raise DataError(said)
