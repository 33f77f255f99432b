"""Images and categories that an annotation file lists. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from wilss.data.coco.columns import key_of
from wilss.data.findings import Finding, Severity, plain

MOST_PIXELS = 2 * 89_478_485
"""Of an image; Pillow refuses larger ones."""


@dataclass(frozen=True)
class CocoImage:
    """An image of the list. key: its id as text. size: (height, width); None where the file does not tell."""

    key: str
    file_name: str
    size: tuple[int, int] | None

    @property
    def name(self) -> str:
        """The file name without suffix, folders included: its id here."""
        return str(PurePosixPath(self.file_name).with_suffix(""))

    @property
    def bare(self) -> str:
        """The file name without folders."""
        return PurePosixPath(self.file_name).name


@dataclass(frozen=True)
class Sayer:
    """Collects what is wrong with a file."""

    path: Path
    found: list[Finding] = field(default_factory=list)

    def __call__(self, severity: Severity, kind: str, seen: str, cure: str) -> None:
        """Add a finding."""
        self.found.append(Finding(severity, kind, str(self.path), plain(seen), cure))


def categories_of(rows: Sequence[tuple[Any, Any]], say: Sayer) -> dict[str, str]:
    """Names of the categories by id."""
    names: dict[str, str] = {}
    for number, name in rows:
        key = key_of(number)
        if key is None or not isinstance(name, str) or not name.strip() or len(name) > 1000:
            say("refuse", "coco-category", f"has a category {number!r:.40} called {name!r:.60}", "give id and name")
        elif names.setdefault(key, name.strip()) != name.strip():
            seen = f"calls category {key:.40} both '{names[key]:.60}' and '{name:.60}'"
            say("refuse", "coco-category", seen, "give each category an id of its own")
    return names


def image_row(record: dict[str, Any]) -> tuple[Any, ...]:
    """Id, file name, height and width as written, of an image's record."""
    row = (record.get(key) for key in ("id", "file_name", "height", "width"))
    return tuple(value if isinstance(value, str | int | float | None) else repr(value)[:200] for value in row)


def images_of(rows: Sequence[tuple[Any, ...]], say: Sayer) -> tuple[dict[str, CocoImage], frozenset[str]]:
    """The images that can be used, by name, ascending; and the ids of all.

    Args:
        rows: of `image_row`.
    """
    distinct = dict.fromkeys(rows)
    if len(distinct) < len(rows):
        seen = f"lists {len(rows) - len(distinct)} images again, in equal words"
        say("note", "coco-listed-again", seen, "they are taken as one; take the repeated ones out")
    named = [image for row in distinct if (image := _named(row, say)) is not None]
    keys, names = Counter(i.key for i in named), Counter(i.name for i in named)
    sound = [i for i in named if keys[i.key] == names[i.name] == 1 and _has_size(i, say)]
    for image in named:
        if keys[image.key] > 1:
            seen = f"gives the id '{image.key:.60}' to {keys[image.key]} images, one is '{image.file_name:.200}'"
            say("refuse", "coco-id-twice", seen, "give each image an id of its own")
        elif names[image.name] > 1:
            seen = f"lists '{image.file_name:.200}' {names[image.name]} times, once as image '{image.key:.60}'"
            say(
                "refuse",
                "coco-file-twice",
                seen,
                "list each file once, with all its annotations, under a name of its own",
            )
    return {image.name: image for image in sorted(sound, key=lambda i: i.name)}, frozenset(keys)


def _named(row: tuple[Any, ...], say: Sayer) -> CocoImage | None:
    number, file_name, *size = row
    key, inside = key_of(number), _inside(file_name)
    if key is not None and inside is not None:
        return CocoImage(key, inside, _size(*size))
    problem = f"id {number!r:.40}" if key is None else f"the file name {file_name!r:.120}"
    cure = "give each an id" if key is None else "name a file in the folder of the images"
    say("refuse", "coco-image", f"lists an image with {problem}", cure)
    return None


def _has_size(image: CocoImage, say: Sayer) -> bool:
    if image.size is None:
        seen = f"tells no size of '{image.file_name:.200}'"
        say("warn", "coco-size", seen, "that of the file is taken; give height and width in pixels")
    elif image.size[0] * image.size[1] > MOST_PIXELS:
        seen = f"gives image '{image.name:.200}' {image.size[0]} x {image.size[1]} pixels"
        say("refuse", "coco-size", seen, "give its height and width in pixels")
        return False
    return True


def _inside(file_name: Any) -> str | None:
    """A file name that leads nowhere outside of the images' folder, with "/" between folders; None for any other."""
    if not isinstance(file_name, str) or len(file_name) > 4096 or "\0" in file_name:
        return None
    path = PurePosixPath(file_name.replace("\\", "/"))
    drive = path.parts and path.parts[0].endswith(":")
    if any(len(part.encode("utf-8", "replace")) > 255 or not _is_text(part) for part in path.parts):
        return None
    return None if path.is_absolute() or drive or ".." in path.parts or not path.name else str(path)


def _is_text(name: str) -> bool:
    """Whether a name can be written: JSON may hold halves of characters."""
    return not any("\ud800" <= c <= "\udfff" for c in name)


def _size(height: Any, width: Any) -> tuple[int, int] | None:
    """Height and width as whole numbers from 1 on; None for anything else."""
    if all(type(n) in (int, float) and n >= 1 and n == n // 1 and n < 1e9 for n in (height, width)):
        return int(height), int(width)
    return None
