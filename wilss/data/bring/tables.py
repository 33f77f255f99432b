"""Tags that a table or a folder a class gives: images without masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from wilss.data.bring.batch import Batch, Item, chosen_classes, is_background, left, softened
from wilss.data.class_names import folded
from wilss.data.findings import Finding
from wilss.data.index import FileIndex, index_images
from wilss.data.stamps import sha256
from wilss.data.tables import read_table
from wilss.data.tags import label_table, row_findings
from wilss.errors import DataNotFoundError, SpecError

SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})
"""Folders above those of the classes."""


def from_table(table: Path, images: Path, wanted: Sequence[str] = ()) -> Batch:
    """The rows of a table (see `wilss.data.tags.label_table`) whose images are in a folder or below it.

    Rows of one image are taken together.

    Args:
        wanted: classes in order; else all of the table, sorted. They also tell names of several words from several.
    """
    index = folder_index(images)
    names = {**_bare(index), **index.names}
    labels = label_table(table, wanted, names)
    if not labels.several:
        _require_plain_names(table, wanted)
    untold = {"repeated-row", *(["names-of-one-image"] if wanted else [])}
    findings = softened(index.told()) + [
        finding for finding in softened(row_findings(labels, (), names, (), images)) if finding.kind not in untold
    ]
    tags: dict[str, dict[str, None]] = {}
    for row in labels.rows:
        if row.image_id is not None and row.image:
            tags.setdefault(row.image_id, {}).update(dict.fromkeys(row.names))
    classes = chosen_classes(labels.names, wanted)
    again = len([row for row in labels.rows if row.image_id is not None]) - len(tags)
    if again > 0:
        seen = f"has {again} further rows of images that it names already; their tags are taken together"
        findings.append(Finding("note", "repeated-row", str(table), seen, "nothing has to be done"))
    without = [image_id for image_id in index.files if image_id not in tags]
    findings += [left("no-row", index.files[i], "has no row in the table", "add one if it is meant") for i in without]
    findings += _passed_over(table, [name for row in tags.values() for name in row], classes)
    items = [Item(i, index.files[i], tuple(c for c in classes if c in row)) for i, row in tags.items()]
    return Batch(classes, frozenset(), tuple(items), tuple(findings))


def _require_plain_names(table: Path, wanted: Sequence[str]) -> None:
    """Raise SpecError where blanks may part names or belong to one, and the wanted names do not settle it."""
    cells = [cell for record in read_table(table, ()).records for cell in record.cells[1:] if " " in cell]
    if cells and not wanted:
        raise SpecError(
            f"'{table}' holds '{cells[0]:.60}', which may be one name or several; name the classes with --classes "
            "where cells hold one name, or names without blanks; else write ';' between names"
        )
    known = {folded(name) for name in wanted}
    for cell in (cell for cell in cells if folded(cell) not in known):
        if name := next((name for name in wanted if _is_within(name, cell)), None):
            raise SpecError(f"'{table}' holds '{cell:.60}', which has '{name}' and more in it; write ';' between names")


def _is_within(name: str, cell: str) -> bool:
    """Whether a name of several words is a part of a cell."""
    short, whole = folded(name), folded(cell)
    return " " in short and f" {short} " in f" {whole} "


def from_folders(root: Path, wanted: Sequence[str] = ()) -> Batch:
    """A folder with a folder of images for each class, deeper ones belonging to it; train/CLASS and the like as well.

    An image that lies in the folders of several classes, byte by byte, is one image with all of their tags.

    Args:
        wanted: classes in order; else all folders, sorted.
    """
    index = folder_index(root)
    findings, tags = softened(index.told()), dict[str, str]()
    above = _folders_above(index)
    for image_id, path in index.files.items():
        parts = PurePosixPath(path.relative_to(root).as_posix()).parts[above:]
        if len(parts) < 2:
            findings.append(left("no-class-folder", path, "lies in no folder of a class", "move it into one"))
            continue
        tags[image_id] = parts[0]
    classes = chosen_classes(sorted(set(tags.values())), wanted)
    findings += _passed_over(root, list(tags.values()), classes)
    kept = {image_id: name for image_id, name in tags.items() if name in classes or is_background(name)}
    items = _joined(index, kept, classes, findings)
    return Batch(classes, frozenset(), tuple(items), tuple(findings))


def folder_index(folder: Path) -> FileIndex:
    """The images of a folder and of those below it. Raises DataNotFoundError where it is none, or holds no image."""
    if not folder.is_dir():
        raise DataNotFoundError(f"'{folder}' is no folder; name that of the images")
    index = index_images(folder, deep=True)
    if not index.files:
        raise DataNotFoundError(f"'{folder}' and the folders below it hold no image; name that of the images")
    return index


def _bare(index: FileIndex) -> dict[str, str]:
    """File names and ids without folders -> id, where one image has them."""
    found = [(PurePosixPath(name).name, image_id) for name, image_id in index.names.items()]
    counts = Counter(name for name, image_id in set(found))
    return {name: image_id for name, image_id in found if counts[name] == 1}


def _passed_over(where: Path, names: Sequence[str], classes: Sequence[str]) -> list[Finding]:
    """Tags that are no class of the batch, by name."""
    counted = Counter(name for name in names if name not in classes and not is_background(name))
    cure = "name it with --classes if it is meant"
    return [left("tag", where, f"has {n} tags '{name}', which is no class", cure) for name, n in counted.items()]


def _folders_above(index: FileIndex) -> int:
    first = {path.relative_to(index.folder).parts[0] for path in index.files.values()}
    return 1 if all(name.lower() in SPLITS for name in first) else 0


def _joined(index: FileIndex, tags: dict[str, str], classes: Sequence[str], findings: list[Finding]) -> list[Item]:
    """One item an image; equal files of one name in several folders are one."""
    by_name: dict[str, list[str]] = {}
    for image_id in tags:
        by_name.setdefault(PurePosixPath(image_id).name, []).append(image_id)
    items = []
    for same in by_name.values():
        groups: dict[str, list[str]] = {}
        for image_id in same:
            groups.setdefault(sha256(index.files[image_id]) if len(same) > 1 else "", []).append(image_id)
        for group in groups.values():
            names = {tags[image_id] for image_id in group}
            items.append(Item(group[0], index.files[group[0]], tuple(c for c in classes if c in names)))
            if len(group) > 1:
                seen = f"lies in {len(group)} folders of classes; it is one image with {len(names)} tags"
                findings.append(
                    Finding("note", "equal-files", str(index.files[group[0]]), seen, "nothing has to be done")
                )
    return items
