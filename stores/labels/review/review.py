"""The review of one label set: what people said of its rows, said by several at once, and taken back without end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import RLock
from types import MappingProxyType

from stores.labels.review.log import ActLog
from stores.labels.review.masks import Mask, mask_path, put_mask, read_mask_file
from stores.labels.review.standing import Hands, Standing
from stores.labels.review.state import (
    MOST_CHANGES,
    SAID,
    Act,
    Change,
    Changed,
    Key,
    RowState,
    require_state,
    require_who,
)
from wilss.errors import ArtefactNotFoundError, SpecError, WilssError
from wilss.escapes import harmless

REVIEWS = "reviews"


class ConflictError(WilssError):
    """Rows were touched by somebody meanwhile; nothing was written.

    rows: which. states: what they are now. acts: that touched them last.
    """

    def __init__(self, message: str, rows: Sequence[Key], states: Sequence[RowState], acts: Sequence[Act]) -> None:
        super().__init__(message, rows, states, acts)  # all of them, so that it can be pickled
        self.rows, self.states, self.acts = tuple(rows), tuple(states), tuple(acts)

    def __str__(self) -> str:
        return str(self.args[0])


class NothingToUndoError(SpecError):
    """A person has no act left to undo, or to do again."""


class Review:
    """What is said of the rows of a label set; may be used by several threads, and beside other processes.

    What others wrote is seen after `refresh`; whatever writes looks first. Raises DamagedArtefactError where the file
    of acts is not what was written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log, self._standing, self._lock = ActLog(folder), Standing(), RLock()
        self._held = False
        self.refresh()

    @classmethod
    def open(cls, root: Path, digest: str) -> Review:
        """The review of a label set by its whole digest; it begins with the first act."""
        if not digest.isalnum():
            raise SpecError(f"'{harmless(digest)[:60]}' is no digest of a label set; 'wilss labels list' shows them")
        return cls(reviews_folder(root) / digest)

    def refresh(self) -> bool:
        """Read what was written since; whether there was anything."""
        with self._lock:
            anew, acts = self._log.news()
            if anew:
                self._standing = Standing()
            for act in acts:
                self._standing.follow(act)
            return anew or bool(acts)

    @property
    def acts(self) -> Sequence[Act]:
        """All acts, the first one first; not to be changed."""
        return self._standing.acts

    def since(self, n: int) -> Sequence[Act]:
        """Acts behind number ``n``."""
        return self._standing.acts[n:]

    @property
    def last(self) -> int:
        """Number of the last act, 0 for none."""
        return len(self._standing.acts)

    @property
    def seal(self) -> str:
        """Checksum of all acts, "" for none."""
        return self._standing.acts[-1].seal if self._standing.acts else ""

    @property
    def states(self) -> Mapping[Key, RowState]:
        """What is said, of rows of which something is said."""
        return MappingProxyType(self._standing.states)

    def state(self, image: str, class_name: str) -> RowState:
        """What is said of a row."""
        return self._standing.state(Key(image, class_name))

    def version(self, image: str, class_name: str) -> int:
        """Number of the last act that touched a row, 0 for none."""
        return self._standing.version(Key(image, class_name))

    def history(self, image: str) -> list[Act]:
        """Acts on an image, newest first."""
        return [self._standing.act(n) for n in reversed(self._standing.by_image.get(image, ()))]

    @property
    def who(self) -> list[str]:
        """Names of those who acted."""
        return sorted(self._standing.hands)

    def left(self, who: str) -> tuple[int, int]:
        """How many acts a person can undo, and do again."""
        hands = self._standing.hands.get(" ".join(who.split()), Hands())
        return len(hands.undo), len(hands.redo)

    def put_mask(self, mask: Mask) -> str:
        """Keep a painted mask, bool ``(H, W)`` in the image's size on the canvas, for an act; returns its digest."""
        return put_mask(self.folder, mask)

    def mask(self, digest: str) -> Mask:
        """A painted mask, bool ``(H, W)``. Raises DamagedArtefactError for one that is gone or damaged."""
        return read_mask_file(self.folder, digest)

    def act(self, who: str, what: str, changes: Sequence[Change]) -> Act:
        """Say something of rows, on the disk when this returns.

        Raises ConflictError where a row is not at the version that was seen, SpecError for what cannot be said,
        ArtefactNotFoundError for a mask that was not kept before. Then nothing is written.
        """
        name = self._checked(who, what, changes)
        with self.writing():
            standing = self._standing
            wrong = [(c.key, standing.version(c.key)) for c in changes if standing.version(c.key) != c.seen]
            if wrong:
                raise self._conflict([(key, standing.act(n) if n else None) for key, n in wrong])
            return self._append(name, what, {c.key: c.after for c in changes})

    def undo(self, who: str) -> Act:
        """Take back the last act of a person that is not taken back yet.

        Raises NothingToUndoError, and ConflictError where somebody else touched a row since.
        """
        return self._turn(who, back=True)

    def redo(self, who: str) -> Act:
        """Do again what a person took back last; a new act of theirs ends that. Raises as `undo`."""
        return self._turn(who, back=False)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only one who writes, with everything before one's eyes; may be held by who writes several acts."""
        with self._lock:
            if self._held:
                yield
                return
            with self._log.alone():
                self._held = True
                try:
                    self.refresh()
                    yield
                finally:
                    self._held = False

    def adopt(self, act: Act, after: Mapping[Key, RowState], of: int | None) -> Act:
        """Take an act of another copy of this review, whose masks are kept already; see `stores.labels.review.merge`.

        Args:
            after: what becomes of its rows here. of: the act here that it takes back or does again.
        """
        with self.writing():
            return self._append(act.who, act.what, after, of, act.when)

    def _turn(self, who: str, back: bool) -> Act:
        name = require_who(who)
        with self.writing():
            hands = self._standing.hands.get(name, Hands())
            entries = hands.undo if back else hands.redo
            if not entries:
                verb = "undo" if back else "do again"
                raise NothingToUndoError(f"'{name}' has nothing to {verb} in this review; acts are each person's own")
            of, since = entries[-1]
            wanted = self._standing.wanted(of, back)
            wrong = [(key, act) for key, (now, _) in wanted.items() if (act := self._against(key, name, since, now))]
            if wrong:
                raise self._conflict(wrong)
            after = {key: then for key, (_, then) in wanted.items()}
            return self._append(name, "undo" if back else "redo", after, of)

    def _against(self, key: Key, who: str, since: int, now: RowState) -> Act | None:
        """The act that stands against turning a row back."""
        if act := self._standing.touched_since(key, who, since):
            return act
        return None if self._standing.state(key) == now else self._standing.act(self._standing.version(key))

    def _append(self, who: str, what: str, after: Mapping[Key, RowState], of: int | None = None, when: str = "") -> Act:
        changes = tuple(Changed(*key, self._standing.state(key), state) for key, state in after.items())
        act = self._log.append(Act(self.last + 1, who, when or self._now(), what, changes, of))
        self._standing.follow(act)
        return act

    def _now(self) -> str:
        """The time, later than that of the last act: who, when and what name an act in other copies of the review."""
        now = datetime.now(UTC)
        if self._standing.acts:
            now = max(now, datetime.fromisoformat(self._standing.acts[-1].when) + timedelta(microseconds=1))
        return now.isoformat(timespec="microseconds")

    def _checked(self, who: str, what: str, changes: Sequence[Change]) -> str:
        if what not in SAID:
            raise SpecError(f"'{what[:40]}' is nothing to say of a row; choose of {', '.join(SAID)}")
        if not 0 < len(changes) <= MOST_CHANGES or len({c.key for c in changes}) != len(changes):
            raise SpecError(f"an act has 1 to {MOST_CHANGES} rows, each once; this one has {len(changes)}")
        for change in changes:
            require_state(change.key, change.after)
            if change.after.mask and not mask_path(self.folder, change.after.mask).is_file():
                raise ArtefactNotFoundError(f"the painted mask {change.after.mask} is not kept; keep it, then say so")
        return require_who(who)

    def _conflict(self, wrong: Sequence[tuple[Key, Act | None]]) -> ConflictError:
        rows, acts = [key for key, _ in wrong], [act for _, act in wrong if act]
        key, act = wrong[0]
        row = harmless(f"{key.class_name or 'the note'} of image '{key.image}'")
        told = f"'{act.who}' changed {row} ({act.what}, {act.when[:19]} UTC)" if act else f"{row} was never touched"
        more = f", and {len(wrong) - 1} more rows were touched" if len(wrong) > 1 else ""
        message = f"{told} meanwhile{more}; nothing was written: look at it again, then decide"
        return ConflictError(message, rows, [self._standing.state(row) for row in rows], acts)


def reviews_folder(root: Path) -> Path:
    """Where reviews lie: one folder for each label set of which something was said."""
    return root / REVIEWS
