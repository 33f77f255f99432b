"""Which files of a folder are images or masks, by id; what is passed over is counted by kind. No torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from wilss.data.findings import Finding, Severity
from wilss.data.image_names import IMAGE_SUFFIXES, MASK_ENDINGS, composed, without_suffix

Scan = Callable[[Path], Iterable["Entry"]]
"""Lists a folder."""
MASK_SUFFIXES = (*IMAGE_SUFFIXES, ".gif")
"""Of masks as well: those of a kind that keeps no ids are refused by name, not passed over."""
SYSTEM = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db", "icon\r"})
"""What file managers leave in folders of pictures."""
PASSED = {
    "link without target": ("warn", "fetch what it points to (dvc pull, git annex get), or remove it"),
    "folder called like an image": ("warn", "move its images up, or rename it"),
    "sub-folder": ("warn", "move its images up if they are meant"),
    "hidden file": ("note", "nothing has to be done"),
    "system file": ("note", "nothing has to be done"),
    "field that is not read": ("note", "nothing has to be done"),
    "link or device in a tar": ("warn", "write the file itself into the tar (tar -h) if it is meant"),
    "file of another kind": ("warn", f"save it as one of {' '.join(IMAGE_SUFFIXES)} if it is meant"),
}
"""Kind of what is passed over -> how bad it is, and what to do."""


@dataclass(frozen=True)
class FileIndex:
    """Files of a folder by image id, in the order of their names.

    findings: ids that have several files. passed: kind -> names of what is passed over. orphans: masks without image.
    """

    folder: Path
    files: Mapping[str, Path]
    findings: tuple[Finding, ...] = ()
    passed: Mapping[str, tuple[str, ...]] | None = None
    orphans: tuple[Path, ...] = ()

    @cached_property
    def names(self) -> dict[str, str]:
        """File names within the folder, and ids -> id."""
        by_file = {composed(path.relative_to(self.folder).as_posix()): i for i, path in self.files.items()}
        return by_file | {image_id: image_id for image_id in self.files}

    def told(self) -> list[Finding]:
        """Findings about all of the folder's entries."""
        return [*self.findings, *(self._of_kind(kind, names) for kind, names in (self.passed or {}).items())]

    def _of_kind(self, kind: str, names: tuple[str, ...]) -> Finding:
        severity, cure = PASSED[kind]
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        seen = f"holds {len(names)} that {'is' if len(names) == 1 else 'are'} passed over ({kind}): {shown}"
        level: Severity = "note" if severity == "note" else "warn"
        return Finding(level, f"passed-over: {kind}", str(self.folder), seen, cure)


class Entry(Protocol):
    """What a folder holds, as `os.scandir` tells it."""

    @property
    def name(self) -> str:
        """Without folders."""
        ...

    @property
    def path(self) -> str:
        """With the folder's."""
        ...

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a folder."""
        ...

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a file."""
        ...

    def is_symlink(self) -> bool:
        """Whether it is a link."""
        ...


def scanned(folder: Path) -> list[Entry]:
    """What a folder of this disk holds; nothing where there is none."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return list(entries)


def index_images(folder: Path, deep: bool = False, scan: Scan = scanned) -> FileIndex:
    """The images of a folder; their id is the file name without suffix, accents composed.

    Args:
        deep: with sub-folders; ids are then "SUB/NAME".
        scan: lists a folder.
    """
    passed: dict[str, list[str]] = {}
    named: dict[str, list[Path]] = {}
    for path, name in _entries(folder, IMAGE_SUFFIXES, deep, passed, scan):
        named.setdefault(without_suffix(name), []).append(path)
    findings = tuple(_several(folder, paths, image_id, "image") for image_id, paths in named.items() if paths[1:])
    files = {image_id: paths[0] for image_id, paths in named.items()}
    return FileIndex(folder, files, findings, {kind: tuple(names) for kind, names in passed.items()})


def index_masks(folder: Path, images: FileIndex, deep: bool = False, scan: Scan = scanned) -> FileIndex:
    """The masks of a folder by the id of their image: NAME.png, NAME.jpg.png, NAME_mask.png, in any case."""
    passed: dict[str, list[str]] = {}
    found: dict[str, list[Path]] = {}
    orphans = []
    lower = _unique_by_case(images.files)
    for path, name in _entries(folder, MASK_SUFFIXES, deep, passed, scan):
        stem = name.rpartition(".")[0]
        image_id = next((i for i in _meant(stem) if i in images.files), None) or lower.get(stem.casefold())
        found.setdefault(image_id, []).append(path) if image_id else orphans.append(path)
    findings = tuple(_several(folder, paths, image_id, "mask") for image_id, paths in found.items() if paths[1:])
    files = {image_id: paths[0] for image_id, paths in found.items()}
    return FileIndex(folder, files, findings, {k: tuple(names) for k, names in passed.items()}, tuple(orphans))


def _entries(
    folder: Path, suffixes: tuple[str, ...], deep: bool, passed: dict[str, list[str]], scan: Scan, below: str = ""
) -> Iterator[tuple[Path, str]]:
    """Files with one of the suffixes as (path, name within the folder, composed), sorted; the others are noted."""
    for entry in sorted(scan(folder / below), key=lambda entry: composed(entry.name)):
        name = below + composed(entry.name)
        if deep and entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
            yield from _entries(folder, suffixes, deep, passed, scan, f"{below}{entry.name}/")
        elif kind := _kind(entry, suffixes):
            passed.setdefault(kind, []).append(name)
        else:
            yield type(folder)(entry.path), name


def _kind(entry: Entry, suffixes: tuple[str, ...]) -> str:
    """Why an entry is passed over; "" for one that is not."""
    named_so = os.path.splitext(entry.name)[1].lower() in suffixes  # noqa: PTH122 - a Path costs ten times as much
    if entry.name.startswith("."):
        return "hidden file"
    if entry.name.lower() in SYSTEM:
        return "system file"
    if entry.is_dir():
        return "folder called like an image" if named_so else "sub-folder"
    if not entry.is_file():
        return "link without target" if entry.is_symlink() else "file of another kind"
    return "" if named_so else "file of another kind"


def _meant(stem: str) -> Iterator[str]:
    """Ids that the name of a mask may mean, without its suffix, the likeliest first."""
    yield stem
    yield without_suffix(stem)
    for ending in MASK_ENDINGS:
        if stem.lower().endswith(ending):
            bare = stem[: -len(ending)]
            yield bare
            yield without_suffix(bare)


def _unique_by_case(files: Mapping[str, Path]) -> dict[str, str]:
    found: dict[str, str] = {}
    twice = set()
    for image_id in files:
        key = image_id.casefold()
        twice |= {key} & found.keys()
        found[key] = image_id
    return {key: image_id for key, image_id in found.items() if key not in twice}


def _several(folder: Path, paths: list[Path], image_id: str, what: str) -> Finding:
    others = " and ".join(f"'{path.name}'" for path in paths[1:])
    seen = f"and {others} share the name '{image_id}': one {what} is needed"
    return Finding("refuse", f"several-{what}s", str(paths[0]), seen, "rename or remove the others")
