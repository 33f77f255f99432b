"""What is wrong, or worth a word, with a data set as a whole: masks against tags, and files of equal bytes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from wilss.data.findings import Finding
from wilss.data.gate import from_message
from wilss.data.index import FileIndex
from wilss.data.rules import BINARY, Pair
from wilss.data.source import VOID
from wilss.data.stamps import Stamps
from wilss.errors import WilssError

SHOWN = 3


def refusal(kind: str, path: Path, error: WilssError) -> Finding:
    """An error that was raised about a file as a finding."""
    return from_message("refuse", kind, str(path), str(error))


def against_tags(
    pairs: Iterable[Pair], rows: Mapping[str, Collection[int]], classes: Sequence[str], drawn: Collection[int]
) -> list[Finding]:
    """Masks that show a class which the tags lack, or lack one that the tags have.

    Args:
        rows: image id -> class ids of its row. drawn: class ids that masks have to show, as they are learnt from them.
    """
    more, less = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    where = Path()
    for pair in pairs:
        if pair.image_id not in rows or pair.mask is None or pair.mask.problem or _unread(pair):
            continue
        shown, tags = {v for v in pair.values() if 0 < v < VOID}, set(rows[pair.image_id])
        where = pair.path.parent
        for value in (shown - tags) & set(range(1, len(classes) + 1)):
            more[classes[value - 1]].append(pair.image_id)
        for value in (tags - shown) & set(drawn) if shown else ():
            less[classes[value - 1]].append(pair.image_id)
    cure = "correct the table or the masks"
    return [
        *_by_class(more, where, "masks show '{}', which the image's tags lack", cure),
        *_by_class(less, where, "masks lack '{}', which is among the image's tags", cure),
    ]


def binary_with_tags(
    found: Iterable[Finding], pairs: Iterable[Pair], rows: Mapping[str, Collection[int]]
) -> Iterator[Finding]:
    """The same, but a mask of 0 and 255 is refused where the image's row says that it shows a class."""
    tagged = {str(pair.mask_path) for pair in pairs if rows.get(pair.image_id)}
    for finding in found:
        wrong = finding.kind == BINARY and finding.where in tagged
        yield replace(finding, severity="refuse") if wrong else finding


def _unread(pair: Pair) -> bool:
    return pair.reading is None or bool(pair.reading.problem)


def _by_class(found: Mapping[str, list[str]], where: Path, text: str, cure: str) -> Iterator[Finding]:
    for name, ids in sorted(found.items()):
        seen = f"holds {len(ids)} images whose {text.format(name)}: {some(ids)}"
        yield Finding("warn", "tags-differ", str(where), seen, cure)


def some(names: Sequence[str]) -> str:
    """The first few names of many."""
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def equal_files(pairs: Iterable[Pair], stamps: Stamps, scored: Collection[str]) -> list[Finding]:
    """Images of equal bytes; a warning where one is scored and the other trained on."""
    by_digest: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        if not pair.image.problem:
            by_digest[stamps.digest(pair.path)].append(pair)
    found, held_out = [], frozenset(scored)
    for same in by_digest.values():
        if len(same) > 1:
            both = len({pair.image_id in held_out for pair in same}) > 1
            names = " = ".join(pair.path.name for pair in same[1:4])
            seen = f"has the bytes of {names}" + (": one is scored on, another trained on" if both else "")
            cure = "leave one out" if both else "leave one out, unless it is meant to count twice"
            found.append(Finding("warn" if both else "note", "equal-files", str(same[0].path), seen, cure))
    return found


def orphans(masks: FileIndex) -> list[Finding]:
    """Masks that belong to no image."""
    if not masks.orphans:
        return []
    names = [path.name for path in masks.orphans]
    seen = f"holds {len(names)} masks of no image: {some(names)}"
    cure = "rename them as their images, or remove them"
    return [Finding("warn", "mask-without-image", str(masks.folder), seen, cure)]
