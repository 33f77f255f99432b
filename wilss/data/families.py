"""Data families: whose images and classes a benchmark uses, one entry each. Only opening one loads torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from wilss.bucket.address import as_named, is_address
from wilss.data.coco import names as coco_names
from wilss.data.scenes.outlines import CLASSES
from wilss.data.spec import DataSpec
from wilss.data.stamps import NAME, Stamps
from wilss.data.voc_names import VOC_PROMPTS, VOC_SYNONYMS
from wilss.errors import DataNotFoundError, SpecError, did_you_mean
from wilss.members import SOURCE, require_members

if TYPE_CHECKING:
    from pathlib import Path

    from wilss.custom import CustomBenchmark
    from wilss.data.coco.split import CocoSplit
    from wilss.data.source import Source
    from wilss.data.voc import VocSource
    from wilss.settings import Settings

VOC_FOLDER = "the VOC folder (the one that holds JPEGImages)"
COCO_FOLDER = "the COCO folder (the one that holds annotations)"
ASKS = {"data": "needs photographs: give {} with --data DIR", "voc": "also needs {} with --voc DIR"}


class Opener(Protocol):
    """Opens the data of a family."""

    def __call__(
        self, data: DataSpec, settings: Settings, base: tuple[int, ...], custom: CustomBenchmark | None
    ) -> Source:
        """See `open_source`; the folders of ``Family.needs`` are there."""
        ...


@dataclass(frozen=True)
class Family:
    """A data family.

    name: what a benchmark calls it.
    classes: names by id (from 1); empty where the benchmark of a run names them.
    prompts: class name -> words for the scorer; a class that is not among them is known by its name.
    reads: fields of the section ``data`` that it reads beside "canvas", "void" and "eval_crop", which every run reads.
    preset, fewshot_preset: what incremental and few-shot runs take when none is named; None where it has no such runs.
    needs: options of the machine ("data", "voc") that have to name a folder, and which one, in words.
    voc_option: which of them names a VOC folder, whose split files and table of labels may be chosen; "" for none.
    far: whether the folder may lie in a bucket.
    keeps_empty: of own benchmarks, see `wilss.protocol.Benchmark`.
    source: SHA-256 of the user's file that registered it; "" for ours.
    synonyms: further words, for ``foundation.synonyms=many``; empty where there is no such table.
    """

    name: str
    open: Opener
    classes: tuple[str, ...] = ()
    prompts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reads: tuple[str, ...] = ()
    preset: str | None = None
    fewshot_preset: str | None = None
    needs: Mapping[str, str] = field(default_factory=dict)
    voc_option: str = ""
    far: bool = False
    keeps_empty: bool = False
    source: str = ""
    synonyms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def open_source(
    family: str, data: DataSpec, settings: Settings, base: tuple[int, ...] = (), custom: CustomBenchmark | None = None
) -> Source:
    """Open a data set.

    Args:
        family: its name. base: class ids of the base step, which have masks ("folder" only).
        custom: the benchmark of one's own that asks for it; "folder" has no classes without one.

    Raises DataNotFoundError, DataError or SpecError before any image is read.
    """
    entry = family_of(family)
    if not entry.voc_option:
        refuse_labels(settings)
    for option, what in entry.needs.items():
        given = getattr(settings, option)
        if given is None:
            raise DataNotFoundError(f"{custom.name if custom else family} {ASKS[option].format(what)}")
        if is_address(given) and not (entry.far or entry.source):
            raise SpecError(
                f"'{as_named(given)}' is a bucket, and {family} data are read from a folder of this machine; copy it "
                "first, or make a folder of your own of it (wilss data import)"
            )
    source = entry.open(data, settings, base, custom)
    require_members(source, SOURCE, f"data family '{family}'")
    return source


def refuse_labels(settings: Settings) -> None:
    """Raise SpecError for a table of labels that data other than VOC's would not read."""
    if settings.labels_csv:
        raise SpecError(
            f"'{settings.labels_csv}' would be ignored: only VOC's image-level labels can come from a file of their "
            "own (those of a folder of yours stand in its labels.csv); leave out --labels-csv"
        )


def family_of(name: str) -> Family:
    """The entry of a name. Raises SpecError with the closest name."""
    if name not in FAMILIES:
        raise SpecError(f"unknown data family '{name}'.{did_you_mean(name, FAMILIES)}")
    return FAMILIES[name]


def incremental_families() -> tuple[str, ...]:
    """Names of the families that benchmarks of one's own may use."""
    return tuple(name for name, entry in FAMILIES.items() if entry.preset)


def _scenes(data: DataSpec, settings: Settings, base: tuple[int, ...], custom: CustomBenchmark | None) -> Source:
    from wilss.data.scenes.source import ScenesSource

    return ScenesSource(data.world, data.n_train, data.n_eval)


def _voc(data: DataSpec, settings: Settings, base: tuple[int, ...], custom: CustomBenchmark | None) -> Source:
    return _voc_folder(data, settings, settings.data)


def _coco(data: DataSpec, settings: Settings, base: tuple[int, ...], custom: CustomBenchmark | None) -> Source:
    from wilss.data.coco.objects import CocoSource

    return CocoSource(*_coco_splits(data, settings))


def _coco_voc(data: DataSpec, settings: Settings, base: tuple[int, ...], custom: CustomBenchmark | None) -> Source:
    from wilss.data.coco.source import CocoToVocSource

    return CocoToVocSource(*_coco_splits(data, settings), _voc_folder(data, settings, settings.voc))


def _folder(data: DataSpec, settings: Settings, base: tuple[int, ...], custom: CustomBenchmark | None) -> Source:
    from wilss.data.folder import FolderSource
    from wilss.data.places.opening import known_of

    assert settings.data is not None
    if custom is None:
        raise SpecError("a folder's classes are those of a benchmark; write one as YAML (docs/data.md) and name it")
    root = as_named(settings.data)
    how = (settings.skip_unreadable, data.masks, known_of(root, settings.root / NAME))
    return FolderSource(root, custom.classes, base, custom.ignore, *how)


def _coco_splits(data: DataSpec, settings: Settings) -> tuple[CocoSplit, CocoSplit]:
    from wilss.data.coco.split import CocoSplit

    assert settings.data is not None
    how = (settings.skip_unreadable, data.masks, Stamps(settings.root / NAME))
    train, evaluation = (CocoSplit(settings.data, split, *how) for split in (data.coco_train, data.coco_eval))
    return (evaluation if train == evaluation else train), evaluation  # one annotation file is read once


def _voc_folder(data: DataSpec, settings: Settings, root: Path | None) -> VocSource:
    from wilss.data.voc import VocSource

    assert root is not None
    how = (settings.skip_unreadable, data.masks, Stamps(settings.root / NAME))
    return VocSource(root, data.train_list, data.eval_list, settings.labels_csv, *how)


LISTS, SPLITS = ("train_list", "eval_list", "masks"), ("coco_train", "coco_eval")
_ENTRIES = (
    Family(
        name="scenes",
        open=_scenes,
        classes=CLASSES,
        reads=("world", "n_train", "n_eval"),
        preset="demo",
        fewshot_preset="demo",
    ),
    Family(
        name="voc",
        open=_voc,
        classes=tuple(VOC_PROMPTS),
        prompts=VOC_PROMPTS,
        synonyms=VOC_SYNONYMS,
        reads=LISTS,
        preset="small",
        fewshot_preset="small",
        needs={"data": VOC_FOLDER},
        voc_option="data",
    ),
    Family(
        name="coco",
        open=_coco,
        classes=tuple(coco_names.COCO_IDS.values()),
        reads=(*SPLITS, "masks"),
        fewshot_preset="small",
        needs={"data": COCO_FOLDER},
    ),
    Family(
        name="coco-voc",
        open=_coco_voc,
        classes=coco_names.CLASSES,
        prompts=coco_names.PROMPTS,
        synonyms=coco_names.SYNONYMS,
        reads=(*SPLITS, *LISTS),
        preset="small",
        fewshot_preset="small",
        needs={"data": COCO_FOLDER, "voc": VOC_FOLDER},
        voc_option="voc",
        keeps_empty=True,
    ),
    Family(
        name="folder",
        open=_folder,
        reads=("masks",),
        preset="small",
        needs={"data": "the folder that holds images/ and labels.csv, or shards"},
        far=True,
    ),
)
FAMILIES: dict[str, Family] = {entry.name: entry for entry in _ENTRIES}
"""Every family by name; "coco" is for few-shot runs only."""
