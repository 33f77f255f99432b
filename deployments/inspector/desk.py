"""What the inspector has open: a root, its label sets, and the child process that makes pictures."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Annotated

from fastapi import Depends, Request

from deployments.access import Access
from deployments.inspector.against import Comparer
from deployments.inspector.lineage import Lineage
from deployments.inspector.marks import Mark, mark_of
from deployments.inspector.pictures import Found, Pictures, Want
from deployments.inspector.reports import Reports
from stores.artefacts import Store
from stores.labels.review import Review, reviews_folder
from stores.labels.review.carry import Carryable, carryable
from stores.labels.view import LabelView
from wilss.bucket.remote import remote_of
from wilss.errors import ArtefactNotFoundError
from wilss.layout import MANIFEST, find_artefact

MOST_OPEN = 6
"""Label sets that are kept open; one of 100,000 rows takes some 20 MB."""
MOST_REVIEWS = 64


@dataclass
class Desk:
    """One server's work.

    who: name of the person at the keyboard, unless a page says otherwise.
    """

    root: Path
    access: Access
    pictures: Pictures
    who: str
    lineage: Lineage
    reports: Reports = field(init=False)
    jobs: dict[Want, Future[Found]] = field(default_factory=dict, repr=False)
    applying: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    against: Comparer = field(init=False, repr=False)
    _open: OrderedDict[str, tuple[Mark, LabelView]] = field(default_factory=OrderedDict, repr=False)
    _reviews: dict[str, Review] = field(default_factory=dict, repr=False)
    _carryable: dict[str, tuple[object, list[Carryable]]] = field(default_factory=dict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def __post_init__(self) -> None:
        self.reports, self.against = Reports(self.root), Comparer(self.root)

    @property
    def store(self) -> Store:
        """All artefacts."""
        return Store(self.root)

    def view(self, digest: str) -> LabelView:
        """A label set by its digest or the first digits of it, with what others reviewed since.

        Raises ArtefactNotFoundError, DamagedArtefactError and FormatError as `LabelView.open` does.
        """
        folder = self._folder(digest)
        with self._lock:
            mark = mark_of(folder / MANIFEST)
            held = self._open.get(folder.name)
            if held is None or held[0] != mark:  # another one took its place
                held = mark, LabelView.open(self.root, folder.name)
                self._open[folder.name] = held
            self._open.move_to_end(folder.name)
            while len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)
        view = held[1]
        view.refresh()
        return view

    def review(self, digest: str) -> Review:
        """What was said of a set by its whole digest, kept open. Raises DamagedArtefactError."""
        with self._lock:
            held = self._reviews.get(digest)
            if held is None:
                held = self._reviews[digest] = Review.open(self.root, digest)
            while len(self._reviews) > MOST_REVIEWS:
                del self._reviews[next(iter(self._reviews))]
        held.refresh()
        return held

    def carryable(self, digest: str) -> list[Carryable]:
        """Other reviews that hold for a set too; looked for again where anybody said anything since."""
        files = sorted(reviews_folder(self.root).glob("*/acts.jsonl"))
        mark = [(path, mark_of(path)) for path in files]
        held = self._carryable.get(digest)
        if held is None or held[0] != mark:
            held = self._carryable[digest] = mark, carryable(self.root, digest)
        return held[1]

    def _folder(self, digest: str) -> Path:
        """Of a label set; one that is not finished is not there, and says so."""
        try:
            return find_artefact(self.root, "labels", digest)
        except ArtefactNotFoundError:
            if name := next((name for name in unfinished(self.root, "labels") if name.startswith(digest)), ""):
                raise ArtefactNotFoundError(
                    f"label set {name[:12]} is not finished: a run is making it, or was stopped; start the same run "
                    "again, and it goes on where it was"
                ) from None
            raise


def unfinished(root: Path, kind: str) -> list[str]:
    """Digests of artefacts that somebody is making, or began to make."""
    begun = ".staging-"
    return sorted(path.name.removeprefix(begun) for path in (root / kind).glob(f"{begun}*") if path.is_dir())


def desk_of(request: Request) -> Desk:
    """The desk of the server that is asked."""
    desk: Desk = request.app.state.desk
    if remote := remote_of(desk.root):
        remote.pull()  # other machines may work on the same root
    return desk


DeskOf = Annotated[Desk, Depends(desk_of)]
