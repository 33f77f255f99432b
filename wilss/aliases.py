"""Names for models, such as ``champion``: what they point to, and who moved them when and why. Read only, no torch.

``<root>/aliases/moves.jsonl`` holds every move there ever was, sealed, the last one of a name counts; the line is the
commit. `stores.registry` writes it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from wilss.errors import ArtefactNotFoundError, FormatError, SpecError, did_you_mean
from wilss.layout import is_published
from wilss.sealed import Form, SealedLines

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
FOLDER, MOVES = "aliases", "moves.jsonl"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DIGITS = re.compile(r"[0-9a-fA-F]{4,}")
"""What may be (the first digits of) a digest."""
TEXT_LETTERS = 4000

Text = Annotated[str, Field(max_length=TEXT_LETTERS)]
Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
Digest = Annotated[str, Field(pattern="^[0-9A-Za-z]{1,64}$")]


class Move(BaseModel):
    """One line of the log: an alias points elsewhere from now on.

    n: 1 for the first one of a root. when: UTC, ISO 8601. what: how it came. before, after: digests of checkpoints;
    None where the alias was not there, or is there no more. previous: what the alias ``previous`` points to from now
    on; None leaves it. evidence: what the decision rests on, such as the path of a gate's record.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    n: Annotated[int, Field(ge=1)]
    when: str
    who: Annotated[str, Field(min_length=1, max_length=100)]
    what: Literal["promote", "alias", "remove", "rollback"]
    alias: Name
    before: Digest | None
    after: Digest | None
    previous: Digest | None = None
    why: Text = ""
    evidence: Text = ""
    seal: str = ""

    def plain(self) -> dict[str, Any]:
        """Plain data, without the seal."""
        return self.model_dump(mode="json", exclude={"seal"})

    def with_seal(self, seal: str) -> Move:
        """The same with its seal."""
        return self.model_copy(update={"seal": seal})


class _When(BaseModel):
    when: AwareDatetime


def _move_of(content: Any) -> Move:
    try:
        move = Move.model_validate(content)
        _When.model_validate({"when": move.when})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise FormatError(f"it is no move of an alias ({'.'.join(map(str, first['loc']))}: {first['msg']})") from error
    return move


def _cure(folder: Path) -> str:
    return (
        f"put a copy of the file back, or keep what can be read of it with 'wilss store repair'; no alias can be moved "
        f"before (folder '{folder}')"
    )


FORM = Form("move", _move_of, _cure)


def aliases_folder(root: Path) -> Path:
    """Where a root keeps its aliases."""
    return root / FOLDER


def moves_of(root: Path) -> tuple[Move, ...]:
    """Every move of an alias, the first one first. Raises DamagedArtefactError for a log that is not as written."""
    return tuple(SealedLines(aliases_folder(root), MOVES, FORM).news()[1])


def aliases_of(root: Path) -> dict[str, str]:
    """Alias -> digest of the checkpoint that it points to, by name. Raises as `moves_of`."""
    return after(moves_of(root))


def after(moves: tuple[Move, ...]) -> dict[str, str]:
    """What the aliases point to after some moves."""
    found: dict[str, str] = {}
    for move in moves:
        if move.after is None:
            found.pop(move.alias, None)
        else:
            found[move.alias] = move.after
        if move.previous is not None:
            found[PREVIOUS] = move.previous
    return dict(sorted(found.items()))


def may_be_alias(name: str) -> bool:
    """Whether an alias may be called so: a digest and a path may not be meant."""
    return NAME.fullmatch(name) is not None and DIGITS.fullmatch(name) is None


def require_alias(name: str) -> str:
    """The same name. Raises SpecError for one that no alias can have."""
    if not may_be_alias(name):
        reason = "it reads like a digest" if DIGITS.fullmatch(name) else "it begins with a letter or digit"
        raise SpecError(
            f"'{name[:80]}' is no name for an alias: {reason}, and has up to 64 letters, digits, '-', '_' and '.'; "
            "choose another, such as 'champion'"
        )
    return name


def require_movable(name: str) -> str:
    """The same for an alias that is moved by hand: ``previous`` is not."""
    if require_alias(name) == PREVIOUS:
        raise SpecError(
            f"'{PREVIOUS}' follows the champion and is not moved by hand; go back to it with 'wilss models rollback'"
        )
    return name


def digest_of_alias(name: str, root: Path) -> str | None:
    """Whole digest of the checkpoint that an alias points to; None for a name that is no alias of this root.

    Raises ArtefactNotFoundError where that checkpoint is gone, DamagedArtefactError as `moves_of`.
    """
    if not may_be_alias(name) or (digest := aliases_of(root).get(name)) is None:
        return None
    if not is_published(root, "checkpoints", digest):
        raise ArtefactNotFoundError(gone(name, digest, root))
    return digest


def gone(name: str, digest: str, root: Path) -> str:
    """In words: an alias points to what is not there."""
    return (
        f"alias '{name}' points to {digest[:12]}, which is not among the checkpoints in '{root}' any more; run again "
        f"what made it, or let the alias point to another ('wilss models list', then 'wilss models alias {name} MODEL')"
    )


def unknown(name: str, root: Path) -> ArtefactNotFoundError:
    """The error for a name that is no alias."""
    known = aliases_of(root)
    hint = did_you_mean(name, known) if known else " There is none yet; make one with 'wilss models promote MODEL'."
    return ArtefactNotFoundError(f"there is no alias '{name[:80]}' in '{root}'.{hint}")
