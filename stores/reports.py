"""The report of a run, gathered from what is stored of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import torch

from stores.artefacts import ArtefactRef, Manifest
from stores.evaluations import read_confusions
from stores.health import run_health
from stores.labels.look import known_names, look_at, truth_view
from stores.labels.mend import read_mended
from stores.labels.quality import label_quality
from stores.labels.sets import LabelSet
from stores.labels.stats import worst_images
from stores.plans.run import Run
from stores.plans.session import Session, StageNote
from stores.runs import run_folder
from wilss.data.room import peak_resident
from wilss.data.source import Split
from wilss.errors import DamagedArtefactError, FormatError
from wilss.layout import AGAIN, MANIFEST
from wilss.measure.confusion import iou
from wilss.measure.tables import CONVENTIONS, Metrics, forgetting, group_means, metrics
from wilss.models.card import StudentCard, load_card
from wilss.models.files import load_student
from wilss.models.predict import predict_image
from wilss.outside import checked
from wilss.report.charts import Confused
from wilss.report.fewshot_records import FewShotReport
from wilss.report.gallery import Gallery
from wilss.report.pictures import View, gallery
from wilss.report.records import LabelEntry, Means, ReviewCounts, RunReport, Scored, StepEntry, WordsUsed, share
from wilss.report.run import Drawn, run_page

N_PICTURES = 8
REPORT = "report"
"""What a session notes of a report that was found."""
Report = TypeVar("Report", RunReport, FewShotReport)


def gather_report(run: Run, last_step: int, seconds: dict[str, float]) -> RunReport:
    """Everything that is known of a run up to a step, whose artefacts are all in the store."""
    seconds = with_earlier_seconds(RunReport, run_folder(run.settings, run.spec) / "report.json", seconds)
    steps = tuple(_step_entry(run, step) for step in range(run.first_step, last_step + 1))
    sets = [
        (step, manifest) for step in range(run.first_step + 1, last_step + 1) for manifest in label_manifests(run, step)
    ]
    there = _there(run, last_step)
    return RunReport(
        format=RunReport.FORMAT,
        run=run_folder(run.settings, run.spec).name,
        benchmark=run.spec.benchmark,
        method=run.spec.method,
        scenario=run.spec.scenario,
        seed=run.spec.seed,
        per_class_iou=steps[-1].per_class_iou,
        metrics=steps[-1].metrics,
        steps=steps,
        label_sets=tuple(_label_entry(run, step, manifest) for step, manifest in sets),
        health=run_health(run, last_step),
        stage_seconds=seconds,
        total_seconds=sum(seconds.values()),
        peak_rss_bytes=peak_resident(),
        versions=versions(),
        device=str(run.device),
        command=command_line(),
        started_by=run.session.started_by,
        artefacts={name: manifest.digest for name, manifest in there.items()},
        made={name: manifest.created for name, manifest in there.items()},
        skipped_images=run.source.skipped,
        sources=run.settings.sources,
        spec=run.spec.shown(),
    ).sealed()


def standing_report(run: Run, last_step: int) -> RunReport | None:
    """See `report_of_what_stands`."""
    path = run_folder(run.settings, run.spec) / "report.json"
    return report_of_what_stands(RunReport, path, run.session, _there(run, last_step))


def report_of_what_stands(
    kind: type[Report], path: Path, session: Session, there: Mapping[str, Manifest]
) -> Report | None:
    """The report that was written of just what is there, by these versions; None when there is none.

    What was made anew has the digest of what it replaced, so that times count too.

    Args:
        path: of the report; its page lies beside it. there: node -> manifest.
    """
    if not all(file.is_file() for file in (path, path.with_suffix(".html"))):
        return None
    try:
        report = kind.read(path)
    except DamagedArtefactError as error:
        session.say(f"report: {error.fault}; written anew")
        return None
    made = {name: manifest.created for name, manifest in there.items()}
    if (report.format, report.versions, report.made) != (kind.FORMAT, versions(), made):
        return None
    session.stages[REPORT] = StageNote(REPORT, "found")
    session.say("report: found, nothing was to be done")
    return report


def report_page(run: Run, last_step: int, report: RunReport) -> str:
    """The page of a report, with pictures of label sets and predictions."""
    manifests = label_manifests(run, last_step)
    labels = _label_gallery(run, last_step, manifests) if manifests else None
    new = run.names(run.protocol.steps[last_step]) if last_step > run.first_step else ()
    drawn = Drawn(labels, _prediction_gallery(run, last_step), _histories(run, last_step), _confused(run, last_step))
    return run_page(report, drawn, new)


def with_earlier_seconds(kind: type[Report], path: Path, seconds: Mapping[str, float]) -> dict[str, float]:
    """Seconds of every stage: those of now, and for what was found now those that the run's report had before."""
    try:
        return {**(kind.read(path).stage_seconds if path.is_file() else {}), **seconds}
    except FormatError:  # it is about to be written anew
        return dict(seconds)


def _there(run: Run, last_step: int) -> dict[str, Manifest]:
    """Node -> manifest of what the store has of a run up to a step."""
    found = run.plan.standing(run.store).items()
    return {name: manifest for name, manifest in found if run.plan[name].at <= last_step}


def versions() -> dict[str, str]:
    """Versions that may change numbers."""
    packages = ("wilss", "torch", "timm", "open_clip_torch", "kornia", "zarr", "prefect")
    return {"python": sys.version.split()[0], **{name: version(name) for name in packages}}


def command_line() -> str:
    """The command that started this process, where it was one of ours."""
    program = Path(sys.argv[0])
    ours = program.name == "wilss" or program.parts[-3:-1] == ("flows", "cli")
    return " ".join(["wilss", *sys.argv[1:]]) if ours else ""


def _step_entry(run: Run, step: int) -> StepEntry:
    """Means and IoU of every class after a step: old are the base classes, new those of all later steps.

    A method of one merged step is scored as the benchmark's last one.
    """
    reached = len(run.benchmark.steps) - 1 if run.spec.merged else step
    n_old, names = len(run.benchmark.steps[0]), ("background", *run.class_names(step))
    tables = {}
    for scoring, matrix in _confusions(run, step).items():
        per_class = iou(matrix)
        tables[scoring] = Scored(
            conventions={name: _means(metrics(per_class, n_old, name)) for name in CONVENTIONS},
            groups=tuple(share(value) for value in group_means(per_class, run.benchmark.sizes(reached))),
            per_class_iou={name: share(float(value)) for name, value in zip(names, per_class, strict=True)},
        )
    return StepEntry(
        step=step,
        n_classes=len(names) - 1,
        metrics=tables["full"].conventions["C"],
        per_class_iou=tables["full"].per_class_iou,
        tables=tables,
        forgetting=None if run.spec.merged else _forgetting(run, step),
    )


def _confusions(run: Run, step: int) -> dict[str, torch.Tensor]:
    return read_confusions(run.store.folder(run.require(run.node("evaluation", step))))


def _forgetting(run: Run, step: int) -> float | None:
    """Drop of the base classes since the first step of the run."""
    now, base = (iou(_confusions(run, number)["full"]) for number in (step, run.first_step))
    return share(forgetting(now, base, len(run.benchmark.steps[0])))


def _means(values: Metrics) -> Means:
    return Means(old=share(values.old), new=share(values.new), all=share(values.all))


def label_manifests(run: Run, step: int) -> list[Manifest]:
    """What a step learnt from, and its teacher's masks; none for the first step, and for a method without either."""
    if step <= run.first_step:
        return []
    named = [run.labels_of(step), run.node("final labels", step).recipe]
    return [manifest for one in named if one is not None and (manifest := run.store.find(one))]


def _label_entry(run: Run, step: int, manifest: Manifest) -> LabelEntry:
    rows, quality = read_mended(
        run, step, manifest.ref, lambda labels: (len(labels), label_quality(run.source, labels))
    )
    review, words = manifest.notes.get("review"), manifest.notes.get("words")
    place = run.store.folder(manifest.ref) / MANIFEST
    return LabelEntry(
        digest=manifest.digest,
        step=step,
        rows=rows,
        images=len(run.lists.ids(step)),
        iou={stage: table["mean"] for stage, table in quality.items()},
        per_class_iou=quality,
        review=None if review is None else checked(ReviewCounts, review, place, AGAIN),
        words=None if words is None else checked(WordsUsed, words, place, AGAIN),
    )


def _histories(run: Run, last_step: int) -> dict[str, list[dict[str, float]]]:
    """Losses of every training by epoch."""
    steps = range(run.first_step, last_step + 1)
    nodes = {f"step {step}" if step else "base": run.node("checkpoint", step) for step in steps}
    return {name: load_card(run.store.folder(run.require(n)), StudentCard).history for name, n in nodes.items()}


def _confused(run: Run, step: int) -> Confused:
    """What was taken for what on full-size images after a step."""
    return Confused(("background", *run.class_names(step)), _confusions(run, step)["full"].tolist())


def _label_gallery(run: Run, step: int, manifests: list[Manifest]) -> Gallery:
    """Image, truth and all masks of a few images, from the worst to the best."""
    sets = [LabelSet.open(run.store.folder(manifest.ref)) for manifest in manifests]
    order = worst_images(sets[0])
    picked = order[torch.linspace(0, len(order) - 1, min(N_PICTURES, len(order))).long().numpy()].tolist()
    looked = look_at(run.source, sets, picked, run.protocol.steps[step])
    title, note = f"Pseudo-labels of step {step}", "From the image with the worst mask to the one with the best."
    rows = list(zip(looked.notes, looked.rows, strict=True))
    return gallery(title, looked.titles, rows, looked.names, note=note)


def _prediction_gallery(run: Run, last_step: int) -> Gallery:
    """Evaluation images with as many new classes as possible: truth, prediction before and after the last step."""
    steps = sorted({run.first_step, last_step})
    students = {f"after step {step}": run.require(run.node("checkpoint", step)) for step in steps}
    return predictions_gallery(run, students, "Predictions before and after the last step")


@torch.inference_mode()
def predictions_gallery(run: Run, students: dict[str, ArtefactRef], title: str) -> Gallery:
    """Image, truth and what every student makes of it, for images with classes of the last step.

    Args:
        students: title of a column -> reference.
    """
    models = [load_student(run.store.folder(student)) for student in students.values()]
    own = {class_id: colour for _, card in models for class_id, colour in card.colour_of.items()}
    rows = []
    for image_id, names in _showcase(run, N_PICTURES):
        image = run.source.image(image_id)
        predictions = [View(image, predict_image(model, card, image)) for model, card in models]
        views = [View(image), truth_view(run.source, image_id, image), *predictions]
        rows.append((f"{image_id}: {', '.join(names)}", views))
    return gallery(title, ["image", "truth", *students], rows, known_names(run.source), own)


def _showcase(run: Run, count: int) -> list[tuple[str, list[str]]]:
    """Images to show, with their class names: those with a class of the benchmark's last step first.

    Evaluation images, or training images where there are none.
    """
    new, split = set(run.benchmark.steps[-1]), _shown_split(run)
    training = run.lists.training
    ids, tags = (training.ids, training.tags) if split == "train" else (run.source.ids(split), run.source.tags(split))
    order = sorted(range(len(tags)), key=lambda i: (-bool(new & set(tags[i])), i))[:count]
    return [(ids[i], list(run.names(tags[i]))) for i in order]


def _shown_split(run: Run) -> Split:
    return "eval" if run.source.ids("eval") else "train"
