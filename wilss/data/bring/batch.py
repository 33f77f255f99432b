"""What is to be placed in a data folder, whatever it was before. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wilss.architecture import MOST_CLASSES
from wilss.data.class_names import BACKGROUND, folded
from wilss.data.findings import Finding, plain
from wilss.data.image_names import composed, without_suffix
from wilss.errors import SpecError

Drawn = Literal["raw", "upright"]
DRAWN = "say with --drawn raw (it was annotated as stored) or --drawn upright (as shown), or save the image upright"
"""What to do where an EXIF orientation leaves it open."""
LONGEST = 60
"""Letters of a class name, as benchmarks have it."""
PARTING = ";|"
"""Part names in labels.csv, so none may hold them."""
MASK_LETTERS = 200
"""Bytes of a file name without its suffix: file systems take 255 with it."""
Draw = Callable[[], NDArray[np.uint8]]
"""A mask, uint8 ``(H, W)``: position of the class + 1, 0 background, 255 void. Raises DataError for none."""


@dataclass(frozen=True)
class Item:
    """An image to be placed.

    name: as its data call it, with "/" between folders. tags: class names. draw: its mask; None for an image that has
    none. held_out: whether it is to be scored on.
    """

    name: str
    path: Path
    tags: tuple[str, ...]
    draw: Draw | None = None
    held_out: bool = False


@dataclass(frozen=True)
class Batch:
    """Images with their classes.

    classes: by mask value. masked: those that some mask shows. findings: "warn" for what cannot be placed.
    drawn: where an EXIF orientation leaves it open, whether masks lie on pixels as stored or as shown.
    lost: images of the data that are no item, for what findings tell.
    """

    classes: tuple[str, ...]
    masked: frozenset[str]
    items: tuple[Item, ...]
    findings: tuple[Finding, ...]
    drawn: Drawn | None = None
    lost: int = 0


def left(kind: str, where: object, seen: str, cure: str) -> Finding:
    """A finding about something that cannot be placed."""
    return Finding("warn", kind, str(where), plain(seen), cure)


def softened(findings: Iterable[Finding]) -> list[Finding]:
    """What refuses data in a run only keeps it from being placed."""
    return [Finding("warn", f.kind, f.where, f.seen, f.cure) if f.severity == "refuse" else f for f in findings]


def is_background(name: str) -> bool:
    """Whether a label means pixels of no class."""
    return folded(name) in BACKGROUND


def chosen_classes(found: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """The classes of a batch, in order.

    Args:
        found: of the data, in their order. wanted: the user's own choice and order; empty takes all.

    Raises SpecError for names that no benchmark can hold, too many, or a wanted one that the data do not have.
    """
    if unknown := [name for name in wanted if name not in found]:
        raise SpecError(f"'{unknown[0]}' is no class of these data; there are {', '.join(found)[:500]}")
    names = tuple(dict.fromkeys(wanted or (name for name in found if not is_background(name))))
    for name in names:
        if is_background(name):
            raise SpecError(f"'{name}' is no class: 0 stands for it in every mask; leave it out")
        if len(name) > LONGEST or not name.isprintable() or any(c in PARTING for c in name) or name.strip() != name:
            raise SpecError(
                f"class name {name!r:.90} cannot be used: up to {LONGEST} letters, none of ';' and '|', no blank "
                "at its ends; rename it in the data, or leave it out with --classes"
            )
    if not names:
        raise SpecError("the data name no class; is it the right file or folder?")
    if len(names) > MOST_CLASSES:
        raise SpecError(f"there are {len(names)} classes, masks hold {MOST_CLASSES}; choose some with --classes")
    return names


def target_names(names: Collection[str]) -> dict[str, str | None]:
    """Name in the data -> name in the folder: the file's own, with its folders ("a__0") where several files share it.

    None for one that cannot be told apart, or that no file can have.
    """
    own = {name: composed(PurePosixPath(without_suffix(name)).name) for name in names}
    counts = Counter(target.casefold() for target in own.values())
    long = {name: composed(without_suffix(name)).strip("/").replace("/", "__") for name in names}
    chosen = {name: own[name] if counts[own[name].casefold()] == 1 else long[name] for name in names}
    again = Counter(target.casefold() for target in chosen.values())
    return {
        name: target if again[target.casefold()] == 1 and _is_file_name(target) else None
        for name, target in chosen.items()
    }


def _is_file_name(name: str) -> bool:
    whole = 0 < len(name.encode(errors="replace")) <= MASK_LETTERS
    return whole and name.isprintable() and not name.startswith(".") and "/" not in name and name.strip() == name
