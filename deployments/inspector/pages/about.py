"""A label set: what made it, what was made from it, how good it is by class, and what people said of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from deployments.inspector.applying import applied
from deployments.inspector.asked import Asked
from deployments.inspector.desk import Desk, DeskOf
from deployments.inspector.html import in_path, page, short
from deployments.inspector.kin import around, made_by
from deployments.inspector.links import Link, linked
from deployments.inspector.told import facts_of, learn_command, parents_of
from stores.artefacts import Manifest
from stores.labels.review import VERDICTS
from stores.labels.review.carry import Carryable
from stores.labels.view import LabelView
from wilss.errors import FormatError

router = APIRouter()
ACTS = 40
"""Of a page of the history."""
NUMBERS = ("score", "agreement", "unchanged", "softmin", "coverage", "fragments", "teacher", "iou")


@dataclass(frozen=True)
class ClassFacts:
    """A class in numbers. states: rows by verdict. means: by column, None where unknown."""

    name: str
    rows: int
    states: dict[str, int]
    means: dict[str, float | None]


@router.get("/labels/{digest}/about")
def about(request: Request, desk: DeskOf, digest: str) -> HTMLResponse:
    """What is known of a label set beside its masks."""
    view, asked = desk.view(digest), Asked.of(request.query_params)
    manifest, lineage, reports = view.manifest, desk.lineage.refresh(), desk.reports.refresh()
    acts, last = view.review.acts, max(1, -(-view.review.last // ACTS))
    number = min(asked.page, last)
    stop = len(acts) - (number - 1) * ACTS
    return page(
        request,
        "about.html.j2",
        f"About label set {short(manifest.digest)}",
        view=view,
        digest=manifest.digest,
        manifest=manifest,
        made=made_by(manifest),
        recipe=facts_of(manifest.recipe),
        spec=facts_of(view.card.spec),
        parents=list(parents_of(manifest, lineage.manifests)),
        children=[(_role(child), linked(child.kind, child.digest), child) for child in _children(desk, manifest)],
        runs=[Link.to(one.name, f"/runs/{in_path(one.name)}") for one in reports.that_name(manifest.digest)],
        drawing=around(lineage, reports, manifest),
        command=learn_command(manifest, desk.root),
        classes=by_class(view),
        columns=[name for name in NUMBERS if name in view.columns and view.columns.known(name)],
        others=_others(desk, manifest),
        carried=_carryable(desk, manifest),
        acts=list(reversed(acts[max(0, stop - ACTS) : stop])),
        page_number=number,
        last_page=last,
        reviewed=len(view.review.states),
    )


@router.get("/labels/{digest}/against")
def choose(desk: DeskOf, digest: str, other: str = "") -> Response:
    """The page that compares two sets, from the form that asks for it."""
    address = f"/labels/{in_path(digest)}/{f'against/{in_path(other)}' if other else 'about'}"
    return RedirectResponse(address, 303)


@router.post("/api/labels/{digest}/apply")
async def apply(desk: DeskOf, digest: str) -> JSONResponse:
    """Make what the label set becomes by its review; one at a time."""
    named = (await run_in_threadpool(desk.view, digest)).manifest.digest
    async with desk.applying:
        return JSONResponse({"digest": await applied(desk.root, named)})


def by_class(view: LabelView) -> list[ClassFacts]:
    """Counts and means of every class of a set."""
    channels, verdicts = view.labels.index.pairs[1], view.verdicts
    columns = {name: view.columns[name] for name in NUMBERS if name in view.columns}
    found = []
    for channel, name in enumerate(view.labels.index.classes):
        own = channels == channel
        counts = np.bincount(verdicts[own], minlength=len(VERDICTS)).tolist()
        states = {verdict or "unreviewed": count for verdict, count in zip(VERDICTS, counts, strict=True)}
        means = {column: _mean(values[own]) for column, values in columns.items()}
        found.append(ClassFacts(name, int(own.sum()), states, means))
    return found


def _mean(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _children(desk: Desk, manifest: Manifest) -> list[Manifest]:
    return desk.lineage.children(manifest.digest)


def _role(child: Manifest) -> str:
    """What a child of a label set is."""
    if child.kind == "labels":
        return {"teacher": "masks of a teacher that learnt from it", "reviewed": "reviewed"}.get(
            made_by(child), "corrected elsewhere"
        )
    return "student that learnt from it" if child.kind == "checkpoints" else child.kind


def _others(desk: Desk, manifest: Manifest) -> list[Manifest]:
    """Sets of the same classes, near kin first."""
    own = (manifest.notes.get("class_ids"), manifest.notes.get("benchmark"))
    found = [m for m in desk.lineage.of_kind("labels") if m.digest != manifest.digest]
    same = [m for m in found if (m.notes.get("class_ids"), m.notes.get("benchmark")) == own]
    kin = {manifest.digest, *manifest.parents.values()}
    return sorted(same, key=lambda m: not kin & {m.digest, *m.parents.values()})


def _carryable(desk: Desk, manifest: Manifest) -> list[Carryable]:
    """Other reviews that hold for this set too; a damaged one of them hides the rest, and its own page says so."""
    try:
        return desk.carryable(manifest.digest)
    except FormatError:
        return []
