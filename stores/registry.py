"""Aliases of models are moved here: by compare-and-swap, one line of the log each, of who did it and why."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

from stores.artefacts import Store
from stores.in_use import using
from stores.journal import Journal, put_aside, readable, write_anew
from stores.progress import say
from wilss.aliases import (
    CHAMPION,
    FORM,
    MOVES,
    TEXT_LETTERS,
    Move,
    after,
    aliases_folder,
    gone,
    moves_of,
    require_movable,
    unknown,
)
from wilss.damage import place_of
from wilss.errors import ArtefactNotFoundError, DamagedArtefactError, SpecError, WilssError
from wilss.escapes import harmless
from wilss.models.card import StudentCard, load_card
from wilss.models.lookup import model_folder

How = Literal["promote", "alias", "remove", "rollback"]


class AliasMovedError(WilssError):
    """An alias does not point any more to what was seen; nothing was moved.

    alias: its name. now: what it points to, None for nothing. expected: what was seen.
    """

    def __init__(self, alias: str, now: str | None, expected: str | None, by: str) -> None:
        super().__init__(alias, now, expected, by)  # all of them, so that it can be pickled
        self.alias, self.now, self.expected, self.by = alias, now, expected, by

    def __str__(self) -> str:
        return (
            f"alias '{self.alias}' points to {_short(self.now)} by now{self.by}, expected was {_short(self.expected)}; "
            f"nothing was moved: look with 'wilss models show {self.alias}', then decide again"
        )


class _Wanted(NamedTuple):
    what: How
    alias: str
    after: str | None
    expected: str | None
    who: str
    why: str
    evidence: str = ""


def promote(
    root: Path, digest: str, *, alias: str = CHAMPION, expected: str | None, who: str, why: str, evidence: str = ""
) -> Move:
    """Let an alias point to a student; in the same line ``previous`` gets what the champion was.

    Where it points there already nothing is written, and the move that brought it there is returned, whatever was
    expected: a run that is repeated after a crash has nothing to do.

    Args:
        digest: of a checkpoint, or the first digits of one. expected: what the alias points to now, None for nothing.
        evidence: what the decision rests on, such as the path of a record.

    Raises AliasMovedError where it points elsewhere by now, ArtefactNotFoundError for no such student, StorageError
    where the disk takes no more. Then nothing has moved.
    """
    return _move(root, _Wanted("promote", alias, digest, expected, who, why, evidence))


def set_alias(root: Path, name: str, digest: str | None, *, expected: str | None, who: str, why: str) -> Move:
    """The same for any alias, by hand; None takes the alias away. Raises as `promote`."""
    return _move(root, _Wanted("alias" if digest else "remove", name, digest, expected, who, why))


def rollback(root: Path, *, alias: str = CHAMPION, who: str, why: str, device: str = "auto") -> Move:
    """Let an alias point again to what it did before its last move, which is loaded and predicts once before.

    A second one goes forward again. Raises ArtefactNotFoundError where there is nothing to go back to or it is gone,
    AliasMovedError where somebody moves the alias meanwhile, and what `stores.models.smoke.smoke` raises. Then nothing
    has moved.
    """
    now, target = rollback_target(root, alias)
    say(f"loading {target[:12]}, to see that it segments an image")
    from stores.models.smoke import smoke

    with using(root):
        smoke(Store(root).path("checkpoints", target), device)
        return _move(root, _Wanted("rollback", alias, target, now, who, why))


def rollback_target(root: Path, alias: str = CHAMPION) -> tuple[str | None, str]:
    """What an alias points to now, and what it pointed to before that. Raises as `rollback`."""
    require_movable(alias)
    last = next((move for move in reversed(moves_of(root)) if move.alias == alias), None)
    if last is None:
        raise unknown(alias, root)
    if last.before is None:
        raise ArtefactNotFoundError(
            f"alias '{alias}' has no previous model: {_short(last.after)} is the first that it points to; promote "
            "another with 'wilss models promote MODEL'"
        )
    if not Store(root).path("checkpoints", last.before).is_dir():
        raise ArtefactNotFoundError(
            f"the model that '{alias}' pointed to before, {last.before[:12]}, is not in '{root}' any more; run again "
            "what made it, or promote another ('wilss models list')"
        )
    return last.after, last.before


def student_of(root: Path, name: str) -> str:
    """Whole digest of a student of this store, by alias, digest or run folder; see `wilss.models.lookup.model_folder`.

    Raises SpecError for a model that lies elsewhere, as aliases and lineages hold digests.
    """
    folder = model_folder(name, root)
    place = place_of(folder)
    if place is None or place.kind != "checkpoints" or place.root.resolve() != root.resolve():
        raise SpecError(f"'{name}' is no checkpoint of the store '{root}'; name one of 'wilss models list'")
    return place.digest


def held_by_aliases(moves: tuple[Move, ...]) -> dict[str, str]:
    """Why -> digest of every checkpoint that an alias points to, or would go back to."""
    found = {f"alias '{name}'": digest for name, digest in after(moves).items()}
    last = {move.alias: move.before for move in moves}
    back = {f"rollback of alias '{name}'": digest for name, digest in last.items() if digest is not None}
    return {**back, **found}


def _move(root: Path, wanted: _Wanted) -> Move:
    """Write one line, unless the alias stands there already. The store is in use meanwhile: nothing is collected."""
    _require(wanted)
    with using(root):
        target = None if wanted.after is None else _student(root, wanted.after)
        log = _log(root)
        with log.alone():
            moves = tuple(log.news()[1])
            now = after(moves).get(wanted.alias)
            if now is not None and now == target:
                return _brought(moves, wanted.alias)
            if now is None and target is None:
                raise unknown(wanted.alias, root)
            if now != wanted.expected:
                raise AliasMovedError(wanted.alias, now, wanted.expected, _by(moves, wanted.alias))
            keeps = wanted.alias == CHAMPION and now is not None
            return log.append(
                Move(
                    n=log.lines + 1,
                    when=datetime.now(UTC).isoformat(timespec="microseconds"),
                    who=" ".join(wanted.who.split()),
                    what=wanted.what,
                    alias=wanted.alias,
                    before=now,
                    after=target,
                    previous=now if keeps else None,
                    why=wanted.why,
                    evidence=wanted.evidence,
                )
            )


def _log(root: Path) -> Journal[Move]:
    return Journal(aliases_folder(root), MOVES, FORM)


def _require(wanted: _Wanted) -> None:
    require_movable(wanted.alias)
    who = " ".join(wanted.who.split())
    if not who or len(who) > 100 or harmless(who) != who:
        raise SpecError(f"'{harmless(who)[:60]}' is no name of who moves an alias; give 1 to 100 printable letters")
    for key in ("why", "evidence"):
        text = getattr(wanted, key)
        if len(text) > TEXT_LETTERS:
            raise SpecError(f"{key} has {len(text)} letters; keep it to {TEXT_LETTERS}")


def _student(root: Path, digest: str) -> str:
    """Whole digest of a student of the store. Raises ArtefactNotFoundError for none, DamagedArtefactError."""
    manifest = Store(root).get("checkpoints", digest)
    load_card(Store(root).path("checkpoints", manifest.digest), StudentCard)
    return manifest.digest


def _brought(moves: tuple[Move, ...], alias: str) -> Move:
    return next(move for move in reversed(moves) if alias == move.alias)


def _by(moves: tuple[Move, ...], alias: str) -> str:
    last = next((move for move in reversed(moves) if move.alias == alias), None)
    return f" ({last.what} by {last.who}, {last.when[:19].replace('T', ' ')} UTC)" if last else ""


def _short(digest: str | None) -> str:
    return digest[:12] if digest else "nothing"


def alias_faults(root: Path) -> Iterator[DamagedArtefactError]:
    """What is wrong with the log of moves."""
    try:
        moves_of(root)
    except DamagedArtefactError as error:
        yield error


def aliases_without_model(root: Path) -> Iterator[str]:
    """In words, aliases that point to what is gone; nothing where the log is damaged, which is told by itself."""
    if not any(alias_faults(root)):
        for name, digest in after(moves_of(root)).items():
            if not Store(root).path("checkpoints", digest).is_dir():
                yield gone(name, digest, root)


def save_moves(root: Path) -> Iterator[str]:
    """Make a damaged log anew from the lines that can be read; the damaged one goes to quarantine, which is said."""
    log = _log(root)
    if not log.path.exists():
        return
    with log.alone():
        try:
            log.news()
        except DamagedArtefactError as error:
            moves, lost = readable(log.path, FORM)
            place = put_aside(root, aliases_folder(root).name, "moves", log.path)
            write_anew(log.path, FORM, [move.model_copy(update={"n": n}) for n, move in enumerate(moves, start=1)])
            yield (
                f"{error.fault}; {len(moves)} moves of aliases were kept, {lost} lines could not be read, which lie in "
                f"'{place}'; see with 'wilss models list' whether every alias points where it should"
            )
