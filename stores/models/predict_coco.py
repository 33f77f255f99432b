"""All predictions of a folder as one JSON of COCO's form. No torch."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from stores.models.predict_journal import Done
from wilss.outputs import whole_file


def write_coco(path: Path, entries: Sequence[Done], classes: Mapping[int, str]) -> None:
    """Write images, categories and annotations; an annotation is the run lengths of one class in one image.

    Images are called as they lie below the folder that was named; as they were named where two would be called alike.
    """
    short = [(PurePath(entry.name).parent / PurePath(entry.path).name).as_posix() for entry in entries]
    alike = Counter(short)
    names = [entry.path if alike[name] > 1 else name for name, entry in zip(short, entries, strict=True)]
    images = [
        {"id": number, "file_name": name, "width": entry.width, "height": entry.height}
        for number, (name, entry) in enumerate(zip(names, entries, strict=True), 1)
    ]
    categories = [{"id": class_id, "name": name} for class_id, name in classes.items() if class_id]
    with whole_file(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.write(f'{{"categories": {json.dumps(categories)},\n"images": {json.dumps(images)},\n"annotations": [')
        for number, annotation in enumerate(_annotations(entries), 1):
            file.write(f"{',' if number > 1 else ''}\n{json.dumps({'id': number, **annotation})}")
        file.write("\n]}\n")


def _annotations(entries: Sequence[Done]) -> Iterator[dict[str, Any]]:
    for number, entry in enumerate(entries, 1):
        yield from ({"image_id": number, **annotation} for annotation in entry.outlines)
