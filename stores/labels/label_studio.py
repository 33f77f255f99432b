"""Label sets as tasks of Label Studio with brush masks, out and in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np
from pydantic import Field

from stores.labels.brush import brush_runs, painted
from stores.labels.exchange import (
    ADVICE,
    Foreign,
    Found,
    Masks,
    Outgoing,
    channel_of,
    known_images,
    require_size,
    write_json,
)
from stores.labels.sets import LabelSet
from wilss.errors import DataError, SpecError
from wilss.outputs import whole_file
from wilss.outside import checked

TASKS = "tasks.json"
CONFIG = "labeling.xml"
LOCAL = "/data/local-files/?d="
"""How Label Studio names a file of its local storage."""
Byte = Annotated[int, Field(ge=0, le=255)]
Length = Annotated[int, Field(ge=1, le=2**20)]


class _Brush(Foreign):
    format: Literal["rle"]
    rle: tuple[Byte, ...]
    brushlabels: tuple[str, ...] = Field(min_length=1, max_length=1)


class _Result(Foreign):
    type: str
    original_width: Length
    original_height: Length
    value: _Brush


class _Annotation(Foreign):
    result: tuple[_Result, ...]
    was_cancelled: bool = False


class _Data(Foreign):
    wilss_id: str


class _Task(Foreign):
    data: _Data
    annotations: tuple[_Annotation, ...]


class _Tasks(Foreign):
    tasks: tuple[_Task, ...]


def write_label_studio(of: Outgoing, to: Path) -> None:
    """Write ``tasks.json``, a task an image, and ``labeling.xml``, the page's configuration.

    The images are those of a local storage; ``wilss_id`` is what a mask is taken back by, whatever becomes of the name.
    Raises SpecError for ids that JSON in UTF-8 cannot hold.
    """
    classes, tasks = of.labels.index.classes, []
    odd = [name for name in (*of.labels.index.ids, *classes) if not name.isprintable()]
    if odd:
        raise SpecError(f"Label Studio cannot show the name {odd[0]!a:.100}; use --format coco")
    for image, masks, channels in of.rows():
        result = [
            _result(mask, classes[channel], f"{image}-{channel}")
            for mask, channel in zip(masks, channels, strict=True)
            if mask.any()
        ]
        data = {"image": LOCAL + quote(of.names[image]), "wilss_id": of.labels.index.ids[image]}
        tasks.append({"data": data, "annotations": [{"result": result}]})
    with whole_file(to / CONFIG) as partial:
        partial.write_text(_config(classes), encoding="utf-8", newline="\n")
    write_json(to / TASKS, tasks)


def _config(classes: tuple[str, ...]) -> str:
    labels = "\n".join(f"    <Label value={quoteattr(name)}/>" for name in classes)
    brush = f'  <BrushLabels name="label" toName="image">\n{labels}\n  </BrushLabels>'
    return f'<View>\n  <Image name="image" value="$image" zoom="true"/>\n{brush}\n</View>\n'


def _result(mask: Masks, name: str, key: str) -> dict[str, Any]:
    facts = {"id": key, "type": "brushlabels", "from_name": "label", "to_name": "image", "image_rotation": 0}
    size = {"original_width": mask.shape[1], "original_height": mask.shape[0]}
    return {**facts, **size, "value": {"format": "rle", "rle": brush_runs(mask), "brushlabels": [name]}}


def read_label_studio(path: Path, read: Any, labels: LabelSet) -> Found:
    """Masks of exported tasks ("JSON"); a task without annotation has none, several of a class are one mask.

    Raises FormatError for what is not of this form (other tools than the brush are not), DataError for other classes,
    images and sizes than the label set's, and for a task that several people have annotated.
    """
    tasks = checked(_Tasks, {"tasks": read}, path, ADVICE).tasks
    ids = known_images(path, [task.data.wilss_id for task in tasks], labels)
    of: dict[str, tuple[_Result, ...]] = {}
    for image_id, task in zip(ids, tasks, strict=True):
        kept = [annotation for annotation in task.annotations if not annotation.was_cancelled]
        if len(kept) > 1:
            raise DataError(
                f"'{path}' has {len(kept)} annotations of image '{image_id:.100}'; keep the one that is meant"
            )
        if kept:
            of[image_id] = kept[0].result
    for result in (one for results in of.values() for one in results):
        channel_of(path, result.value.brushlabels[0], labels)

    def masks(image_id: str) -> Masks:
        size = labels.original_size(labels.position(image_id))
        whole = np.zeros((len(labels.index.classes), *size), np.uint8)
        for result in of[image_id]:
            require_size((result.original_height, result.original_width), labels, image_id)
            mask = painted(result.value.rle, size)
            if mask is None:
                raise DataError(f"'{path}' has run lengths of image '{image_id}' that do not fill it; {ADVICE}")
            whole[channel_of(path, result.value.brushlabels[0], labels)] |= mask
        return whole

    return Found(list(of), masks)
