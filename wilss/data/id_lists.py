"""Text files with one image a line: ids, file names, paths, or pairs of an image's and its mask's path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wilss.data.findings import Finding
from wilss.data.gate import from_message, require_sound
from wilss.data.image_names import MASK_ENDINGS, first_of_pair, image_id_of, known_id
from wilss.data.places.place import DISK, Place
from wilss.data.text import read_text

SHOWN = 3
"""Names of one finding."""
MOST_FAULTS = 50
"""Of one kind in one list that are told one by one; the others are counted."""


@dataclass(frozen=True)
class IdList:
    """What a file lists. ids: each once, in its order, without those of faulty lines. findings: of all its lines."""

    ids: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def read_ids(path: Path, names: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The image ids of a file, in its order; those of images that are not there stay as they are written.

    Args:
        names: file names and ids of the images at hand -> id; None takes off folders and suffixes as they are known.

    Raises DataError for a list without ids, with one that stands in it twice, or whose two paths of a line differ.
    """
    found = look_at_list(path, names)
    require_sound(found.findings)
    return found.ids


def look_at_list(path: Path, names: Mapping[str, str] | None = None, place: Place = DISK) -> IdList:
    """The same with all faults of the list as findings. Raises DataError for what is no text."""
    text = read_text(path, place)
    ids: list[str] = []
    wrong: list[Finding] = []
    for number, line in enumerate(text.content.split("\n"), start=1):
        if line.strip():
            image_id, problem = _id(line, names)
            ids += () if problem else (image_id,)
            wrong += [from_message("refuse", "list-pair", f"{path}:{number}", problem)] if problem else ()
    if not ids and not wrong:
        wrong.append(Finding("refuse", "list-empty", str(path), "is empty", "it needs one image id a line"))
    again = [image_id for image_id, count in Counter(ids).items() if count > 1]
    if again:
        seen = f"lists images more than once ({len(again)}, first {', '.join(map(repr, again[:SHOWN]))})"
        wrong.append(Finding("refuse", "list-twice", str(path), seen, "leave one line of each"))
    return IdList(tuple(dict.fromkeys(ids)), bounded(path, wrong))


def with_files(path: Path, listed: IdList, images: Collection[str], masks: Collection[str]) -> IdList:
    """A list of images that all need a mask: those that lack a file are findings too."""
    lacking = {i: "no image" for i in listed.ids if i not in images}
    lacking |= {i: "no mask" for i in listed.ids if i not in lacking and i not in masks}
    cure = "it needs both, or leave it out"
    found = [
        Finding("refuse", f"list-{lacks.replace(' ', '-')}", str(path), f"lists '{i}', which has {lacks}", cure)
        for i, lacks in lacking.items()
    ]
    return IdList(tuple(i for i in listed.ids if i not in lacking), (*listed.findings, *bounded(path, found)))


def bounded(path: Path, found: Sequence[Finding]) -> tuple[Finding, ...]:
    """Findings of a list, and the number of those of one kind that are too many to be told one by one."""
    counts = Counter(finding.kind for finding in found)
    kept: list[Finding] = []
    for kind, count in counts.items():
        same = [finding for finding in found if finding.kind == kind]
        kept += same[:MOST_FAULTS]
        if count > MOST_FAULTS:
            seen = f"has {count - MOST_FAULTS} more lines of this kind ({kind})"
            kept.append(replace(same[0], where=str(path), seen=seen))
    return tuple(kept)


def _id(line: str, names: Mapping[str, str] | None) -> tuple[str, str]:
    """The image that a line names, and what is wrong with it, "" nothing."""
    if names is not None and (whole := known_id(line, names)) is not None:
        return whole, ""
    image, mask = first_of_pair(line)
    image_id = (known_id(image, names) if names is not None else None) or image_id_of(image).lstrip("/")
    if mask is not None and _name(mask) not in {_name(image) + ending for ending in ("", *MASK_ENDINGS)}:
        return image_id, f"pairs '{image}' with '{mask}'; an image and its mask have one name, rename the mask"
    return image_id, ""


def _name(path: str) -> str:
    """Of a file, without its folders and suffix."""
    return path.replace("\\", "/").rpartition("/")[2].rpartition(".")[0].strip()


def overlap(training: IdList, scored: IdList, names: tuple[str, str], folder: Path) -> list[Finding]:
    """A refusal where images of a training list are scored on as well.

    Lists of many origins overlap: SBD's own training list holds images of VOC's ``val``, which its users take out.

    Args:
        names: the two lists' names in the folder.
    """
    trained = set(training.ids)
    both = [image_id for image_id in scored.ids if image_id in trained]
    if not both:
        return []
    shown = ", ".join(map(repr, both[:SHOWN]))
    seen = f"holds images of '{names[1]}', which is scored on ({len(both)}, first {shown})"
    where = str(folder / f"{names[0]}.txt")
    return [Finding("refuse", "list-overlap", where, seen, "take them out of one of the two")]


def choose_lists(root: Path | None, train: str | None, evaluation: str | None) -> tuple[str | None, str | None]:
    """Names of the split files: as given; for evaluation else "val", else the only list that is no training list."""
    folder = root / "ImageSets" / "Segmentation" if root else None
    if evaluation or folder is None or not folder.is_dir() or (folder / "val.txt").is_file():
        return train, evaluation
    others = [path.stem for path in folder.glob("*.txt") if not path.stem.startswith("train")]
    return train, others[0] if len(others) == 1 else None
