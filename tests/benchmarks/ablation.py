"""What each part of the co-segmentation is worth: ``python -m tests.benchmarks.ablation`` prints a Markdown table.

The small models of the built-in world on held-out scenes, true image-level tags given. Each row changes the demo's
settings in what it names and nothing else. Several worlds give mean and sample standard deviation.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from itertools import product
from typing import Any

from tests.benchmarks import last_line
from wilss.data.spec import World
from wilss.foundation.quality import HELD_OUT, label_quality
from wilss.foundation.spec import FoundationSpec
from wilss.foundation.zoo import build_grouper, build_scorer
from wilss.report.comparison import spread
from wilss.spec import make_spec
from wilss.words import nested

CLIP = {"fusion": "scores", "propagate": 0, "refine": "none", "refine_threshold": None}
SEEDS = {**CLIP, "fusion": "seeds", "n_seeds": 10, "keep": 0.3, "keep_by": "mass"}
UNION = {**SEEDS, "fusion": "union", "keep": 0.15}
SPREAD = {"fusion": "scores", "propagate": 1, "refine": "none", "refine_threshold": 0.5}
ATTENTION = {"affinity": "attention", "grouper_temperature": None}
KEYS = {"grouper_temperature": 0.05}
ROWS: dict[str, dict[str, Any]] = {
    "as in the demo": {},
    "CLIP only (the initial masks)": {"cosegment": CLIP},
    "CLIP only, cosine of each cell": {"cosegment": CLIP, "normalise": "cell", "scorer_temperature": 30.0},
    "CLIP only, image not enlarged": {"cosegment": CLIP, "scorer_scales": (1.0,)},
    "CLIP, guided filter": {"cosegment": {**CLIP, "refine": "guided"}},
    "CLIP, PAMR": {"cosegment": {**CLIP, "refine": "pamr"}},
    "seeds only, keys, K = 30 %": {"cosegment": SEEDS, **KEYS},
    "seeds only, attention, K = 70 % (the paper's)": {"cosegment": {**SEEDS, "keep": 0.7}, **ATTENTION},
    "union, attention, K = 70 % (the paper's)": {"cosegment": {**UNION, "keep": 0.7}, **ATTENTION},
    "union, keys, K = 15 %, N = 10": {"cosegment": UNION, **KEYS},
    "... guided filter": {"cosegment": {**UNION, "refine": "guided"}, **KEYS},
    "... PAMR": {"cosegment": {**UNION, "refine": "pamr"}, **KEYS},
    **{f"... N = {n}": {"cosegment": {**UNION, "n_seeds": n}, **KEYS} for n in (1, 3, 30)},
    **{f"... K = {k:.0%}": {"cosegment": {**UNION, "keep": k}, **KEYS} for k in (0.05, 0.3, 0.7)},
    "... seeds far from each other": {"cosegment": {**UNION, "seed_sampling": "farthest"}, **KEYS},
    "... seeds of highest score": {"cosegment": {**UNION, "seed_sampling": "confident"}, **KEYS},
    "... intersection instead": {"cosegment": {**UNION, "fusion": "intersection", "keep": 0.7}, **KEYS},
    "spread by dino:scenes": {"cosegment": SPREAD},
    "spread twice": {"cosegment": {**SPREAD, "propagate": 2}},
    "spread by CLIP's own features": {
        "cosegment": SPREAD,
        "grouper": "features:resnet_scenes",
        "grouper_scale": 1.5,
        "grouper_temperature": 0.05,
    },
    "spread, guided filter": {"cosegment": {**SPREAD, "refine": "guided", "guided_radius": 4}},
    "spread, PAMR": {"cosegment": {**SPREAD, "refine": "pamr"}},
    "spread, united with the seeds": {"cosegment": {**SPREAD, "fusion": "union", "keep": 0.15}},
}


TAGGED = {"compete": "tagged"}
COMPETE: dict[str, dict[str, Any]] = {
    "all classes compete": {},
    "only tags and background words": TAGGED,
    "... cosine of each cell": {"normalise": "cell", "scorer_temperature": 30.0},
    "... cosine of each cell, only tags and background words": {
        **TAGGED,
        "normalise": "cell",
        "scorer_temperature": 30.0,
    },
    "only tags, prompt denoising 0.1": {**TAGGED, "denoise": 0.1},
    "all compete, prompt denoising 0.1": {"denoise": 0.1},
    "only tags, background 'background' alone": {**TAGGED, "background": ("background",)},
    "only tags, background words for photographs": {**TAGGED, "background": ("background", "texture", "photographs")},
    "the best of several words": {"words": "max"},
}
BLOCK = ("value", "sclip", "clearclip", "naclip", "proxy")
COMPETITION = {"all": {}, "tagged": TAGGED}
WORDS = {"two": {}, "photographs": {"background": ("background", "texture", "photographs")}}
GROUPER = {"spread and PAMR": {}, "no grouper, PAMR": {"cosegment": {"propagate": 0}}}
BLOCKS: dict[str, dict[str, Any]] = {
    f"{block} | {compete} | {words} | {grouper}": {
        "scorer": "clip:scenes-vit",
        "block": block,
        **COMPETITION[compete],
        **WORDS[words],
        **GROUPER[grouper],
    }
    for block, compete, words, grouper in product(BLOCK, COMPETITION, WORDS, GROUPER)
}
VIT = {"scorer": "clip:scenes-vit", "block": "proxy", "normalise": "cell", "scorer_temperature": 30.0}
LOOK: dict[str, dict[str, Any]] = {
    "whole": {},
    "in windows of 96 px": {"window": 96},
    "whole, twice as large": {"scorer_scales": (3.0,)},
    "twice as large, in windows of 144 px": {"scorer_scales": (3.0,), "window": 144},
    "two sizes": {"scorer_scales": (1.0, 1.5)},
    "the mirror image too": {"scorer_flip": True},
}
SEEN = {
    **{f"clip:scenes | {name}": change for name, change in LOOK.items()},
    **{f"clip:scenes-vit, proxy | {name}": {**VIT, **change} for name, change in LOOK.items()},
    **{
        f"clip:scenes-vit, proxy | whole, logit scale {scale}": {**VIT, "scorer_temperature": float(scale)}
        for scale in (10, 20, 40, 100)
    },
}
TABLES = {"parts": ROWS, "compete": COMPETE, "blocks": BLOCKS, "seen": SEEN}
"""What is compared: parts of the co-segmentation, who competes for pixels, the last block of a ViT CLIP, or how CLIP
looks at an image."""
NUMBERS = ("initial", "refined", "background", "agreement")
HEADS = {"blocks": ("block", "compete", "background words", "then"), "seen": ("scorer", "image")}


def changed(base: FoundationSpec, change: dict[str, Any]) -> FoundationSpec:
    """The settings with some keys replaced."""
    content = base.model_dump()
    content["cosegment"] = {**content["cosegment"], **change.get("cosegment", {})}
    return FoundationSpec.model_validate({**content, **{k: v for k, v in change.items() if k != "cosegment"}})


def main() -> None:
    """Measure every row, print the table and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--table", choices=TABLES, default="parts")
    parser.add_argument(
        "--seed", type=int, nargs="+", default=[HELD_OUT.seed], help="of worlds; 0 is what benchmarks score"
    )
    parser.add_argument("--set", action="append", default=[], help="of all rows, such as foundation.scorer_scales=1")
    parser.add_argument("--old", type=int, default=0, help="so many classes compete by name alone")
    options = parser.parse_args()
    base = make_spec({"benchmark": "scenes-15-5", **nested(options.set)}).foundation
    head = (*HEADS.get(options.table, ("setting",)), "initial mIoU", "refined mIoU", "background", "agreement")
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    results = {}
    for name, change in TABLES[options.table].items():
        spec = changed(base, change)
        models = build_scorer(spec), build_grouper(spec)
        worlds = [World(seed=seed) for seed in options.seed]
        found = [label_quality(*models, spec.cosegment, options.count, world, old=options.old) for world in worlds]
        results[name] = [asdict(quality) for quality in found]
        cells = [str(spread([getattr(quality, key) for quality in found])) for key in NUMBERS]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    last_line(
        "ablation", {"scenes": options.count, "world_seeds": options.seed, "old": options.old, "results": results}
    )


if __name__ == "__main__":
    main()
