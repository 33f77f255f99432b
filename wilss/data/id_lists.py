"""Text files with one image a line: ids, file names, paths, or pairs of an image's and its mask's path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from wilss.data.image_names import MASK_ENDINGS, first_of_pair, image_id_of, known_id
from wilss.data.text import read_text
from wilss.errors import DataError


def read_ids(path: Path, names: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The image ids of a file, in its order; those of images that are not there stay as they are written.

    Args:
        names: file names and ids of the images at hand -> id; None takes off folders and suffixes as they are known.

    Raises DataError for a list without ids, with one that stands in it twice, or whose two paths of a line differ.
    """
    text = read_text(path)
    lines = [(number, line) for number, line in enumerate(text.content.split("\n"), start=1) if line.strip()]
    ids = tuple(_id(path, number, line, names) for number, line in lines)
    if not ids:
        raise DataError(f"'{path}' is empty; it needs one image id a line")
    again = [image_id for image_id, count in Counter(ids).items() if count > 1]
    if again:
        raise DataError(
            f"'{path}' lists images more than once ({len(again)}, first '{again[0]}'); leave one line of each"
        )
    return ids


def _id(path: Path, number: int, line: str, names: Mapping[str, str] | None) -> str:
    if names is not None and (whole := known_id(line, names)) is not None:
        return whole
    image, mask = first_of_pair(line)
    image_id = (known_id(image, names) if names is not None else None) or image_id_of(image).lstrip("/")
    if mask is not None and _name(mask) not in {_name(image) + ending for ending in ("", *MASK_ENDINGS)}:
        raise DataError(
            f"'{path}:{number}' pairs '{image}' with '{mask}'; an image and its mask have one name, rename the mask"
        )
    return image_id


def _name(path: str) -> str:
    """Of a file, without its folders and suffix."""
    return path.replace("\\", "/").rpartition("/")[2].rpartition(".")[0].strip()


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
