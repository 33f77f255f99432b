"""Pictures as the pages ask for them: files that are there are given at once, others are made one after the other.

What cannot be made is told and not remembered: the next request tries again. Imports no torch.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition, Thread

from deployments.inspector.wants import JOBS, KINDS, Problem, SetPlaces, Want, problem_of, stamp
from deployments.inspector.worker import DONE, MORE, Worker, WorkerEndedError
from wilss.errors import WilssError
from wilss.layout import artefact_folder
from wilss.settings import Settings

__all__ = ["JOBS", "KINDS", "Pictures", "Problem", "Want"]

URGENCY = {"affinity": 0, "image": 1, "truth": 2, "student": 3, "thumb": 4, "seeds": 5}
"""Lower goes first; what is not named goes last, in slices between the others."""
PAGE_S = 1.0
"""Requests without a longer break between them are of one page; those of the newest page go first."""
MOST_WAITING = 2000
MOST_SETS = 16
ENDING = "the inspector is ending; start it again"
Found = Path | Problem


@dataclass(order=True)
class _Waiting:
    place: tuple[int, int, int]
    want: Want = field(compare=False)
    found: Future[Found] = field(compare=False)
    begun: bool = field(default=False, compare=False)


class Pictures:
    """Makes and finds pictures; its thread and its process begin with the first one that is not there."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.started = settings, time.time_ns()
        self._worker = Worker(settings)
        self._places: OrderedDict[str, SetPlaces] = OrderedDict()
        self._waiting: list[_Waiting] = []
        self._wanted: dict[Want, _Waiting] = {}
        self._progress: dict[Want, tuple[int, int]] = {}
        self._changed = Condition()
        self._thread: Thread | None = None
        self._closed = False
        self._page, self._last, self._count = 0, 0.0, itertools.count()

    async def path(self, want: Want) -> Found:
        """The file of a picture, or why there is none; waits until it is made.

        A truth is made once a server, as masks of a folder may be drawn meanwhile.
        """
        found = await asyncio.to_thread(self.there, want)
        return found if found is not None else await asyncio.shield(asyncio.wrap_future(self.begin(want)))

    def there(self, want: Want) -> Found | None:
        """The same without making anything; None for what is to be made."""
        try:
            return next((path for path in self._set(want.digest).candidates(want) if self._is_fresh(want, path)), None)
        except WilssError as error:
            return problem_of(error)

    def begin(self, want: Want) -> Future[Found]:
        """Have a picture made, or all rows of a set compared (`JOBS`); who wants the same shares it."""
        with self._changed:
            if want in self._wanted:
                return self._wanted[want].found
            found: Future[Found] = Future()
            found.set_running_or_notify_cancel()  # others may wait for it too
            if self._closed or len(self._waiting) >= MOST_WAITING:
                found.set_result(Problem("too many pictures are asked for at once; wait a moment, then load the page"))
                return found
            entry = _Waiting((URGENCY.get(want.kind, 9), -self._page_now(), next(self._count)), want, found)
            self._wanted[want] = entry
            heapq.heappush(self._waiting, entry)
            if self._thread is None:
                self._thread = Thread(target=self._work, name="pictures", daemon=True)
                self._thread.start()
            self._changed.notify()
            return found

    def progress(self, want: Want) -> tuple[int, int] | None:
        """How many images of how many a job has done; None for one that nobody began, or that is done."""
        with self._changed:
            return self._progress.get(want, (0, 0)) if want in self._wanted else None

    def end(self) -> None:
        """End the process, whatever it is at; what is still waited for is told so."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._worker.end()

    async def close(self) -> None:
        """The same; returns when all is over."""
        self.end()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, 5)

    def _page_now(self) -> int:
        now = time.monotonic()
        self._page += now - self._last > PAGE_S
        self._last = now
        return self._page

    def _set(self, digest: str) -> SetPlaces:
        """Where pictures of a set lie, as long as it stays the same set."""
        with self._changed:
            held = self._places.get(digest)
        folder = artefact_folder(self.settings.root, "labels", digest)
        if held is None or stamp(folder) != held.mark:
            held = SetPlaces(self.settings.root, digest)
        with self._changed:
            self._places[digest] = held
            self._places.move_to_end(digest)
            while len(self._places) > MOST_SETS:
                self._places.popitem(last=False)
        return held

    def _is_fresh(self, want: Want, path: Path) -> bool:
        try:
            made = path.stat().st_mtime_ns
        except FileNotFoundError:
            return False
        return want.kind != "truth" or made >= self.started

    def _work(self) -> None:
        """One picture after the other, and jobs a slice at a time."""
        while (entry := self._next()) is not None:
            answer = self._answer(entry)
            with self._changed:
                if answer is None:
                    heapq.heappush(self._waiting, entry)
                    continue
                del self._wanted[entry.want]
                self._progress.pop(entry.want, None)
            entry.found.set_result(answer)
        self._worker.close()
        for entry in self._waiting:
            entry.found.set_result(Problem(ENDING, "process"))

    def _next(self) -> _Waiting | None:
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            return None if self._closed else heapq.heappop(self._waiting)

    def _answer(self, entry: _Waiting) -> Found | None:
        """What became of it; None for a job that goes on."""
        try:
            answer, *told = self._worker.ask(entry.want, entry.begun)
        except WorkerEndedError as error:
            if self._closed:
                return Problem(ENDING, "process")
            return Problem(f"{error}; it is started again with the next picture: load the page again", "process")
        if answer == MORE:
            entry.begun = True
            with self._changed:
                self._progress[entry.want] = (told[0], told[1])
            return None
        return Path(told[0]) if answer == DONE else Problem(told[1], told[0])
