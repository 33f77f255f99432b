"""Protocols, looked at from the command line. Plain functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wilss.data.catalogue import class_names
from wilss.data.opening import open_source
from wilss.data.tags import read_labels
from wilss.outputs import writable_folder
from wilss.protocol import count_steps
from wilss.spec import RunSpec, Settings


def describe_protocol(spec: RunSpec, settings: Settings, write: Path | None) -> list[dict[str, Any]]:
    """Images of every step of a benchmark, from a label table or from the data themselves.

    Args:
        settings: with ``labels_csv`` the table alone is read, no image is needed.
        write: folder that gets one id list a step, ``step-0.txt`` and so on.

    Returns:
        For each step its class names, counts and image ids.
    """
    protocol = spec.protocol
    if settings.labels_csv is not None:
        names = _class_names(spec)
        table = read_labels(settings.labels_csv, names, ignore=_ignored(spec))
        ids, tags = tuple(table), tuple(table.values())
    else:
        source = open_source(protocol.family, spec.data, settings, protocol.steps[0], spec.custom)
        names, ids, tags = source.classes, source.ids("train"), source.tags("train")
    steps = []
    for counts in count_steps(tags, protocol, spec.scenario):
        images = [ids[i] for i in counts.images]
        steps.append(
            {
                "step": counts.step,
                "classes": [names[c - 1] for c in protocol.steps[counts.step]],
                "images": len(images),
                "with_old_class": counts.with_old,
                "in_earlier_step": counts.repeated,
                "images_by_labels": {str(k): n for k, n in enumerate(counts.labels, start=1)},
                "ids": images,
            }
        )
    if write is not None:
        writable_folder(write)
        for entry in steps:
            (write / f"step-{entry['step']}.txt").write_text("".join(f"{i}\n" for i in entry["ids"]))
    return steps


def _class_names(spec: RunSpec) -> tuple[str, ...]:
    return spec.custom.classes if spec.custom else class_names(spec.protocol.family)


def _ignored(spec: RunSpec) -> tuple[str, ...]:
    return spec.custom.ignore if spec.custom else ()
