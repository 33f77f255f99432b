"""A folder of one's own: ``images/`` and ``labels.csv``, and ``masks/`` for the images of step 0; or shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from torch import Tensor

from wilss.architecture import MOST_CLASSES
from wilss.data.colours import LABELMAP, ColourTable, read_labelmap
from wilss.data.findings import Finding
from wilss.data.gate import require_sound
from wilss.data.id_lists import IdList, look_at_list, with_files
from wilss.data.index import FileIndex
from wilss.data.looks import Looks, in_threads
from wilss.data.mask_reading import Drawn
from wilss.data.pairs import PairedFiles
from wilss.data.places.bringing import bring
from wilss.data.places.place import DISK, Layout, Place
from wilss.data.places.written import written_labels
from wilss.data.rules import BINARY
from wilss.data.set_rules import against_tags, binary_with_tags, equal_files, orphans, refusal, some
from wilss.data.source import Split
from wilss.data.stamps import Stamps
from wilss.data.tags import Labels, class_ids, label_table, row_findings
from wilss.digest import digest_of, hasher
from wilss.errors import DataError, DataNotFoundError

FOLDER_VERSION = 2
"""Raised whenever the same files give other images, masks or tags."""
SPLITS: tuple[Split, ...] = ("train", "eval")
TABLE = "labels.csv"
LAYOUT = (
    f"images/NAME.jpg, {TABLE} (image, class names), and optionally masks/NAME.png and eval.txt; or shards, which are "
    "tars of KEY.jpg, KEY.cls and KEY.mask.png"
)


@dataclass(frozen=True)
class FolderSource:
    """Images with tags, some with masks.

    ``masks/NAME.png`` is a palette or grey PNG: 0 background, k the k-th class of the benchmark, 255 void; or has the
    colours of ``labelmap.txt``. Images with a mask may serve step 0; without one, tags of base classes are passed over,
    as they could not be learnt from. ``eval.txt`` lists names to score on; they need masks and are never trained on.

    Args:
        classes: all class names of the benchmark by id; empty takes any name, to look the folder over.
        base: ids of step 0.
        ignore: names in labels.csv that no step learns; "*" stands for all that are no class.
        skip_unreadable: leave out images that cannot be decoded instead of stopping.
        drawn: see `PairedFiles`. stamps: what is known of files.
    """

    root: Path
    classes: tuple[str, ...]
    base: tuple[int, ...]
    ignore: tuple[str, ...] = ()
    skip_unreadable: bool = False
    drawn: Drawn | None = None
    stamps: Stamps = field(default_factory=lambda: Stamps(None), compare=False, repr=False)

    def __post_init__(self) -> None:
        require_layout(self.root, self.place)

    @property
    def place(self) -> Place:
        """Where its files lie."""
        return self.stamps.place

    @property
    def prompts(self) -> dict[str, tuple[str, ...]]:
        """See `wilss.data.source.Source.prompts`."""
        return {name: (name,) for name in self.classes}

    @cached_property
    def fingerprint(self) -> str:
        """Digest of all names, files, labels and classes."""
        everything = range(1, len(self.classes) + 1)
        return digest_of([self.fingerprint_of(self.ids(split), everything) for split in SPLITS])

    def fingerprint_of(self, ids: Sequence[str], classes: Sequence[int]) -> str:
        """See `wilss.data.source.Source.fingerprint_of`: other rows and images may change."""
        digest = hasher(FOLDER_VERSION)
        digest.update(repr([self.classes[c - 1] for c in classes]).encode())
        tags = {i: t for split in SPLITS for i, t in zip(self.ids(split), self.tags(split), strict=True)}
        for image_id, files in zip(ids, in_threads(self.files.facts, ids), strict=True):
            shown = [c for c in tags[image_id] if c in classes]
            digest.update(f"{image_id} {files} {shown}\n".encode())
        self.stamps.save()
        return digest.hexdigest()[:32]

    @property
    def further_eval(self) -> dict[str, tuple[str, ...]]:
        """No second evaluation set."""
        return {}

    @cached_property
    def files(self) -> PairedFiles:
        """Its images and masks."""
        images, masks = self._layout.images, self._layout.masks
        table = self._labelmap if self.place.is_file(self.root / LABELMAP) else None
        return PairedFiles(
            images, masks, Looks(self.stamps), len(self.classes) or MOST_CLASSES, table, drawn=self.drawn
        )

    @cached_property
    def _layout(self) -> Layout:
        return self.place.layout(self.root)

    def _labelmap(self) -> ColourTable:
        return read_labelmap(self.root / LABELMAP, self.classes, self.ignore, self.place)

    @property
    def _images(self) -> FileIndex:
        return self.files.images

    @cached_property
    def _layout_findings(self) -> list[Finding]:
        """Of names alone: files that are passed over, or share a name."""
        found = [*self._images.told(), *self.files.masks.told(), *orphans(self.files.masks)]
        if not self._images.files:
            seen = "holds no image"
            found.append(Finding("refuse", "no-image", str(self._images.folder), seen, "put .jpg or .png files there"))
        return found

    @cached_property
    def _labels(self) -> Labels:
        """Of the table, else of what lies beside the images."""
        if self._labelled_by == self.root:
            return written_labels(self.root, self._layout.tags, self.classes, self.ignore, self.place)
        return label_table(self._labelled_by, self.classes, self._images.names, self.ignore, self.place)

    @property
    def _labelled_by(self) -> Path:
        """The table of labels, or the folder itself where each image has its own."""
        path = self.root / TABLE
        return self.root if self.place.tagged and not self.place.is_file(path) else path

    @cached_property
    def _row_findings(self) -> list[Finding]:
        return row_findings(self._labels, self.classes, self._images.names, self.ignore, self._images.folder)

    @cached_property
    def _table(self) -> dict[str, tuple[int, ...]]:
        require_sound(self._row_findings)
        return class_ids(self._labels, self.classes)

    @cached_property
    def _splits(self) -> dict[str, tuple[str, ...]]:
        require_sound([*self._layout_findings, *self._eval_list.findings])
        held_out = self._eval_list.ids
        ids = {"eval": held_out, "train": tuple(i for i in self._images.files if i not in set(held_out))}
        if self.skip_unreadable:
            ids = {split: self._readable(names, split == "eval") for split, names in ids.items()}
        return ids

    @cached_property
    def _eval_list(self) -> IdList:
        """What eval.txt lists; empty where there is none."""
        path = self.root / "eval.txt"
        if not self.place.is_file(path):
            return IdList()
        listed = look_at_list(path, self._images.names, self.place)
        return with_files(path, listed, self._images.files, self.files.masks.files)

    def _readable(self, ids: Sequence[str], mask: bool) -> tuple[str, ...]:
        problems = in_threads(lambda image_id: self.files.problem(image_id, mask), ids)
        return tuple(image_id for image_id, problem in zip(ids, problems, strict=True) if problem is None)

    @property
    def skipped(self) -> int:
        """Images left out because they cannot be decoded."""
        return len(self._images.files) - sum(len(ids) for ids in self._splits.values())

    def ids(self, split: Split) -> tuple[str, ...]:
        """See `wilss.data.source.Source.ids`."""
        return self._splits[split]

    def tags(self, split: Split) -> tuple[tuple[int, ...], ...]:
        """See `wilss.data.source.Source.tags`: of labels.csv, and for images without a row of their mask."""
        return self._tags[split]

    @cached_property
    def _tags(self) -> dict[str, tuple[tuple[int, ...], ...]]:
        return {split: tuple(in_threads(self._tags_of, self.ids(split))) for split in SPLITS}

    def _tags_of(self, image_id: str) -> tuple[int, ...]:
        tags = self._table.get(image_id)
        if not self.has_mask(image_id):
            return tuple(c for c in tags or () if c not in self.base)
        return self.files.shown(image_id) if tags is None else tags

    def image(self, image_id: str) -> Tensor:
        """See `wilss.data.source.Source.image`."""
        if image_id not in self._images.files:
            raise DataNotFoundError(f"'{self._images.folder}' has no image '{image_id}'")
        return self.files.image(image_id)

    def has_mask(self, image_id: str) -> bool:
        """See `wilss.data.source.Source.has_mask`."""
        return self.files.has_mask(image_id)

    def mask(self, image_id: str) -> Tensor:
        """See `wilss.data.source.Source.mask`."""
        return self.files.mask(image_id)

    @property
    def far(self) -> bool:
        """See `wilss.data.source.Distant.far`."""
        return self.place.far

    def shards(self, ids: Sequence[str]) -> tuple[int, ...]:
        """See `wilss.data.source.Distant.shards`."""
        groups = self._layout.groups
        found = [groups[image_id] for image_id in ids] if groups else []
        numbers = {shard: number for number, shard in enumerate(dict.fromkeys(found))}
        return tuple(numbers[shard] for shard in found)

    def bring(self, images: Sequence[str], masks: Sequence[str] = ()) -> None:
        """See `wilss.data.source.Distant.bring`."""
        bring(self.place, [*map(self.files.image_path, images), *map(self.files.mask_path, masks)])

    def tag_names(self) -> dict[str, tuple[str, ...]]:
        """Image id -> class names of its row."""
        return {row.image_id: row.names for row in self._labels.rows if row.image_id is not None}

    def check(self) -> None:
        """Look at every file once. Raises DataError for the first finding that refuses."""
        require_sound(self.findings())

    def findings(self) -> list[Finding]:
        """See `wilss.data.gate.Examined`."""
        found, held_out = list(self._layout_findings), tuple[str, ...]()
        rows: Mapping[str, tuple[int, ...]] = {}
        try:
            found += self._row_findings
            rows = class_ids(self._labels, self.classes)
        except (DataError, DataNotFoundError) as error:
            found.append(refusal("labels", self._labelled_by, error))
        try:
            held_out = self._eval_list.ids
            found += self._eval_list.findings
        except (DataError, DataNotFoundError) as error:
            found.append(refusal("list", self.root / "eval.txt", error))
        try:
            _ = self.files.colour_table
        except (DataError, DataNotFoundError) as error:
            return [*found, refusal("label-map", self.root / LABELMAP, error)]
        return [*found, *self._pixel_findings(held_out, rows)]

    def _pixel_findings(self, held_out: Sequence[str], rows: Mapping[str, tuple[int, ...]]) -> list[Finding]:
        pairs, found = self.files.examine(tuple(self._images.files), held_out)
        if held_out and len(held_out) == len(self._images.files):
            seen, cure = "lists every image, so none is left to train on", "leave some out"
            found.append(Finding("warn", "nothing-to-train-on", str(self.root / "eval.txt"), seen, cure))
        found = left_out(found) if self.skip_unreadable else found
        found = list(binary_with_tags(found, pairs, rows))
        found += against_tags(pairs, rows, self.classes, self.base)
        found += equal_files(pairs, self.stamps, held_out)
        idle = [i for i, tags in rows.items() if not self.has_mask(i) and set(tags) & set(self.base)]
        if idle:
            seen = f"names classes of step 0 for {len(idle)} images without a mask: {some(idle)}"
            cure = "draw masks if step 0 is to learn from them; these tags are passed over"
            found.append(Finding("note", "tags-without-mask", str(self._labelled_by), seen, cure))
        return found


def require_layout(root: Path, place: Place = DISK) -> None:
    """Raise DataNotFoundError for a folder without images or table; shards may hold their tags themselves."""
    images = place.is_folder(root / "images")
    if not images or not (place.tagged or place.is_file(root / TABLE)):
        raise DataNotFoundError(f"'{root}' lacks {TABLE if images else 'images/'}. Expected layout: {LAYOUT}")


def left_out(found: Sequence[Finding]) -> list[Finding]:
    """The same where images that cannot be used are left out: those are told, and refuse nothing.

    Masks of 0 and 255 still refuse a folder that mostly holds such: they can be decoded, so they stay in.
    """
    return [_softened(f) if f.severity == "refuse" and f.kind != BINARY else f for f in found]


def _softened(finding: Finding) -> Finding:
    return replace(finding, severity="warn", seen=f"{finding.seen} (left out)")
