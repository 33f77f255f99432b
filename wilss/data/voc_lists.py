"""The split files of a VOC folder: ``ImageSets/Segmentation/LIST.txt``. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from wilss.data.findings import Finding
from wilss.data.id_lists import IdList, look_at_list, overlap
from wilss.data.set_rules import refusal
from wilss.errors import DataError, DataNotFoundError, did_you_mean

LISTS = "ImageSets/Segmentation"


def look_at_split(folder: Path, name: str, names: Mapping[str, str]) -> IdList:
    """A split file with its faults; see `look_at_list`. Raises DataNotFoundError for a name of none."""
    path = folder / f"{name}.txt"
    if path.parent != folder or not path.is_file():
        known = [p.stem for p in folder.glob("*.txt")]
        raise DataNotFoundError(
            f"split file '{path}' does not exist.{did_you_mean(name, known)} Choose one with "
            "--train-list and --eval-list"
        )
    return look_at_list(path, names)


def look_at_splits(
    folder: Path, train: str, evaluation: str, names: Mapping[str, str]
) -> tuple[dict[str, IdList], list[Finding]]:
    """The lists "train" and "eval" that can be read, and what is wrong with both and with the two together."""
    lists: dict[str, IdList] = {}
    found: list[Finding] = []
    for split, name in {"train": train, "eval": evaluation}.items():
        try:
            lists[split] = look_at_split(folder, name, names)
        except (DataError, DataNotFoundError) as error:
            found.append(refusal("list", folder, error))
    found += [finding for listed in lists.values() for finding in listed.findings]
    if len(lists) == 2 and train != evaluation:
        found += overlap(lists["train"], lists["eval"], (train, evaluation), folder)
    return lists, list(dict.fromkeys(found))  # one list may be both
