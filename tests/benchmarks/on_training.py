"""What finished runs score on training images: ``python -m tests.benchmarks.on_training RUN [RUN ...] --data VOC``.

Settings are chosen by what no table scores. Runs that differ in one setting of a step, and have one base student, may
be compared by their last students on a random part of the training list: masks of base classes were learnt from there
by all alike, and of new classes tags alone. The numbers say which of these runs is better, and nothing of new images.
It fails where base students differ.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path
from typing import Any

import torch

from tests.benchmarks import last_line
from wilss.api import evaluate, open_source
from wilss.layout import find_artefact
from wilss.models.model import Model
from wilss.report.records import percent


def told_of(run: Path) -> dict[str, Any]:
    """The run's report."""
    return dict(json.loads((run / "report.json").read_text()))


def measure(run: Path, data: Path, count: int) -> dict[str, float]:
    """Mean IoU of the run's last student on this many images, drawn with seed 0; background counts in all."""
    told = told_of(run)
    source = open_source(told["benchmark"], data, settings={"data": told["spec"]["data"]})
    ids = sorted(random.Random(0).sample(source.ids("train"), count))
    last = max((name for name in told["artefacts"] if name.startswith("checkpoint ")), key=lambda name: int(name[11:]))
    folder = find_artefact(run.parent.parent, "checkpoints", told["artefacts"][last])
    means = evaluate(Model.open(folder, torch.device("cpu")), source, ids).means["C"]
    return {"old": means.old, "new": means.new, "all": means.all}


def main() -> None:
    """Print the table and, as JSON, its numbers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs, in ROOT/runs")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=300, help="of images")
    options = parser.parse_args()
    if len({told_of(run)["artefacts"]["checkpoint 0"] for run in options.runs}) > 1:
        sys.exit("these runs have base students of their own, which training images tell apart; compare those of one")
    print("| run | old | new | all |\n|---|---:|---:|---:|")
    found = {}
    for run in options.runs:
        found[run.name] = measure(run, options.data, options.count)
        print(f"| {run.name} | " + " | ".join(percent(share) for share in found[run.name].values()) + " |", flush=True)
    last_line("on_training", found)


if __name__ == "__main__":
    main()
