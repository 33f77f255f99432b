"""What a review is worth: ``python -m tests.benchmarks.review``.

scenes-15-5 as ``wilss demo`` runs it. A script plays the reviewer, with the truth before its eyes, of the worst tenth
of the masks by their score. "rejected": those of an IoU under 0.5 are rejected, so that their images are left out.
"corrected": all of the tenth are painted anew, and a class that the image does not show is removed. Base student and
memory bank are shared; a line of JSON for each run, and a table in the end.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from flows.cli.benchmarks import DEMO_SCHEDULE
from flows.server import server_at_hand
from stores.artefacts import Store
from stores.labels.quality import row_truth
from stores.labels.review import Change, Review, RowState
from stores.labels.review.apply import apply_review
from stores.labels.sets import LabelSet
from stores.labels.stats import row_score
from wilss.data.families import open_source
from wilss.data.images import to_canvas
from wilss.data.source import Source
from wilss.settings import Settings
from wilss.spec import RunSpec, make_spec
from wilss.words import nested

SHARE, SOUND = 0.1, 0.5
WAYS = ("rejected", "corrected")


def verdicts(way: str, labels: LabelSet, source: Source, review: Review) -> dict[tuple[str, str], RowState]:
    """What the reviewer says of the worst rows."""
    score, iou = row_score(labels), row_truth(source, labels, labels.stage)
    images, channels = labels.index.pairs
    said = {}
    for row in score.argsort(kind="stable")[: int(SHARE * len(score))]:
        image, name = labels.index.ids[images[row]], labels.index.classes[channels[row]]
        if way == "rejected":
            if np.isnan(iou[row]) or iou[row] < SOUND:
                said[image, name] = RowState("rejected")
            continue
        shown = to_canvas(source.mask(image)[None], labels.index.canvas, nearest=True)[0].numpy()
        mask = shown == source.classes.index(name) + 1
        said[image, name] = RowState(mask=review.put_mask(mask)) if mask.any() else RowState("absent")
    return said


def reviewed(way: str, digest: str, spec: RunSpec, root: Path) -> tuple[str, str]:
    """Play the reviewer; returns the child, and what was done, in words."""
    labels, review = LabelSet.open(Store(root).path("labels", digest)), Review.open(root, digest)
    source = open_source(spec.protocol.family, spec.data, Settings(root=root), spec.protocol.steps[0], None)
    said = verdicts(way, labels, source, review)
    if not said:
        return digest, "nothing was to be said"
    rows = {key: RowState() for key in review.states} | said
    changes = [Change(*key, state, review.version(*key)) for key, state in rows.items()]
    review.act("a script", "note", changes)
    child, outcome = apply_review(Store(root), digest)
    return child.digest, outcome.notes.sentence


def measure(seed: int, root: Path) -> list[dict[str, Any]]:
    """One line for each way, the first one without a review."""
    from flows.benchmark import run_benchmark

    content = {"benchmark": "scenes-15-5", "seed": seed, **nested(list(DEMO_SCHEDULE))}
    first = run_benchmark(make_spec(content), Settings(root=root))
    lines = [_line("as they are", "", seed, first)]
    digest = first["artefacts"]["labels 1"]
    for way in WAYS:
        child, said = reviewed(way, digest, make_spec(content), root)
        report = run_benchmark(make_spec({**content, "labels": child}), Settings(root=root))
        lines.append(_line(way, said, seed, report))
    return lines


def _line(way: str, said: str, seed: int, report: dict[str, Any]) -> dict[str, Any]:
    labels = report["label_sets"][0]
    stage = "refined" if "refined" in labels["iou"] else next(iter(labels["iou"]))
    numbers = {key: round(100 * value, 1) for key, value in report["metrics"].items()}
    line = {"way": way, "seed": seed, "labels_iou": round(100 * labels["iou"][stage], 1), **numbers, "said": said}
    print(json.dumps(line), flush=True)
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder for artefacts; what is there is found")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    options = parser.parse_args()
    with server_at_hand(options.root, False):
        lines = [line for seed in options.seeds for line in measure(seed, options.root)]
    print("\n| labels | label IoU | old | new | all |\n|---|---|---|---|---|")
    for way in ("as they are", *WAYS):
        own = [line for line in lines if line["way"] == way]
        means = (sum(line[key] for line in own) / len(own) for key in ("labels_iou", "old", "new", "all"))
        print(f"| {way} | " + " | ".join(f"{mean:.1f}" for mean in means) + " |")


if __name__ == "__main__":
    main()
