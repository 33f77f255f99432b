"""Models, and every other artefact: what it is, what it was made from, and what was made from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from deployments.inspector.desk import Desk, DeskOf
from deployments.inspector.html import in_path, page, short
from deployments.inspector.kin import around, noun_of
from deployments.inspector.links import NOUNS, Link, linked
from deployments.inspector.reports import Stored
from deployments.inspector.told import facts_of, parents_of
from stores.artefacts import Manifest
from stores.manifests import sound_manifest
from wilss.aliases import aliases_of
from wilss.data.palette import ClassLook
from wilss.errors import ArtefactNotFoundError, FormatError
from wilss.layout import KINDS, Kind, find_artefact
from wilss.models.card import ModelCard, load_card

router = APIRouter()
MODELS: tuple[Kind, ...] = ("checkpoints", "heads")


@router.get("/models")
def models(request: Request, desk: DeskOf) -> HTMLResponse:
    """All models, newest first."""
    lineage, reports = desk.lineage.refresh(), desk.reports.refresh()
    runs: dict[str, Stored] = {}
    for stored in reversed(reports.runs):
        runs |= dict.fromkeys(getattr(stored.record, "artefacts", {}).values(), stored)
    found = sorted([*lineage.of_kind("checkpoints"), *lineage.of_kind("heads")], key=lambda m: m.created, reverse=True)
    called, problems = _called(desk)
    lines = [
        (m, noun_of(m), linked(m.kind, m.digest), _run_link(runs.get(m.digest)), called.get(m.digest, ()))
        for m in found
    ]
    faults = problems + [error for folder, error in lineage.faults.items() if folder.parent.parent.name in MODELS]
    return page(request, "models.html.j2", "Models", found=lines, problems=faults)


def _called(desk: Desk) -> tuple[dict[str, list[str]], list[FormatError]]:
    """Digest -> aliases that point to it, and what is wrong with their log."""
    called: dict[str, list[str]] = {}
    try:
        for name, digest in aliases_of(desk.root).items():
            called.setdefault(digest, []).append(name)
    except FormatError as error:
        return {}, [error]
    return called, []


def _run_link(stored: Stored | None) -> Link | None:
    return Link.to(stored.name, f"/runs/{in_path(stored.name)}") if stored else None


@router.get("/models/{digest}")
def model(request: Request, desk: DeskOf, digest: str) -> HTMLResponse:
    """One model by its digest, or the first digits of it."""
    manifest = _found(desk, digest, MODELS)
    card, problems = None, []
    try:
        card = load_card(desk.store.path(manifest.kind, manifest.digest), ModelCard)
    except (FormatError, ArtefactNotFoundError) as error:
        problems.append(error)
    return _page(request, desk, manifest, card, problems)


@router.get("/artefacts/{kind}/{digest}")
def artefact(request: Request, desk: DeskOf, kind: str, digest: str) -> HTMLResponse:
    """One artefact of any kind."""
    known = [each for each in KINDS if each == kind]
    if not known:
        raise ArtefactNotFoundError(f"there is no kind '{kind[:40]}' of artefacts; there are {', '.join(KINDS)}")
    return _page(request, desk, _found(desk, digest, known), None, [])


def _found(desk: Desk, digest: str, kinds: Sequence[Kind]) -> Manifest:
    """The manifest of an artefact of one of these kinds. Raises as `stores.artefacts.Store.get` does."""
    for kind in kinds[:-1]:
        try:
            return sound_manifest(find_artefact(desk.root, kind, digest))
        except ArtefactNotFoundError:
            continue
    return sound_manifest(find_artefact(desk.root, kinds[-1], digest))


def _page(
    request: Request, desk: Desk, manifest: Manifest, card: ModelCard | None, problems: Sequence[Exception]
) -> HTMLResponse:
    lineage, reports = desk.lineage.refresh(), desk.reports.refresh()
    noun = NOUNS.get(manifest.kind, manifest.kind)
    return page(
        request,
        "artefact.html.j2",
        f"{noun[:1].upper()}{noun[1:]} {short(manifest.digest)}",
        manifest=manifest,
        is_model=manifest.kind in MODELS,
        what=noun_of(manifest),
        card=card,
        looks=_looks(card) if card else [],
        card_facts=_card_facts(card) if card else [],
        problems=problems,
        recipe=facts_of(manifest.recipe),
        counts=facts_of(manifest.counts),
        parents=list(parents_of(manifest, lineage.manifests)),
        children=[(noun_of(m), linked(m.kind, m.digest), m) for m in lineage.children(manifest.digest)],
        runs=[Link.to(one.name, f"/runs/{in_path(one.name)}") for one in reports.that_name(manifest.digest)],
        drawing=around(lineage, reports, manifest),
    )


def _looks(card: ModelCard) -> list[ClassLook]:
    """Classes of a model, in its own colours; those of silhouettes have no names, and show nothing."""
    named = card.colours if len(card.colours) == len(card.classes) else [(127, 127, 127)] * len(card.classes)
    return [ClassLook(name, colour, "") for name, colour in zip(card.classes, named, strict=True)]


def _card_facts(card: ModelCard) -> list[tuple[str, str]]:
    """What a card says beside its classes."""
    content: dict[str, Any] = card.model_dump(mode="json", exclude={"classes", "colours", "history", "class_ids"})
    return facts_of(content)
