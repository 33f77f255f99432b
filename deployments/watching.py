"""Watching a folder: which tagged images are new and have settled, and one event when there are enough of them.

What was told is in ``<root>/service/watch/NAME.json``. An event is written there before it is posted, with its id: who
is killed in between posts the same event again, and the server takes one that it has for no new one.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict, Field

from deployments.triggering import require_name
from flows.service import service_folder
from wilss.data.files import decoding, opened
from wilss.data.index import FileIndex, index_images
from wilss.data.tags import LabelRow, label_table
from wilss.errors import DataError, DataNotFoundError, SpecError, WilssError
from wilss.outputs import whole_file, writable_folder
from wilss.outside import checked, read_json

FOLDER = "watch"
ADVICE = "remove it: what it says was told is then told once more"
NAMED = 20
"""Images that an event names."""
TABLE = "labels.csv"


class Pending(BaseModel):
    """An event that is told, or about to be. told: image id -> what was seen of it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: UUID
    told: dict[str, str] = {}


class Watched(BaseModel):
    """What a watch remembers.

    folder: it is of. told: image id -> what was seen of it. pending: an event that may not have been told.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    folder: str
    told: dict[str, str] = {}
    pending: Pending | None = None
    events: int = Field(0, ge=0)


@dataclass(frozen=True)
class Seen:
    """A file at one moment, as its size and times tell it."""

    size: int
    changed: int
    touched: int

    @classmethod
    def of(cls, path: Path) -> Seen:
        """Raises FileNotFoundError for one that has gone."""
        stat = path.stat()
        return cls(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)

    def age(self, now: float) -> float:
        """Seconds since it was written to, or its name or rights changed: a copy may bring an old time along."""
        return now - max(self.changed, self.touched) / 1e9


@dataclass(frozen=True)
class Look:
    """What a look at a folder found.

    new: image id -> what is seen of it, settled and not told yet. moving: files that may still change. broken: settled
    ones that cannot be read; they wait too. tagged: images with tags, told ones too. problem: of the table or the
    bucket.
    """

    new: Mapping[str, str]
    moving: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    tagged: int = 0
    problem: str = ""


@dataclass
class Watcher:
    """Looks at a folder again and again.

    settle: seconds for which a file must stay as it is. before: called before every look, as a bucket's copy is brought
    up to date.
    """

    folder: Path
    settle: float
    clock: Callable[[], float] = time.time
    before: Callable[[], object] | None = None
    _first: dict[Path, tuple[Seen, float]] = field(default_factory=dict)
    _rows: tuple[tuple[Seen, tuple[str, ...]], tuple[LabelRow, ...]] | None = None
    _readable: dict[Path, tuple[Seen, bool]] = field(default_factory=dict)

    def look(self, told: Mapping[str, str]) -> Look:
        """Look once. A table that changes, or cannot be read, lets everything wait."""
        table, problem = self.folder / TABLE, self._brought_up_to_date()
        try:
            if not self._settled(table):
                return Look({}, (TABLE,), problem=problem)
            images = index_images(self.folder / "images")
            rows = self._tagged(table, images)
        except (DataError, DataNotFoundError, OSError) as error:
            return Look({}, (), (TABLE,), problem=problem or str(error))
        new, moving, broken, tagged = dict[str, str](), list[str](), list[str](), 0
        for row in rows:
            if row.image_id is None or not row.names:
                continue
            tagged += 1
            path = images.files[row.image_id]
            try:
                seen = _said(Seen.of(path), row.names)
                if told.get(row.image_id) == seen:
                    continue
                if not self._settled(path):
                    moving.append(row.image_id)
                elif not self._is_readable(path):
                    broken.append(row.image_id)
                else:
                    new[row.image_id] = seen
            except OSError:  # it has gone again
                continue
        return Look(new, tuple(moving), tuple(broken), tagged, problem)

    def _brought_up_to_date(self) -> str:
        """What stood in the way of it; what is there is looked at all the same."""
        try:
            if self.before is not None:
                self.before()
        except (WilssError, OSError) as error:
            return str(error)
        return ""

    def _tagged(self, table: Path, images: FileIndex) -> tuple[LabelRow, ...]:
        """Rows of the table, read again only where it or the names of the images are others than before."""
        state = (Seen.of(table), tuple(images.files))
        if self._rows is None or self._rows[0] != state:
            self._rows = (state, label_table(table, names=images.names).rows)
        return self._rows[1]

    def _settled(self, path: Path) -> bool:
        """Whether a file has stayed as it is; seen by us, or by its times where the clocks agree."""
        seen, now = Seen.of(path), self.clock()
        before = self._first.get(path)
        if before is None or before[0] != seen:
            before = self._first[path] = (seen, now)
        return now - before[1] >= self.settle or seen.age(now) >= self.settle

    def _is_readable(self, path: Path) -> bool:
        """Whether it can be decoded: half a copy that nobody goes on with cannot."""
        seen = Seen.of(path)
        before = self._readable.get(path)
        if before is None or before[0] != seen:
            before = self._readable[path] = (seen, _decodes(path))
        return before[1]


def _decodes(path: Path) -> bool:
    try:
        with opened(path) as image, decoding(path):
            image.load()
    except (DataError, DataNotFoundError):
        return False
    return True


def _said(seen: Seen, tags: tuple[str, ...]) -> str:
    """What is remembered of an image: other bytes, or other tags, make it new again."""
    return hashlib.sha256(repr((seen.size, seen.changed, sorted(tags))).encode()).hexdigest()[:16]


def require_folder(folder: Path) -> Path:
    """The whole path of a folder that can be watched. Raises DataNotFoundError for another."""
    if not (folder / "images").is_dir():
        raise DataNotFoundError(
            f"'{folder}' has no folder images/; watched are folders of images/ and {TABLE}, as docs/data.md has them"
        )
    return folder.resolve()


def watch_file(root: Path, name: str) -> Path:
    """Where a watch remembers what it told; its folder is made."""
    folder = service_folder(root) / FOLDER
    writable_folder(folder)
    return folder / f"{require_name(name, 'watch')}.json"


def read_watched(path: Path, folder: Path) -> Watched:
    """What a watch told before. Raises SpecError where its name is of another folder, FormatError where damaged."""
    if not path.is_file():
        return Watched(folder=str(folder))
    watched = checked(Watched, read_json(path, ADVICE), path, ADVICE)
    if watched.folder != str(folder):
        raise SpecError(
            f"the watch '{path.stem}' is of '{watched.folder}', not of '{folder}'; give another --name, or "
            f"remove '{path}'"
        )
    return watched


def write_watched(path: Path, watched: Watched) -> None:
    """Remember what was told."""
    with whole_file(path) as partial:
        partial.write_text(watched.model_dump_json(), encoding="utf-8")


def begin_event(path: Path, watched: Watched, look: Look) -> Watched:
    """Write down an event that is about to be posted."""
    begun = watched.model_copy(update={"pending": Pending(id=uuid4(), told=dict(look.new))})
    write_watched(path, begun)
    return begun


def finish_event(path: Path, watched: Watched) -> Watched:
    """Note that the pending event was posted."""
    assert watched.pending is not None
    told = {**watched.told, **watched.pending.told}
    finished = watched.model_copy(update={"told": told, "pending": None, "events": watched.events + 1})
    write_watched(path, finished)
    return finished


def payload(name: str, watched: Watched) -> dict[str, object]:
    """What the pending event says."""
    assert watched.pending is not None
    ids = sorted(watched.pending.told)
    return {"name": name, "folder": watched.folder, "images": len(ids), "first": ids[:NAMED]}


def told_in_words(look: Look, at_least: int) -> str:
    """How far it is to the next event, for people."""
    moving = f"; {len(look.moving)} may still change, such as {look.moving[0]}" if look.moving else ""
    broken = f"; {len(look.broken)} cannot be read, such as {look.broken[0]}" if look.broken else ""
    problem = f" ({look.problem})" if look.problem else ""
    return f"{len(look.new)} of {at_least} new tagged images have settled{moving}{broken}{problem}"
