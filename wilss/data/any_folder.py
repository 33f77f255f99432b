"""A folder that is looked over without a benchmark: any class name will do, and the usual lists are taken. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wilss.bucket.address import as_named
from wilss.data.families import family_of, refuse_labels
from wilss.data.places.opening import known_of
from wilss.data.spec import DataSpec
from wilss.data.stamps import NAME, Stamps
from wilss.errors import DataNotFoundError, SpecError
from wilss.settings import Settings

if TYPE_CHECKING:
    from wilss.data.coco.objects import CocoSource
    from wilss.data.folder import FolderSource
    from wilss.data.voc import VocSource

LAYOUTS = ("voc", "coco", "folder")
"""Families whose data are told by their folder."""


def open_folder(
    root: Path, data: DataSpec | None = None, settings: Settings | None = None
) -> FolderSource | VocSource | CocoSource:
    """Open a folder of one's own, or of VOC's or COCO's layout.

    Args:
        data: which lists, splits and masks; what was not given is that which the folder has.
        settings: of the machine; None remembers nothing of files, and leaves no image out.

    Raises DataNotFoundError for a folder of no such layout, SpecError for what was given and this layout does not read.
    """
    from wilss.data.folder import LAYOUT, FolderSource

    root, data = as_named(root), data or DataSpec()
    stamps = Stamps(settings.root / NAME if settings else None)
    skip, labels = (settings.skip_unreadable, settings.labels_csv) if settings else (False, None)
    if (root / "JPEGImages").is_dir():
        _require_read(root, "voc", data, None)
        return _voc(root, data, labels, skip, stamps)
    if next((root / "annotations").glob("instances_*.json"), None):
        _require_read(root, "coco", data, settings)
        return _coco(root, data, skip, stamps)
    stamps = known_of(root, settings.root / NAME if settings else None)
    if not stamps.place.is_folder(root / "images"):
        raise DataNotFoundError(
            f"'{root}' is no data folder: it has neither images/ nor JPEGImages/, nor shards. Expected layout: {LAYOUT}"
        )
    _require_read(root, "folder", data, settings)
    return FolderSource(root, (), (), (), skip, data.masks, stamps)


def _require_read(root: Path, family: str, data: DataSpec, settings: Settings | None) -> None:
    """Raise SpecError for a setting of the data that folders of this family do not read."""
    for key in sorted(data.model_fields_set - set(family_of(family).reads)):
        others = [name for name in LAYOUTS if key in family_of(name).reads]
        read = f"which {' or '.join(others)} data have" if others else "which changes nothing that is looked at"
        raise SpecError(f"'data.{key}' is given, {read}, and '{root}' holds {family} data; leave it out")
    if settings is not None:
        refuse_labels(settings)


def _voc(root: Path, data: DataSpec, labels: Path | None, skip: bool, stamps: Stamps) -> VocSource:
    from wilss.data.id_lists import choose_lists
    from wilss.data.voc import VocSource
    from wilss.data.voc_lists import LISTS

    there = sorted(path.stem for path in (root / LISTS).glob("*.txt"))
    train = _given(data, "train_list") or _first(("train_aug", "train", *there), there, "train_aug")
    others = choose_lists(root, None, None)[1] or ("val" if "val" in there else train)
    return VocSource(root, train, _given(data, "eval_list") or others, labels, skip, data.masks, stamps)


def _coco(root: Path, data: DataSpec, skip: bool, stamps: Stamps) -> CocoSource:
    """The splits: one to train on, and one to score on."""
    from wilss.data.coco.objects import CocoSource
    from wilss.data.coco.split import CocoSplit

    there = sorted(path.stem.removeprefix("instances_") for path in (root / "annotations").glob("instances_*.json"))
    train = _given(data, "coco_train") or _first([n for n in there if "train" in n], there, there[0])
    evaluation = _given(data, "coco_eval") or _first([n for n in there if "val" in n], there, train)
    first, second = (CocoSplit(root, name, skip, data.masks, stamps) for name in (train, evaluation))
    return CocoSource(second if train == evaluation else first, second)  # one annotation file is read once


def _given(data: DataSpec, key: str) -> str | None:
    return str(getattr(data, key)) if key in data.model_fields_set else None


def _first(wanted: Sequence[str], there: Sequence[str], otherwise: str) -> str:
    return next((name for name in wanted if name in there), otherwise)
