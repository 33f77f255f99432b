"""Artefacts and runs as things of a drawing: what lies around one artefact, and what the newest runs made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from deployments.inspector.graph import Graph, Thing, graph_of
from deployments.inspector.html import in_path, short
from deployments.inspector.lineage import Lineage
from deployments.inspector.links import NOUNS, address_of
from deployments.inspector.reports import Reports, Stored
from stores.artefacts import Manifest
from wilss.report.records import Made

DRAWN = ("labels", "checkpoints", "heads", "banks")
"""Kinds of artefacts that are drawn."""
MOST_RUNS = 4
MOST_KIN = 24


def made_by(manifest: Manifest) -> str:
    """What made a label set, in a word."""
    if "teacher" in manifest.parents:
        return "teacher"
    if "parent" in manifest.parents:
        return "reviewed" if manifest.recipe.get("stage") == "review" else "corrected elsewhere"
    return "co-segmented"


def noun_of(manifest: Manifest) -> str:
    """What an artefact is, in two words."""
    if manifest.kind == "labels":
        return f"label set, {made_by(manifest)}"
    if manifest.kind == "checkpoints":
        return "student" if manifest.parents else "base model"
    if manifest.kind == "heads":
        return {"head": "few-shot model"}.get(str(manifest.recipe.get("stage")), str(manifest.recipe.get("stage")))
    return NOUNS.get(manifest.kind, manifest.kind)


def thing_of(manifest: Manifest, here: str = "") -> Thing:
    """An artefact in a drawing.

    Args:
        here: digest of the one that the page is about.
    """
    digest, parents = manifest.digest, tuple(manifest.parents.values())
    address = address_of(manifest.kind, digest)
    return Thing(digest, noun_of(manifest)[:40], short(digest), address, parents, digest == here)


def run_thing(stored: Stored, lineage: Lineage) -> Thing:
    """A run in a drawing, behind the last things that it made."""
    record = stored.record
    there = [lineage.manifests[d] for d in _made(stored) if d in lineage.manifests]
    used = {parent for manifest in there for parent in manifest.parents.values() if manifest.kind in DRAWN}
    made = tuple(m.digest for m in there if m.kind in DRAWN and m.digest not in used)
    name = getattr(record, "method", "") or getattr(record, "head", "")
    noun = f"run, {getattr(record, 'benchmark', '')}"
    return Thing(f"run {stored.name}", noun[:40], name or stored.name, f"/runs/{in_path(stored.name)}", made)


def _made(stored: Stored) -> tuple[str, ...]:
    """Digests of what a run names, in its order."""
    record = stored.record
    return tuple(record.artefacts.values()) if isinstance(record, Made) else ()


def of_runs(lineage: Lineage, runs: Iterable[Stored]) -> Graph:
    """What runs made, each behind what it made; and reviewed sets of theirs that no run learnt from yet."""
    things: dict[str, Thing] = {}
    for stored in runs:
        own = run_thing(stored, lineage)
        made = [m for digest in _made(stored) if (m := lineage.manifests.get(digest)) and m.kind in DRAWN]
        reviewed = [c for m in made if m.kind == "labels" for c in lineage.children(m.digest, "parent", "labels")]
        things |= {m.digest: thing_of(m) for m in [*made, *reviewed]}
        things[own.key] = own
    return graph_of(things.values())


def around(lineage: Lineage, reports: Reports, manifest: Manifest) -> Graph:
    """What an artefact was made from, what was made from it, and the runs that did so."""
    digests = [manifest.digest, *_ancestors(lineage, manifest), *_descendants(lineage, manifest)]
    kin = [lineage.manifests.get(digest, manifest) for digest in dict.fromkeys(digests)]
    drawn = [thing_of(m, manifest.digest) for m in kin if m.kind in DRAWN or m.digest == manifest.digest]
    runs = [run_thing(one, lineage) for one in reports.that_name(manifest.digest)[:MOST_RUNS]]
    return graph_of([*drawn, *runs])


def _ancestors(lineage: Lineage, manifest: Manifest) -> Iterator[str]:
    seen, left = {manifest.digest}, [manifest]
    while left and len(seen) < MOST_KIN:
        for parent in lineage.parents(left.pop(0)).values():
            if parent.digest not in seen:
                seen.add(parent.digest)
                left.append(parent)
                yield parent.digest


def _descendants(lineage: Lineage, manifest: Manifest) -> Iterator[str]:
    seen, left = {manifest.digest}, [manifest.digest]
    while left and len(seen) < MOST_KIN:
        for child in lineage.children(left.pop(0)):
            if child.digest not in seen and child.kind in DRAWN:
                seen.add(child.digest)
                left.append(child.digest)
                yield child.digest
