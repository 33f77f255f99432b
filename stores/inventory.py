"""What lies under a root: artefacts, reports, and what killed processes left."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stores.artefacts import Manifest
from stores.manifests import sound_manifest
from wilss.damage import damaged
from wilss.errors import DamagedArtefactError, FormatError
from wilss.layout import KINDS, published
from wilss.report.fewshot_records import FewShotComparisonReport, FewShotReport
from wilss.report.records import ComparisonReport, Record, RunReport

REPORTS: dict[str, type[Record]] = {
    "runs/*/report.json": RunReport,
    "fewshot/*/fewshot.json": FewShotReport,
    "comparisons/*/compare.json": ComparisonReport,
}
HEX = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{4,64}(?![0-9A-Za-z])")


@dataclass(frozen=True)
class Inventory:
    """What can be read of a store, and what is wrong with the rest.

    manifests, damaged: (kind, digest) -> manifest, or what is wrong. reports: by path. unread: faults of others.
    """

    manifests: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    reports: dict[Path, Record] = field(default_factory=dict)
    damaged: dict[tuple[str, str], FormatError] = field(default_factory=dict)
    unread: list[FormatError] = field(default_factory=list)


def take_stock(root: Path) -> Inventory:
    """Manifests and reports of a store; sizes of files are looked at, contents are not."""
    stock = Inventory()
    for kind in KINDS:
        for folder in published(root, kind):
            try:
                stock.manifests[kind, folder.name] = sound_manifest(folder)
            except FormatError as error:
                stock.damaged[kind, folder.name] = error
    for path in report_files(root):
        try:
            stock.reports[path] = read_report(path)
        except FormatError as error:
            stock.unread.append(error)
    stock.unread.extend(lost_reports(root))
    return stock


def report_files(root: Path) -> list[Path]:
    """Every report of a run or comparison."""
    return sorted(path for pattern in REPORTS for path in root.glob(pattern))


def lost_reports(root: Path) -> list[DamagedArtefactError]:
    """What is wrong with reports of which only the page is left, which is written last and names no artefact."""
    pages = {page: root / pattern for pattern in REPORTS for page in root.glob(str(Path(pattern).with_suffix(".html")))}
    cure = "run again to write it anew, or delete its page if nobody needs what its run made"
    return [
        damaged(page.parent, of.name, f"it is gone, and its page '{page.name}' is there", cure)
        for page, of in sorted(pages.items())
        if not page.with_suffix(of.suffix).exists()
    ]


def read_report(path: Path) -> Record:
    """Read a report of any kind. Raises FormatError as `Record.read` does."""
    kind = next(kind for pattern, kind in REPORTS.items() if path.match(pattern))
    if kind is not ComparisonReport:
        return kind.read(path)
    try:
        return ComparisonReport.read(path)
    except FormatError:
        return FewShotComparisonReport.read(path)


def artefacts_of(report: Record) -> dict[str, str]:
    """Node -> digest of what a report names; nothing for a comparison, whose runs have reports of their own."""
    return dict(getattr(report, "artefacts", {}))


def mentioned(content: Any, digests: Iterable[str]) -> set[str]:
    """The digests that plain data name, in full or by their first digits; rather too many than too few."""
    whole, parts = set(), set()
    for text in _texts(content):
        parts |= set(HEX.findall(text))
        last = text.rpartition(":")[2]
        whole |= {last} if re.fullmatch("[0-9a-f]{1,64}", last) else set()
    wanted = whole | parts
    lengths = {len(one) for one in wanted}
    return {digest for digest in digests if any(digest[:length] in wanted for length in lengths)}


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    return sum(inner.lstat().st_size for inner in path.rglob("*") if not inner.is_dir())


def plain(manifest: Manifest) -> dict[str, Any]:
    """What a manifest says that may name other artefacts."""
    content: dict[str, Any] = json.loads(manifest.model_dump_json(include={"recipe", "parents", "notes"}))
    return content


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping):
        for value in content.values():
            yield from _texts(value)
    elif isinstance(content, list | tuple):
        for value in content:
            yield from _texts(value)
