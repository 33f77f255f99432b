"""What is said of a row, and the acts that say it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from wilss.errors import FormatError, SpecError
from wilss.escapes import harmless

VERDICTS = ("", "accepted", "rejected", "absent", "missing")
"""absent: the class is not in the image, its tag is wrong. missing: the class is in the image, which lacks the tag."""
SAYS = {"accept": "accepted", "reject": "rejected", "absent": "absent", "missing": "missing"}
"""What a person says of a row -> its verdict then."""
DROPS_MASK = ("reject", "absent")
"""Said of a painted mask, they mean that mask: it does not count any more."""
SAID = ("accept", "reject", "absent", "missing", "note", "clear", "paint", "carry", "import")
TURNS = ("undo", "redo")
MASK = re.compile("[0-9a-f]{32}")
WHO_LETTERS, NOTE_LETTERS, ID_LETTERS = 100, 4000, 4096
MOST_CHANGES = 500_000
"""Of one act."""


class Key(NamedTuple):
    """A row: image id and class name; the class "" stands for the image itself, which takes notes only."""

    image: str
    class_name: str


@dataclass(frozen=True, slots=True)
class RowState:
    """What is said of a row.

    verdict: one of `VERDICTS`. mask: digest of the painted mask that replaces the row's, "" for none. note: free text.
    """

    verdict: str = ""
    mask: str = ""
    note: str = ""

    def __bool__(self) -> bool:
        return bool(self.verdict or self.mask or self.note)

    def plain(self) -> dict[str, str]:
        """Plain data: what is not empty."""
        named = (("verdict", self.verdict), ("mask", self.mask), ("note", self.note))
        return {name: value for name, value in named if value}


PLAIN = {verdict: RowState(verdict) for verdict in VERDICTS}
"""One object for all rows of which no more is said."""
NOTHING = PLAIN[""]


@dataclass(frozen=True, slots=True)
class Change:
    """What a row shall be from now on; ``seen`` is the version of the row that the person had before their eyes."""

    image: str
    class_name: str
    after: RowState
    seen: int

    @property
    def key(self) -> Key:
        """The row."""
        return Key(self.image, self.class_name)


@dataclass(frozen=True, slots=True)
class Changed:
    """What a row was before an act, and after it."""

    image: str
    class_name: str
    before: RowState
    after: RowState

    @property
    def key(self) -> Key:
        """The row."""
        return Key(self.image, self.class_name)


@dataclass(frozen=True, slots=True)
class Act:
    """One deed of one person, on any number of rows.

    n: 1 for the first one of a review. when: ISO 8601 with microseconds, UTC. what: of `SAID` or `TURNS`. of: number of
    the act that an undo takes back or a redo does again. seal: checksum of the act and of all before it.
    """

    n: int
    who: str
    when: str
    what: str
    changes: tuple[Changed, ...]
    of: int | None = None
    seal: str = ""

    def plain(self) -> dict[str, Any]:
        """Plain data, without the seal."""
        changes = [
            {"image": c.image, "class": c.class_name, "before": c.before.plain(), "after": c.after.plain()}
            for c in self.changes
        ]
        facts = {"n": self.n, "who": self.who, "when": self.when, "what": self.what}
        return {**facts, "changes": changes, "of": self.of}

    def with_seal(self, seal: str) -> Act:
        """The same with its seal."""
        return replace(self, seal=seal)


def require_who(who: str) -> str:
    """The name of a person, without blanks around it. Raises SpecError for one that cannot be shown."""
    name = " ".join(who.split())
    if not name or len(name) > WHO_LETTERS or harmless(name) != name or not _is_unicode(name):
        raise SpecError(
            f"'{harmless(who)[:60]}' is no name of a person: it has 1 to {WHO_LETTERS} printable letters; give another"
        )
    return name


def require_state(key: Key, state: RowState) -> None:
    """Raise SpecError for what cannot be said of a row."""
    if problem := _problem(*key, state):
        shown = f"{key.class_name or 'the note'} of image '{key.image}'"
        raise SpecError(f"{harmless(shown)[:200]}: {problem}")


def _problem(image: str, class_name: str, state: RowState) -> str:
    if not 0 < len(image) <= ID_LETTERS or len(class_name) > ID_LETTERS:
        return f"an image id has 1 to {ID_LETTERS} letters; take one of the label set"
    if state.verdict not in VERDICTS:
        return f"the verdict '{state.verdict[:40]}' is unknown; choose of {', '.join(VERDICTS[1:])}"
    if state.mask and not MASK.fullmatch(state.mask):
        return f"'{state.mask[:40]}' is no digest of a painted mask; keep the mask first"
    if len(state.note) > NOTE_LETTERS or not _is_unicode(state.note):
        return f"the note has {len(state.note)} letters; keep it to {NOTE_LETTERS} of plain text"
    if not class_name and (state.verdict or state.mask):
        return "an image as a whole takes a note only; name a class"
    return ""


def _is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8; ids of images need not, as names of files are any bytes."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def act_of(content: Any) -> Act:
    """An act from the content of its line. Raises FormatError with what is wrong with it."""
    try:
        who, when, what = (_typed(content[name], str) for name in ("who", "when", "what"))
        changes = tuple(_changed(each) for each in content["changes"])
        act = Act(_typed(content["n"], int), who, when, what, changes, content["of"])
        right = require_who(act.who) == act.who and datetime.fromisoformat(act.when).utcoffset() == timedelta(0)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise FormatError(f"it is no act of a review ({error!s:.200})") from error
    turned = type(act.of) is int and 0 < act.of < act.n if act.what in TURNS else act.of is None
    if not (right and turned and act.what in (*SAID, *TURNS) and 0 < len(act.changes) <= MOST_CHANGES):
        raise FormatError(f"it is no act of a review (what: {act.what!r:.40}, of: {act.of!r:.40})")
    return act


def _typed(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{value!r:.40} is no {kind.__name__}")
    return value


def _changed(content: Any) -> Changed:
    image, class_name = _typed(content["image"], str), _typed(content["class"], str)
    before, after = _state(content["before"]), _state(content["after"])
    if problem := _problem(image, class_name, after):
        raise ValueError(problem)
    return Changed(image, class_name, before, after)


def _state(content: Any) -> RowState:
    """Of most rows no more is said than a verdict; that has to be quick, as an act may have 100,000 of them."""
    if not content and content == {}:
        return NOTHING
    verdict = content.get("verdict", "")
    if len(content) == 1 and verdict in PLAIN and verdict:
        return PLAIN[verdict]
    found = RowState(_typed(verdict, str), *(_typed(content.get(name, ""), str) for name in ("mask", "note")))
    if len(found.plain()) != len(content):
        raise ValueError(f"it says more of a row than is known: {', '.join(map(str, content))!s:.80}")
    return found
