"""A label set: its rows as tiles, filtered and sorted, and how its numbers lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from deployments.inspector.asked import RANGE, Asked
from deployments.inspector.desk import DeskOf
from deployments.inspector.html import page, short
from deployments.inspector.rows import hatches, looks, row_facts
from stores.labels.query import IMAGE, SIZES, STATES
from stores.labels.view import LabelView
from wilss.data.palette import ClassLook
from wilss.report.charts import Histogram, histogram

router = APIRouter()
TILES = 48
"""Of a page."""
ORDERS = {
    "score": "quality",
    "agreement": "agreement of the two sources",
    "unchanged": "unchanged by refinement",
    "softmin": "softmin",
    "uncertain": "uncertain share",
    "coverage": "coverage",
    "fragments": "fragments",
    "border": "on the border",
    "teacher": "teacher against refined",
    "iou": "IoU with the truth",
    IMAGE: "order of the set",
}
SHOWN = {"score": "Quality", "coverage": "Area", "fragments": "Fragments"}
"""Columns whose distributions are drawn."""
BINS = 20


@dataclass(frozen=True)
class Choice:
    """One value that can be asked for: how many rows it would have, and the address that asks for it, or no more."""

    value: str
    text: str
    count: int | None
    chosen: bool
    address: str
    look: ClassLook | None = None


@router.get("/labels/{digest}")
def gallery(request: Request, desk: DeskOf, digest: str) -> HTMLResponse:
    """Tiles of a page of the rows that are asked for."""
    view, asked = desk.view(digest), Asked.of(request.query_params)
    query = asked.query
    found = view.select(query)
    last = max(1, -(-len(found.rows) // TILES))
    asked = asked.at(min(asked.page, last))
    rows = found.rows[(asked.page - 1) * TILES : asked.page * TILES]
    colours = looks(view)
    classes = [
        Choice(name, name, found.classes[name], asked.has("class", name), _toggled(asked, "class", name), colours[k])
        for k, name in enumerate(view.labels.index.classes)
    ]
    states = [
        Choice(name, name, found.states[name], asked.has("state", name), _toggled(asked, "state", name))
        for name in STATES
    ]
    sizes = [Choice(n, n, None, asked.has("size", n), _toggled(asked, "size", n)) for n in SIZES]
    return page(
        request,
        "gallery.html.j2",
        f"Label set {short(view.manifest.digest)}",
        view=view,
        card=view.card,
        digest=view.manifest.digest,
        asked=asked,
        found=len(found.rows),
        total=found.total,
        last_page=last,
        tiles=[row_facts(view, int(row)) for row in rows],
        first=(asked.page - 1) * TILES,
        groups={"Class": classes, "Review": states, "Size": sizes},
        orders=_orders(view),
        sort=query.sort,
        plots=list(_plots(view, asked)),
        ranges=[(key, value, asked.with_(key)) for key, value in asked.pairs if key.startswith(RANGE)],
        looks=colours,
        hatches=hatches(view),
        reviewed=view.reviewed,
        last=view.review.last,
        counts=found.states,
    )


def _toggled(asked: Asked, key: str, value: str) -> str:
    there = [v for k, v in asked.pairs if k == key]
    wanted = [v for v in there if v != value] if value in there else [*there, value]
    return asked.with_(key, *wanted).text() or "?"


def _orders(view: LabelView) -> dict[str, str]:
    """Columns of which something is known."""
    return {n: t for n, t in ORDERS.items() if n == IMAGE or (n in view.columns and view.columns.known(n))}


def _plots(view: LabelView, asked: Asked) -> Iterator[Histogram]:
    query = asked.query
    for column, title in SHOWN.items():
        if column not in view.columns or not view.columns.known(column):
            continue
        found = view.histogram(column, query, BINS)
        edges = [float(edge) for edge in found.edges]
        addresses = [asked.with_(f"{RANGE}{column}", f"{low:.6g}:{high:.6g}").text() for low, high in pairwise(edges)]
        yield histogram(title, edges, found.counts.tolist(), title.lower(), addresses)
