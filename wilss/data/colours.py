"""Which class a colour of a mask stands for: by a label map, by VOC's colours, or by the folder's other masks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wilss.data.class_names import ANY, BACKGROUND, ClassNames, folded
from wilss.data.looks import MaskLook
from wilss.data.palette import Colour, voc_colour
from wilss.data.places.place import DISK, Place
from wilss.data.source import VOID
from wilss.data.text import read_text
from wilss.errors import DataError, did_you_mean

LABELMAP = "labelmap.txt"
"""Of CVAT and Datumaro: "name:red,green,blue:parts:actions" a line."""
LINE = "name:red,green,blue::"
VOIDS = frozenset({"void", "ignore", "ignored", "unlabeled", "unlabelled"})
BLACK = (0, 0, 0)
VOC_COLOURS = frozenset(voc_colour(k) for k in (*range(1, 21), VOID))
AGREEMENT = 2 / 3
"""Share of the masks with an index that have to give it one colour, for it to be that of the folder."""


@dataclass(frozen=True)
class ColourTable:
    """Colours and what they stand for: class ids, 0 background, 255 void.

    origin: where it comes from, in words. disputed: ids whose colour differs from mask to mask.
    """

    ids: Mapping[Colour, int]
    origin: str
    disputed: frozenset[int] = frozenset()

    def colour_of(self, value: int) -> Colour | None:
        """The colour of a class id."""
        return next((colour for colour, known in self.ids.items() if known == value), None)


def voc_table() -> ColourTable:
    """VOC's colours of all ids, so that one above the classes is told as such."""
    return ColourTable({voc_colour(k): k for k in range(256)}, "VOC's colours")


def read_labelmap(path: Path, classes: Sequence[str], ignore: Collection[str] = (), place: Place = DISK) -> ColourTable:
    """Read a label map by the names of its classes; names that are passed over become background.

    Args:
        classes: by id; empty numbers the names of the file.
        place: where it lies.

    Raises DataError for a line that is none, a name that is no class, or a colour or class that stands twice.
    """
    known, found = ClassNames((*classes, *ignore), True), dict[Colour, int]()
    first: dict[str, int] = {}
    for number, line in enumerate(read_text(path, place).content.split("\n"), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, colour = _line(path, number, line)
        if colour in found:
            raise DataError(f"'{path}:{number}' gives '{name}' the colour of another class; give it one of its own")
        meant = known.known(name)
        if _is_class(name, meant, classes) and first.setdefault(folded(meant or name), number) != number:
            earlier = first[folded(meant or name)]
            raise DataError(f"'{path}:{number}' names '{name}' again, after line {earlier}; give each class one line")
        if meant is not None and meant in classes:
            found[colour] = 1 + list(classes).index(meant)
        elif folded(name) in BACKGROUND or meant is not None or ANY in ignore:
            found[colour] = 0
        elif folded(name) in VOIDS:
            found[colour] = VOID
        elif not classes:
            found[colour] = 1 + sum(0 < value < VOID for value in found.values())
        else:
            raise DataError(
                f"'{path}:{number}' names the class '{name}', which the benchmark does not have; name it in a step or "
                f"in its ignore.{did_you_mean(name, classes)}"
            )
    return ColourTable(found, f"'{path.name}'")


def _is_class(name: str, meant: str | None, classes: Sequence[str]) -> bool:
    """Whether a name is neither background nor void, nor passed over; without classes every other name is one."""
    return meant in classes if classes else folded(name) not in BACKGROUND | VOIDS


def _line(path: Path, number: int, line: str) -> tuple[str, Colour]:
    name, _, rest = line.strip().partition(":")
    parts = rest.split(":")[0].split(",")
    try:
        red, green, blue = (int(part) for part in parts)
        if not all(0 <= value <= 255 for value in (red, green, blue)):
            raise ValueError
    except ValueError as error:
        raise DataError(f"'{path}:{number}' is '{line.strip()[:60]}'; write {LINE}") from error
    return name.strip(), (red, green, blue)


def table_of_masks(looks: Iterable[MaskLook]) -> ColourTable:
    """The colours that the palettes of a folder agree on.

    A colour that stands for several ids of one mask is left out, as is an id whose colour differs from mask to mask. A
    colour that stands for other ids in other masks is that of most of them; where few agree, its ids are disputed. A
    palette that begins with a class of VOC's and has black behind it has lost its order, and has no voice.
    """
    votes: dict[int, Counter[Colour]] = defaultdict(Counter)
    shared = set[Colour]()
    for look in looks:
        own = own_colours(look)
        shared.update(colour for colour, count in Counter(own.values()).items() if count > 1)
        if not (own.get(0) in VOC_COLOURS and BLACK in own.values()):
            void = {VOID: look.palette[VOID]} if look.palette.get(VOID, BLACK) != BLACK else {}
            for value, colour in (own | void).items():
                votes[value][colour] += 1
    chosen = {value: _elected(value, counts) for value, counts in votes.items()}
    for value in _rivals(votes, chosen, shared):
        chosen[value] = None
    named = Counter(colour for colour in chosen.values() if colour)
    ids = {colour: value for value, colour in chosen.items() if colour and named[colour] == 1}
    ids.setdefault(voc_colour(VOID), VOID)
    disputed = frozenset(value for value, colour in chosen.items() if colour is None)
    return ColourTable(ids, "the folder's other masks", disputed)


def _elected(value: int, counts: Counter[Colour]) -> Colour | None:
    """The colour of most masks, but VOC's before one that VOC has for another id: it was put in another order."""
    colour, count = counts.most_common(1)[0]
    voc = voc_colour(value) in counts
    if count >= AGREEMENT * counts.total() and not (voc and colour in VOC_COLOURS):
        return colour
    return voc_colour(value) if voc else None


def _rivals(
    votes: Mapping[int, Counter[Colour]], chosen: Mapping[int, Colour | None], shared: Collection[Colour]
) -> list[int]:
    """Ids that lose their colour to another id of most masks with it; all of them where the masks do not agree."""
    named: dict[Colour, list[int]] = defaultdict(list)
    for value, colour in chosen.items():
        if colour and colour not in shared and value != VOID:
            named[colour].append(value)
    lost: list[int] = []
    for colour, values in named.items():
        counts = {value: votes[value][colour] for value in values}
        most = max(values, key=lambda value: counts[value])
        voc = any(voc_colour(value) == colour for value in values if value != most)
        agreed = counts[most] >= AGREEMENT * sum(counts.values()) and not voc
        lost += [value for value in values if len(values) > 1 and not (agreed and value == most)]
    return lost


def own_colours(look: MaskLook) -> dict[int, Colour]:
    """Index -> colour of a palette mask, as far as they tell something.

    Void's colour tells nothing, nor does a grey palette, or black beside a black background: an entry left empty.
    """
    used = {value: colour for value, colour in look.palette.items() if value != VOID}
    if used.get(0) == BLACK:
        used = {value: colour for value, colour in used.items() if value == 0 or colour != BLACK}
    grey = all(colour == (value, value, value) for value, colour in used.items())
    return {} if grey else used
