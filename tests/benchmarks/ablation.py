"""What each part of the co-segmentation is worth: ``python -m tests.benchmarks.ablation`` prints a Markdown table.

The small models of the built-in world on held-out scenes, true image-level tags given. Each row changes the demo's
settings in what it names and nothing else.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from wilss.foundation.quality import HELD_OUT, label_quality
from wilss.foundation.spec import FoundationSpec
from wilss.foundation.zoo import build_grouper, build_scorer
from wilss.spec import make_spec

SCORER_ONLY = {"fusion": "scores", "refine": "none", "propagate": 0}
PAPER_SEEDS = {"keep": 0.7, "keep_by": "mass", "n_seeds": 10}
ROWS: dict[str, dict[str, Any]] = {
    "as in the demo": {},
    "CLIP only (the initial masks)": {"cosegment": {**SCORER_ONLY, "refine_threshold": None}},
    "CLIP only, plain cosine of cells": {"cosegment": {**SCORER_ONLY}, "normalise": "cell"},
    "CLIP only, input not enlarged": {"cosegment": {**SCORER_ONLY}, "scorer_scales": (1.0,)},
    "seeds only": {"cosegment": {"fusion": "seeds"}},
    "seeds only, attention instead of keys": {
        "cosegment": {"fusion": "seeds", **PAPER_SEEDS},
        "affinity": "attention",
        "grouper_temperature": None,
    },
    "union, no refinement": {"cosegment": {"fusion": "union", "refine": "none", "propagate": 0}},
    "union, guided filter": {"cosegment": {"fusion": "union", "refine": "guided", "propagate": 0}},
    "union, PAMR": {"cosegment": {"fusion": "union", "refine": "pamr", "propagate": 0}},
    "CLIP, guided filter": {"cosegment": {**SCORER_ONLY, "refine": "guided"}},
    "CLIP, PAMR": {"cosegment": {**SCORER_ONLY, "refine": "pamr"}},
    "CLIP, spread by the grouper": {"cosegment": {**SCORER_ONLY, "propagate": 1}},
    "CLIP, spread by the grouper, guided filter": {
        "cosegment": {**SCORER_ONLY, "propagate": 1, "refine": "guided"},
    },
    **{f"N = {n} seeds": {"cosegment": {"fusion": "union", "n_seeds": n}} for n in (1, 3, 30)},
    **{f"K = {k:.0%} of the mass": {"cosegment": {"fusion": "union", "keep": k}} for k in (0.05, 0.3, 0.7)},
    "seeds far from each other": {"cosegment": {"fusion": "union", "seed_sampling": "farthest"}},
    "seeds of highest score": {"cosegment": {"fusion": "union", "seed_sampling": "confident"}},
    "intersection instead of union": {"cosegment": {"fusion": "intersection"}},
}


def changed(base: FoundationSpec, change: dict[str, Any]) -> FoundationSpec:
    """The settings with some keys replaced."""
    content = base.model_dump()
    content["cosegment"] = {**content["cosegment"], **change.get("cosegment", {})}
    return FoundationSpec.model_validate({**content, **{k: v for k, v in change.items() if k != "cosegment"}})


def main() -> None:
    """Measure every row, print the table and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    options = parser.parse_args()
    base = make_spec({"benchmark": "scenes-15-5"}).foundation
    print("| setting | initial mIoU | refined mIoU | background | agreement |\n|---|---|---|---|---|")
    results = {}
    for name, change in ROWS.items():
        spec = changed(base, change)
        quality = label_quality(build_scorer(spec), build_grouper(spec), spec.cosegment, options.count)
        results[name] = quality.as_dict()
        numbers = (quality.initial, quality.refined, quality.background, quality.agreement)
        print(f"| {name} | {' | '.join(f'{100 * value:.1f}' for value in numbers)} |", flush=True)
    print(json.dumps({"name": "ablation", "scenes": options.count, "world_seed": HELD_OUT.seed, "results": results}))


if __name__ == "__main__":
    main()
