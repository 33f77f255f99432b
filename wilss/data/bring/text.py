"""The text files of a data folder. No torch."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from wilss.custom import SAFE
from wilss.protocol import benchmarks

HEADER = """\
# Made by wilss data import; deal the classes out to the steps as you like, but keep their order where there are masks:
# they hold the number of a class in it, from 1 on.
"""
NO_MASKS = """\
# There are no masks, so step 0 cannot be learnt here: put the classes of a trained student into step 0 and name it
# with --start CHECKPOINT.
"""


def write_labels(path: Path, rows: Mapping[str, Sequence[str]]) -> None:
    """Write labels.csv: a row an image, names parted by ";"."""
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(("image", "labels"))
        writer.writerows((name, ";".join(tags)) for name, tags in rows.items())


def write_benchmark(path: Path, name: str, steps: Sequence[Sequence[str]], masks: bool) -> None:
    """Write a benchmark over the classes; its name is that of the folder where it can be."""
    plain = "".join(c if (c.isalnum() and c.isascii()) or c in "-_." else "-" for c in name).lstrip("-_.")[:50]
    if not SAFE.fullmatch(plain) or plain in benchmarks():
        plain = f"own-{plain}".rstrip("-")
    lines = [HEADER if masks else HEADER + NO_MASKS, f"name: {json.dumps(plain)}\n", "data: folder\n", "steps:\n"]
    # JSON is YAML: names such as "no", "1" or "a: b" keep their meaning
    lines += [f"  - {json.dumps(list(step), ensure_ascii=False)}\n" for step in steps]
    path.write_text("".join(lines), encoding="utf-8")
