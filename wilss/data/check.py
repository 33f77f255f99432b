"""Looking over a data folder before it is used: counts, unreadable files, unknown classes, duplicates, balance."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from wilss.data.files import read_mask, read_rgb
from wilss.data.folder import LAYOUT, find_images
from wilss.data.id_lists import read_ids
from wilss.data.source import VOID
from wilss.data.tags import LabelRow, label_rows
from wilss.data.voc_names import VOC_PROMPTS
from wilss.errors import DataError, DataNotFoundError


@dataclass(frozen=True)
class DataReport:
    """What was found in a folder.

    classes: images of each class name. unreadable: image -> what is wrong with it. unknown: class names that the
    benchmark does not know, with their number of rows. duplicates: groups of files of equal bytes. problems: everything
    else that a run would refuse. shown: class name -> a few of its files.
    """

    layout: str
    images: int
    masks: int
    labelled: int
    classes: dict[str, int]
    unreadable: dict[str, str]
    unknown: dict[str, int]
    duplicates: tuple[tuple[str, ...], ...]
    problems: tuple[str, ...]
    shown: dict[str, tuple[Path, ...]]

    @property
    def sound(self) -> bool:
        """Whether a run would accept the folder as it is."""
        return not (self.unreadable or self.unknown or self.problems)


def check_folder(root: Path, classes: Sequence[str] = (), ignore: Sequence[str] = ()) -> DataReport:
    """Look over ``images/`` + ``labels.csv`` (+ ``masks/``), or a VOC devkit folder.

    Args:
        classes: names that a benchmark knows, in the order of mask values; empty accepts any (VOC knows its own), and
            then names of several words need ";", "|" or columns of their own.
        ignore: names that are passed over.

    Raises DataNotFoundError for a folder of neither layout.
    """
    if (root / "JPEGImages").is_dir():
        return _check_voc(root)
    if not (root / "images").is_dir():
        raise DataNotFoundError(
            f"'{root}' is no data folder: it has neither images/ nor JPEGImages/. Expected layout: {LAYOUT}"
        )
    files, problems = find_images(root)
    by_name = {path.name: path.stem for path in files.values()} | {stem: stem for stem in files}
    rows, wrong = _read_rows(root / "labels.csv", (*classes, *ignore), by_name)
    problems += [*wrong, *_wrong_rows(rows, by_name)]
    tags = {by_name[row.image]: row.names for row in rows if row.image in by_name}
    masks = {path.stem: path for path in sorted((root / "masks").glob("*.png"))} if (root / "masks").is_dir() else {}
    problems += [f"mask '{name}.png' has no image" for name in masks if name not in files]
    if (root / "eval.txt").is_file():
        held_out, wrong = _read_list(root / "eval.txt")
        bad = [name for name in held_out if name not in files or name not in masks]
        problems += wrong + [f"eval.txt lists '{name}', which has no image or no mask" for name in bad]
    unreadable = _unreadable(files, masks, len(classes))
    balance = Counter(name for names in tags.values() for name in names)
    return DataReport(
        layout="folder",
        images=len(files),
        masks=len(masks),
        labelled=sum(bool(names) for names in tags.values()),
        classes=dict(sorted(balance.items())),
        unreadable=unreadable,
        unknown={name: n for name, n in sorted(balance.items()) if classes and name not in (*classes, *ignore)},
        duplicates=_duplicates(list(files.values())),
        problems=tuple(problems),
        shown=_showcase(
            {files[name]: tags.get(name, ()) for name in files}, {files[n] for n in files if n in unreadable}
        ),
    )


def _wrong_rows(rows: Sequence[LabelRow], by_name: Mapping[str, str]) -> list[str]:
    """Rows without an image, and images with several."""
    counted = Counter(by_name.get(row.image, row.image) for row in rows)
    return [
        *(f"row {r.number} names image '{r.image}', which does not exist" for r in rows if r.image not in by_name),
        *(f"image '{name}' has {n} rows; every image needs exactly one" for name, n in counted.items() if n > 1),
    ]


def _check_voc(root: Path) -> DataReport:
    files = {path.stem: path for path in sorted((root / "JPEGImages").glob("*.jpg"))}
    folder = root / "SegmentationClassAug"
    folder = folder if folder.is_dir() else root / "SegmentationClass"
    masks = {path.stem: path for path in sorted(folder.glob("*.png"))}
    unreadable = _unreadable({name: files[name] for name in files if name in masks}, masks, len(VOC_PROMPTS))
    names = tuple(VOC_PROMPTS)
    tags: dict[Path, tuple[str, ...]] = {}
    for name, path in masks.items():
        if name in files and name not in unreadable:
            values = [v for v in torch.unique(read_mask(path)).tolist() if 0 < v < VOID]
            tags[files[name]] = tuple(names[v - 1] for v in values)
    problems: list[str] = []
    for path in sorted((root / "ImageSets" / "Segmentation").glob("*.txt")):
        listed, wrong = _read_list(path)
        problems += wrong
        missing = [i for i in listed if i not in files or i not in masks]
        if missing:
            problems.append(
                f"list '{path.stem}' names {len(missing)} images without file or mask, first '{missing[0]}'"
            )
    problems += [f"mask '{name}.png' has no image" for name in masks if name not in files]
    return DataReport(
        layout="voc",
        images=len(files),
        masks=len(masks),
        labelled=sum(bool(found) for found in tags.values()),
        classes=dict(sorted(Counter(name for found in tags.values() for name in found).items())),
        unreadable=unreadable,
        unknown={},
        duplicates=_duplicates(list(files.values())),
        problems=tuple(problems),
        shown=_showcase(tags, set()),
    )


def _read_rows(path: Path, classes: Sequence[str], images: Collection[str]) -> tuple[list[LabelRow], list[str]]:
    try:
        return list(label_rows(path, classes, images)), []
    except (DataError, DataNotFoundError) as error:
        return [], [str(error)]


def _read_list(path: Path) -> tuple[tuple[str, ...], list[str]]:
    try:
        return read_ids(path), []
    except DataError as error:
        return (), [str(error)]


def _unreadable(files: dict[str, Path], masks: dict[str, Path], n_classes: int) -> dict[str, str]:
    """Image name -> why its file or mask cannot be used."""

    def look(name: str) -> str | None:
        try:
            image = read_rgb(files[name])
            return _mask_problem(image, read_mask(masks[name]), n_classes) if name in masks else None
        except (DataError, DataNotFoundError) as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        return {name: problem for name, problem in zip(files, pool.map(look, files), strict=True) if problem}


def _mask_problem(image: Tensor, mask: Tensor, n_classes: int) -> str | None:
    if image.shape[1:] != mask.shape:
        return f"image is {tuple(image.shape[1:])} but its mask is {tuple(mask.shape)} (height, width)"
    wrong = [v for v in torch.unique(mask).tolist() if n_classes < v < VOID] if n_classes else []
    return f"mask holds the value {wrong[0]}; there are {n_classes} classes" if wrong else None


def _duplicates(files: Sequence[Path]) -> tuple[tuple[str, ...], ...]:
    """Names of files with equal bytes; only files of equal size are read."""
    groups = [group for group in _grouped(files, lambda p: p.stat().st_size) if len(group) > 1]
    same = [pair for group in groups for pair in _grouped(group, lambda p: hashlib.sha256(p.read_bytes()).digest())]
    return tuple(tuple(path.name for path in pair) for pair in same if len(pair) > 1)


def _grouped(files: Sequence[Path], key: Callable[[Path], object]) -> list[list[Path]]:
    groups: dict[object, list[Path]] = {}
    for path in files:
        groups.setdefault(key(path), []).append(path)
    return list(groups.values())


def _showcase(tags: dict[Path, tuple[str, ...]], without: set[Path], count: int = 6) -> dict[str, tuple[Path, ...]]:
    """Class name -> a few readable images of it; images without a class come under ""."""
    shown: dict[str, list[Path]] = {}
    for path, names in tags.items():
        for name in names or ("",):
            if path not in without and len(shown.setdefault(name, [])) < count:
                shown[name].append(path)
    return {name: tuple(paths) for name, paths in sorted(shown.items())}
