"""Which number of a row tells a bad mask: ``python -m tests.benchmarks.order``.

Labels the step's images of a benchmark whose true masks are known, and measures for every number that is kept of a row
how often it puts a mask whose IoU is below 0.5 before one whose IoU is not (area under the ROC curve; 0.5 is chance).
Lower is taken to be worse, but for "uncertain", "fragments" and "border"; "area / median" is how far the area lies
from the median of its class, either way.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from stores.labels.quality import row_truth
from stores.labels.sets import LabelSet
from stores.labels.stats import row_score
from stores.plans.run import Run
from stores.plans.session import Session
from tasks.labels import begin_labels, label_set, label_shard
from tests.benchmarks import last_line
from wilss.settings import Settings
from wilss.spec import make_spec

WORSE_WHEN_HIGH = ("uncertain", "fragments", "border")
Floats = NDArray[np.float32]


def auroc(bad: NDArray[np.bool_], score: Floats) -> float:
    """Area under the curve of "bad" against a score that is low for what is bad; NaN where all are alike."""
    if bad.all() or not bad.any():
        return float("nan")
    ranks, n_bad = rankdata(-score), int(bad.sum())
    return float((ranks[bad].sum() - n_bad * (n_bad + 1) / 2) / (n_bad * (~bad).sum()))


def scores(labels: LabelSet) -> dict[str, Floats]:
    """Name -> a number a row, low for what should be bad."""
    found = {name: -v if name in WORSE_WHEN_HIGH else v for name, v in labels.quality.items()}
    channels, area = labels.index.pairs[1], labels.quality["area"] + 1e-6
    median = np.array(
        [np.median(area[channels == c]) if (channels == c).any() else 1 for c in range(channels.max() + 1)]
    )
    found["area / median"] = -np.abs(np.log(area / median[channels])).astype(np.float32)
    return {**found, "default order": row_score(labels)}


def measure(
    benchmark: str, data: Path | None, weights: Path | None, step: int, images: int | None
) -> dict[str, object]:
    """Label one step and score the numbers of its rows."""
    content = {"benchmark": benchmark, "data": {"eval_list": "dev"} if data else {"n_train": images} if images else {}}
    with tempfile.TemporaryDirectory() as root:
        run = Run(make_spec(content), Session(Settings(root=Path(root), data=data, weights=weights)))
        begun = begin_labels.fn(run, step)
        ref = label_set.fn(run, step, [label_shard.fn(run, step, begun, s) for s in range(begun.counts["shards"])])
        labels = LabelSet.open(run.store.folder(ref))
        iou = row_truth(run.source, labels, labels.stage)
        known = ~np.isnan(iou)
        found = {name: auroc(iou[known] < 0.5, np.nan_to_num(v[known], nan=1.0)) for name, v in scores(labels).items()}
    for name, value in sorted(found.items(), key=lambda item: -item[1]):
        print(f"{name:<16} {value:.3f}")
    return {"benchmark": benchmark, "rows": int(known.sum()), "bad": float((iou[known] < 0.5).mean()), "auroc": found}


def main() -> None:
    """Measure, print a table and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--benchmark", default="scenes-15-5")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--images", type=int, help="training scenes of the built-in world")
    o = parser.parse_args()
    last_line("order", measure(o.benchmark, o.data, o.weights, o.step, o.images))


if __name__ == "__main__":
    main()
