"""What each part of fmwiss+ is worth over whole sequences: ``python -m tests.benchmarks.parts [--root ROOT]``.

Rows of a Markdown table, as they end: ``fmwiss+`` with one setting changed, mean and sample standard deviation over
seeds. The world is one that no table of methods scores (its seed is 99), with small images and short trainings, so that
a row of three seeds takes some minutes; ``--large`` takes the demo's sizes. ``--data VOC`` measures on photographs with
the settings that their benchmark comes with. What ROOT has is not computed again.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks import last_line

UNSCORED = ("data.world.seed=99",)
SMALL = (
    "data.world.image_size=64",
    "data.canvas=64",
    "augment.crop=64",
    "base.epochs=5",
    "data.n_eval=160",
    "fmwiss.memory.side=48",
)
ROWS: dict[str, tuple[str, ...]] = {
    "fmwiss+": (),
    "instances without surroundings": ("fmwiss.memory.margin=0",),
    "twice the surroundings": ("fmwiss.memory.margin=0.4",),
    "the bank does not grow": ("fmwiss.memory.grows=false",),
    "nothing pasted": ("fmwiss.paste.probability=0",),
    "background of both": ("fmwiss.student_background=both",),
    "background of the old model in step 1 too": ("fmwiss.student_background=old",),
    "no teacher": ("fmwiss.teacher=false",),
    "no contrastive loss": ("fmwiss.contrastive_weight=0",),
    "even classes": ("fmwiss.paste.by_class=true",),
    "places on background": ("fmwiss.paste.on_background=true",),
    "even classes, on background": ("fmwiss.paste.by_class=true", "fmwiss.paste.on_background=true"),
    "first what the old model sees": ("fmwiss.paste.seen_first=true",),
    "any share of a new object hidden": ("fmwiss.paste.max_hidden=1",),
    "a limit to what is hidden in every step": ("fmwiss.paste.max_hidden=0.3", "fmwiss.paste.limited_in=every"),
    "one owner a cell": ("fmwiss.arbitration=cells",),
    "one owner a cell, of labels too": ("fmwiss.arbitration=cells", "fmwiss.arbitrate_labels=true"),
    "one owner a region": ("fmwiss.arbitration=regions",),
    "one owner a superpixel": ("fmwiss.arbitration=superpixels",),
    "no seeds that contradict": ("fmwiss.most_contradiction=0.7",),
    "a bank of 300": ("fmwiss.memory.budget=300",),
    "the teacher's average": ("fmwiss.teacher_average=0.98",),
    "a teacher of sure cells": ("fmwiss.teacher_sure=0.2",),
    "old rows frozen": ("fmwiss.old_rows=frozen",),
    "backbone frozen": ("step.tuning=frozen",),
    "rows kept ready": ("student.spare_rows=5",),
}


def found(options: argparse.Namespace, settings: tuple[str, ...], root: Path) -> dict[str, Any]:
    """What ``wilss compare`` writes of one method; its own words go to stderr where it fails."""
    command = [sys.executable, "-m", "flows.cli", "compare", options.benchmark, "--methods", "fmwiss+"]
    command += ["--root", str(root), "--seeds", *map(str, options.seeds)]
    for name in ("data", "weights", "eval_list"):
        if getattr(options, name):
            command += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    given = [word for setting in settings for word in ("--set", setting)]
    ended = subprocess.run([*command, *given], capture_output=True, text=True, check=False)
    written = re.search(r": (.+)/compare\.html", ended.stdout + ended.stderr)
    if ended.returncode or written is None:
        sys.exit(ended.stdout + ended.stderr)
    return dict(json.loads((Path(written[1]) / "compare.json").read_text()))


def main() -> None:
    """Print the table and, as JSON, its numbers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--benchmark", default="scenes-15-1")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW")
    parser.add_argument("--large", action="store_true", help="the demo's sizes")
    parser.add_argument("--root", type=Path, default=None, help="folder of artefacts; a temporary one when left out")
    parser.add_argument("--data", type=Path, default=None, help="folder of photographs, for a benchmark of VOC's")
    parser.add_argument("--weights", type=Path, default=None, help="their pretrained weights")
    parser.add_argument("--eval-list", default=None, help="split file of the images scored")
    options = parser.parse_args()
    world = () if options.data else (*UNSCORED, *(() if options.large else SMALL))
    with tempfile.TemporaryDirectory() as folder:
        root, rows = options.root or Path(folder), {}
        for row in options.rows:
            table = found(options, (*world, *ROWS[row]), root)["tables"][0]
            if not rows:
                print("| | " + " | ".join(table["columns"]) + " |\n|---|" + "---:|" * len(table["columns"]), flush=True)
            rows[row] = table["rows"][0][1]
            print(
                f"| {row}{': `' + ' '.join(ROWS[row]) + '`' if ROWS[row] else ''} | " + " | ".join(rows[row]) + " |",
                flush=True,
            )
    last_line("parts", {"benchmark": options.benchmark, "seeds": options.seeds, "columns": table["columns"], **rows})


if __name__ == "__main__":
    main()
