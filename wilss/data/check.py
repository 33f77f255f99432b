"""Looking over a data folder before it is used: what a run would refuse or say, counts, and images to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wilss.data.coco.objects import CocoSource
from wilss.data.coco.source import CocoToVocSource
from wilss.data.findings import Finding
from wilss.data.folder import FolderSource
from wilss.data.gate import examine
from wilss.data.id_lists import read_ids
from wilss.data.set_rules import refusal
from wilss.data.source import Source
from wilss.data.voc import VocSource
from wilss.data.voc_lists import LISTS
from wilss.errors import DataError, DataNotFoundError

PER_CLASS = 6
"""Images of a class that are shown."""


@dataclass(frozen=True)
class DataReport:
    """What was found in a folder.

    labelled: images with at least one tag. classes: images of each class name. passed_over: kind of what is no image
    -> how many. findings: the gravest first. shown: class name -> ids of a few of its images, "" those without a class.
    suspicious: ids of the images that findings are about.
    """

    layout: str
    images: int
    masks: int
    labelled: int
    classes: dict[str, int]
    passed_over: dict[str, int]
    findings: tuple[Finding, ...]
    shown: dict[str, tuple[str, ...]]
    suspicious: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether a run would accept the folder as it is."""
        return not any(finding.severity == "refuse" for finding in self.findings)

    @property
    def warned(self) -> bool:
        """Whether something is doubtful."""
        return any(finding.severity == "warn" for finding in self.findings)


def check_folder(source: Source, whole: bool = False) -> DataReport:
    """Look over images, masks, lists and table of a folder of one's own, or of VOC's or COCO's layout, or of both.

    Args:
        whole: look at the lists that the source does not use as well.

    Raises DataError for a source of another kind.
    """
    if isinstance(source, CocoSource | CocoToVocSource):
        return _check_coco(source)
    if not isinstance(source, FolderSource | VocSource):
        raise DataError(f"{type(source).__name__} is no folder that could be looked over; give images/ or JPEGImages/")
    findings = examine(source)
    if whole and isinstance(source, VocSource):
        findings += _other_lists(source)
    tags, images, masks = _tag_names(source), source.files.images, source.files.masks
    unreadable = {f.where for f in findings if f.kind == "unreadable"}
    readable = [image_id for image_id, path in images.files.items() if str(path) not in unreadable]
    return DataReport(
        layout="voc" if isinstance(source, VocSource) else "folder",
        images=len(images.files),
        masks=len(masks.files),
        labelled=sum(bool(names) for names in tags.values()),
        classes=dict(sorted(Counter(name for names in tags.values() for name in names).items())),
        passed_over={kind: len(names) for kind, names in (images.passed or {}).items()},
        findings=tuple(findings),
        shown=_showcase({image_id: tags[image_id] for image_id in readable if image_id in tags}),
        suspicious=_suspicious(source, findings, readable),
    )


def _check_coco(source: CocoSource | CocoToVocSource) -> DataReport:
    findings = examine(source)
    try:
        tags = source.shown
    except (DataError, DataNotFoundError):  # said among the findings
        tags = {}
    places = {finding.where for finding in findings}
    readable = {image_id: names for image_id, names in tags.items() if str(source.path(image_id)) not in places}
    return DataReport(
        layout="coco" if isinstance(source, CocoSource) else "coco-voc",
        images=len(tags),
        masks=len(tags),
        labelled=sum(bool(names) for names in tags.values()),
        classes=dict(sorted(Counter(name for names in tags.values() for name in names).items())),
        passed_over={},
        findings=tuple(findings),
        shown=_showcase(readable),
        suspicious=(),
    )


def _tag_names(source: FolderSource | VocSource) -> dict[str, tuple[str, ...]]:
    try:
        return source.tag_names()
    except (DataError, DataNotFoundError):  # said among the findings
        return {}


def _other_lists(source: VocSource) -> list[Finding]:
    """Lists that no run would read by default; what is wrong with them is worth a word."""
    found = []
    for path in sorted((source.root / LISTS).glob("*.txt")):
        if path.stem in (source.train_list, source.eval_list):
            continue
        try:
            ids = read_ids(path, source.files.images.names)
        except DataError as error:
            found.append(refusal("other-list", path, error))
            continue
        missing = [i for i in ids if i not in source.files.images.files or not source.files.has_mask(i)]
        if missing:
            seen = f"names {len(missing)} images without file or mask, first '{missing[0]}'"
            found.append(Finding("warn", "other-list", str(path), seen, "take another list, or add them"))
    return [Finding("warn", f.kind, f.where, f.seen, f.cure) for f in found]


def _suspicious(
    source: FolderSource | VocSource, findings: Sequence[Finding], readable: Sequence[str]
) -> tuple[str, ...]:
    """Ids of readable images that a finding above a note is about, by its file or its mask's."""
    places = {f.where for f in findings if f.severity != "note"}
    named = {word for f in findings if f.kind == "tags-differ" for word in f.seen.rpartition(": ")[2].split(", ")}
    files = source.files
    return tuple(
        image_id
        for image_id in readable
        if {str(files.image_path(image_id)), str(files.mask_path(image_id))} & places or image_id in named
    )


def _showcase(tags: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Class name -> a few images of it; images without a class come under ""."""
    shown: dict[str, list[str]] = {}
    for image_id, names in tags.items():
        for name in names or ("",):
            if len(shown.setdefault(name, [])) < PER_CLASS:
                shown[name].append(image_id)
    return {name: tuple(ids) for name, ids in sorted(shown.items())}
