"""Opening the data of a run: which source a family has, and where its files lie."""

from __future__ import annotations

from pathlib import Path

from wilss.custom import CustomBenchmark
from wilss.data.coco.objects import CocoSource
from wilss.data.coco.source import CocoSplit, CocoToVocSource
from wilss.data.folder import FolderSource
from wilss.data.scenes.source import ScenesSource
from wilss.data.source import Source
from wilss.data.spec import DataSpec
from wilss.data.voc import VocSource
from wilss.errors import DataNotFoundError, SpecError
from wilss.spec import Settings

NEEDS = {
    "voc": "the VOC folder (the one that holds JPEGImages)",
    "coco": "the COCO folder (the one that holds annotations)",
    "coco-voc": "the COCO folder (the one that holds annotations)",
    "folder": "the folder that holds images/ and labels.csv",
}


def open_source(
    family: str, data: DataSpec, settings: Settings, base: tuple[int, ...] = (), custom: CustomBenchmark | None = None
) -> Source:
    """Open a data set.

    Args:
        family: see `wilss.protocol.Benchmark`. base: class ids of the base step, which have masks ("folder" only).
        custom: the benchmark of one's own that asks for it; "folder" has no classes without one.

    Raises DataNotFoundError, DataError or SpecError before any image is read.
    """
    if settings.labels_csv and family not in ("voc", "coco-voc"):
        raise SpecError(
            f"'{settings.labels_csv}' would be ignored: only VOC's image-level labels can come from a file of their "
            "own (those of a folder of yours stand in its labels.csv); leave out --labels-csv"
        )
    if family == "scenes":
        return ScenesSource(data.world, data.n_train, data.n_eval)
    name = custom.name if custom else family
    if settings.data is None:
        raise DataNotFoundError(f"{name} needs photographs: give {NEEDS[family]} with --data DIR")
    if family == "folder":
        assert custom is not None
        return FolderSource(settings.data, custom.classes, base, custom.ignore, settings.skip_unreadable)
    if family == "voc":
        return _voc(data, settings, settings.data)
    if family == "coco":
        return CocoSource(*_coco(data, settings, settings.data))
    if settings.voc is None:
        raise DataNotFoundError(f"{name} also needs {NEEDS['voc']} with --voc DIR")
    return CocoToVocSource(*_coco(data, settings, settings.data), _voc(data, settings, settings.voc))


def _coco(data: DataSpec, settings: Settings, root: Path) -> tuple[CocoSplit, CocoSplit]:
    train, evaluation = (
        CocoSplit(root, split, settings.skip_unreadable) for split in (data.coco_train, data.coco_eval)
    )
    return (evaluation if train == evaluation else train), evaluation  # one annotation file is read once


def _voc(data: DataSpec, settings: Settings, root: Path) -> VocSource:
    return VocSource(root, data.train_list, data.eval_list, settings.labels_csv, settings.skip_unreadable)
