"""Folders of one's own written as shards, as people's programs write them."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

Tags = Literal["table", "cls", "json", "txt"]
BESIDE = ("eval.txt", "labelmap.txt")


def write_tar(path: Path, files: Mapping[str, bytes], form: int = tarfile.PAX_FORMAT) -> Path:
    """A tar of files by name, in their order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=form) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


def samples_of(folder: Path, tags: Tags = "table") -> dict[str, dict[str, bytes]]:
    """Image id -> files of its sample."""
    rows = dict(list(csv.reader((folder / "labels.csv").open()))[1:])
    named = {name.rpartition(".")[0] or name: labels for name, labels in rows.items()}
    found: dict[str, dict[str, bytes]] = {}
    for image in sorted((folder / "images").iterdir()):
        sample = {image.name: image.read_bytes()}
        mask = folder / "masks" / f"{image.stem}.png"
        if mask.is_file():
            sample[f"{image.stem}.mask.png"] = mask.read_bytes()
        if tags != "table" and image.stem in named:
            labels = named[image.stem]
            content = json.dumps({"labels": labels.split(";") if labels else []}) if tags == "json" else labels
            sample[f"{image.stem}.{tags}"] = content.encode()
        found[image.stem] = sample
    return found


def shards_of(folder: Path, to: Path, count: int = 2, tags: Tags = "table") -> Path:
    """The same data as shards: every ``count``-th image lies in the same one, so that none has the folder's order."""
    samples = list(samples_of(folder, tags).values())
    for number in range(count):
        files = {name: content for sample in samples[number::count] for name, content in sample.items()}
        write_tar(to / f"part-{number:03d}.tar", files)
    for name in (*BESIDE, *(["labels.csv"] if tags == "table" else [])):
        if (folder / name).is_file():
            (to / name).write_bytes((folder / name).read_bytes())
    return to
