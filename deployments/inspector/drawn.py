"""What pages of runs and comparisons show: the content of the static reports, from what is stored, with links."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from deployments.inspector.html import in_path
from deployments.inspector.lineage import Lineage
from deployments.inspector.links import Link, linked
from deployments.inspector.reports import Reports, Stored
from deployments.inspector.shown import galleries_of, served
from stores.artefacts import Manifest, Store
from stores.evaluations import read_counts
from wilss.errors import ArtefactNotFoundError, FormatError
from wilss.models.card import ModelCard, load_card
from wilss.report.charts import Confused
from wilss.report.comparison import comparison_content
from wilss.report.fewshot import model_page_head, page_content, run_tables
from wilss.report.fewshot_records import FewShotComparisonReport, FewShotReport
from wilss.report.gallery import Gallery
from wilss.report.records import AGAIN, ComparisonReport, Made, Record, RunReport
from wilss.report.run import Drawn, run_content, run_title

NO_PICTURES = Gallery("Pictures", (), note="The page of the report is gone, and its pictures with it.")
Entries = list[tuple[str, Link | str]]


@dataclass(frozen=True)
class Around:
    """Where a record lies, and what is known of what it names."""

    store: Store
    lineage: Lineage
    reports: Reports
    stored: Stored

    def manifest(self, record: Made, node: str) -> Manifest | None:
        """What a node of the run made, where it is there."""
        return self.lineage.manifests.get(record.artefacts.get(node, ""))


@dataclass
class RecordPage:
    """A page. content: what its template names. links: title -> what is listed under it."""

    template: str
    title: str
    content: Mapping[str, Any]
    links: dict[str, Entries] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)


def incremental(around: Around, record: Record) -> RecordPage:
    """The page of an incremental run. Raises FormatError for a record that tells too little to be drawn."""
    assert isinstance(record, RunReport)
    require_drawable(record, around.stored)
    notices: list[str] = []
    last = record.steps[-1].step
    histories = dict(_histories(around, record, notices))
    *labels, predictions = _galleries(around) or [NO_PICTURES]
    drawn = Drawn(labels[0] if labels else None, predictions, histories, _confused(around, record, last, notices))
    taught = [step.per_class_iou for step in record.steps]
    new = [name for name in taught[-1] if len(taught) > 1 and name not in taught[-2]]
    content = run_content(_with_links(around, record), drawn, new)
    return RecordPage("run.html.j2", run_title(record), content, {}, notices)


def fewshot_run(around: Around, record: FewShotReport) -> RecordPage:
    """The page of a few-shot run."""
    title, notes = model_page_head(record)
    notices: list[str] = []
    heads = [(node, m) for node in record.artefacts if (m := around.manifest(record, node)) and m.kind == "heads"]
    found = ((node, _history(around, manifest, notices)) for node, manifest in heads)
    histories = {node: history for node, history in found if history}
    content = page_content(notes, run_tables(record), histories, _pictures(around), record)
    return RecordPage("fewshot.html.j2", title, content, _artefacts(around, record), notices)


def compared(around: Around, record: Record) -> RecordPage:
    """The page of a comparison of methods; runs of it that are not here any more are not drawn."""
    assert isinstance(record, ComparisonReport)
    by_name = {one.name: one.record for one in around.reports.runs if isinstance(one.record, RunReport)}
    reports: dict[str, list[RunReport]] = {}
    lost = []
    for entry in record.runs:
        found = by_name.get(entry.run)
        if found is None or not is_drawable(found):
            lost.append(entry.run)
        else:
            reports.setdefault(entry.name, []).append(found)
    even = {name: runs for name, runs in reports.items() if len({len(run.steps) for run in runs}) == 1}
    entries = [e.model_copy(update={"run": _run_link(around, e.run)}) for e in record.runs]
    content = comparison_content(record.model_copy(update={"runs": tuple(entries)}), even, _pictures(around))
    lost_words = "is not here any more, or cannot be read: it is in the tables, not in the bars"
    notices = [f"run '{name}' {lost_words}" for name in lost]
    return RecordPage("compare.html.j2", f"{record.benchmark}: comparison", content, {}, notices)


def fewshot_compared(around: Around, record: Record) -> RecordPage:
    """The page of a comparison of few-shot models."""
    assert isinstance(record, FewShotComparisonReport)
    content = page_content([], record.tables, {}, _pictures(around), record)
    entries: Entries = [(f"run {n}", _run_link(around, name)) for n, name in enumerate(record.runs, start=1)]
    title = f"{record.benchmark}: comparison of few-shot models"
    return RecordPage("fewshot.html.j2", title, content, {"Runs": entries})


def _run_link(around: Around, name: str) -> Link:
    """A run's name, which leads to its page where it is there."""
    there = any(one.name == name for one in around.reports.runs)
    return Link.to(name, f"/runs/{in_path(name)}" if there else "")


def is_drawable(record: RunReport) -> bool:
    """Whether a record has what bars and tables are made of."""
    return bool(record.steps) and all(
        "full" in step.tables and {"A", "B", "C"} <= {*step.tables["full"].conventions} for step in record.steps
    )


def require_drawable(record: RunReport, stored: Stored) -> None:
    """Raise FormatError for a record that lacks the scores of its steps."""
    if not is_drawable(record):
        raise FormatError(f"'{stored.path}' tells no scores of its steps, so there is nothing to draw; {AGAIN}")


def _with_links(around: Around, record: RunReport) -> RunReport:
    """The same with digests that lead to pages, and with a setting that its template asks for."""
    kinds = {digest: m.kind for digest, m in around.lineage.manifests.items()}
    made = {node: linked(kinds[d], d) if d in kinds else d for node, d in record.artefacts.items()}
    sets = tuple(
        entry.model_copy(update={"digest": linked("labels", entry.digest)}) if entry.digest in kinds else entry
        for entry in record.label_sets
    )
    data = record.spec.get("data")
    spec = {**record.spec, "data": {"eval_crop": None, **(data if isinstance(data, dict) else {})}}
    return record.model_copy(update={"artefacts": made, "label_sets": sets, "spec": spec})


def _artefacts(around: Around, record: Made) -> dict[str, Entries]:
    kinds = {digest: m.kind for digest, m in around.lineage.manifests.items()}
    return {"Artefacts": [(n, linked(kinds[d], d) if d in kinds else d) for n, d in record.artefacts.items()]}


def _histories(around: Around, record: RunReport, notices: list[str]) -> Iterator[tuple[str, list[dict[str, float]]]]:
    for step in record.steps:
        manifest = around.manifest(record, f"checkpoint {step.step}")
        if manifest is not None:
            yield ("base" if step.step == 0 else f"step {step.step}"), _history(around, manifest, notices)
        else:
            notices.append(f"the model of step {step.step} is not here any more, so that its losses are not drawn")


def _history(around: Around, manifest: Manifest, notices: list[str]) -> list[dict[str, float]]:
    try:
        return load_card(around.store.path(manifest.kind, manifest.digest), ModelCard).history
    except (FormatError, ArtefactNotFoundError) as error:
        notices.append(str(error))
        return []


def _confused(around: Around, record: RunReport, step: int, notices: list[str]) -> Confused | None:
    manifest = around.manifest(record, f"evaluation {step}")
    if manifest is None:
        notices.append("the evaluation of the last step is not here any more, so that its confusion is not drawn")
        return None
    try:
        found = read_counts(around.store.path(manifest.kind, manifest.digest))
    except FormatError as error:
        notices.append(str(error))
        return None
    table = found.tables.get("full")
    return Confused(("background", *found.classes), table) if table else None


def _pictures(around: Around) -> Gallery:
    return next(iter(_galleries(around)), NO_PICTURES)


def _galleries(around: Around) -> list[Gallery]:
    """Pictures of the report's own page, each at an address of its own."""
    path = around.stored.path
    base = f"/{'comparisons' if path.name == 'compare.json' else 'runs'}/{in_path(around.stored.name)}/pictures"
    return served(galleries_of(path.with_suffix(".html")), f"{base}/{round(around.stored.written)}")
