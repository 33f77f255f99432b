"""Text files with one image id a line."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from wilss.errors import DataError


def read_ids(path: Path) -> tuple[str, ...]:
    """The ids of a file, in its order. Raises DataError for a list without ids, or with one that stands in it twice."""
    ids = tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    if not ids:
        raise DataError(f"'{path}' is empty; it needs one image id a line")
    again = [image_id for image_id, count in Counter(ids).items() if count > 1]
    if again:
        raise DataError(
            f"'{path}' lists images more than once ({len(again)}, first '{again[0]}'); leave one line of each"
        )
    return ids


def require_apart(training: tuple[str, ...], scored: tuple[str, ...], names: tuple[str, str]) -> None:
    """Raise DataError when images of a training list are scored on as well.

    Lists of many origins overlap: SBD's own training list holds images of VOC's ``val``, which its users take out.

    Args:
        names: the two lists' names, for the message.
    """
    trained = set(training)
    both = [image_id for image_id in scored if image_id in trained]
    if both:
        raise DataError(
            f"the training list '{names[0]}' holds images of '{names[1]}', which is scored on ({len(both)}, first "
            f"'{both[0]}'); take them out of one of the two"
        )


def choose_lists(root: Path | None, train: str | None, evaluation: str | None) -> tuple[str | None, str | None]:
    """Names of the split files: as given; for evaluation else "val", else the only list that is no training list."""
    folder = root / "ImageSets" / "Segmentation" if root else None
    if evaluation or folder is None or not folder.is_dir() or (folder / "val.txt").is_file():
        return train, evaluation
    others = [path.stem for path in folder.glob("*.txt") if not path.stem.startswith("train")]
    return train, others[0] if len(others) == 1 else None
