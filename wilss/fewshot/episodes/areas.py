"""Classes and areas of all images of a split in a file, so that no mask is read for a list twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from wilss.errors import FormatError
from wilss.fewshot.episodes.lists import ImageClasses
from wilss.outputs import whole_file
from wilss.outside import read_json

AGAIN = "delete its folder and run again"


def write_areas(images: Sequence[ImageClasses], path: Path) -> None:
    """Write ``[[image id, {class id: pixels}], ...]`` as JSON, all or nothing."""
    with whole_file(path) as partial:
        partial.write_text(json.dumps([(image.image_id, dict(image.areas)) for image in images]))


def load_areas(path: Path) -> tuple[ImageClasses, ...]:
    """Read what `write_areas` wrote, in its order. Raises FormatError for a damaged or missing file."""
    content = read_json(path, AGAIN)
    try:
        return tuple(ImageClasses(i, {int(c): int(n) for c, n in areas.items()}) for i, areas in content)
    except (ValueError, TypeError, AttributeError) as error:
        raise FormatError(f"'{path}' is damaged ({error}); {AGAIN}") from error
