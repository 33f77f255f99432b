"""Classes and areas of all images of a split in a file, so that no mask is read for a list twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, RootModel

from wilss.damage import read_stored
from wilss.fewshot.episodes.lists import ImageClasses
from wilss.outputs import whole_file
from wilss.outside import Pixels

ClassId = Annotated[int, Field(ge=1, lt=255)]


class Areas(RootModel[list[tuple[str, dict[ClassId, Pixels]]]]):
    """What `write_areas` writes."""


def write_areas(images: Sequence[ImageClasses], path: Path) -> None:
    """Write ``[[image id, {class id: pixels}], ...]`` as JSON, all or nothing."""
    with whole_file(path) as partial:
        partial.write_text(json.dumps([(image.image_id, dict(image.areas)) for image in images]))


def load_areas(path: Path) -> tuple[ImageClasses, ...]:
    """Read what `write_areas` wrote, in its order. Raises DamagedArtefactError."""
    return tuple(ImageClasses(image_id, areas) for image_id, areas in read_stored(Areas, path).root)
