"""The specifications whose digests are held: incremental, few-shot and of one's own."""

from __future__ import annotations

from typing import Any

Content = dict[str, Any]

SPLITS = ("15-5", "10-10", "15-1", "10-5-5", "10-2")
TINY: Content = {"benchmark": "scenes-15-5", "preset": "tiny"}
OWN: Content = {
    "name": "two-steps",
    "data": "scenes",
    "steps": [["arrow", "bolt"], ["mug", "star"], ["bone"]],
    "prompts": {"mug": ["mug", "cup"]},
}
PETS: Content = {"name": "pets", "data": "folder", "steps": [["cat", "dog"], ["newt"]], "ignore": ["fish"]}

# recipes of these are made in full: the built-in world needs no file
RECIPES: dict[str, Content] = {
    **{
        f"scenes-{split} {scenario}": {"benchmark": f"scenes-{split}", "preset": "tiny", "scenario": scenario}
        for split in SPLITS
        for scenario in ("overlap", "disjoint")
    },
    **{f"tiny {method}": {**TINY, "method": method} for method in ("wilson", "finetune", "joint")},
    "fmwiss+ of six steps": {"benchmark": "scenes-15-1", "preset": "tiny", "method": "fmwiss+"},
    "joint of six steps": {"benchmark": "scenes-15-1", "preset": "tiny", "method": "joint"},
    "tiny seed 7": {**TINY, "seed": 7},
    "no teacher": {**TINY, "fmwiss": {"teacher": False}},
    "no paste": {**TINY, "fmwiss": {"paste": {"probability": 0.0}}},
    "no contrastive loss": {**TINY, "fmwiss": {"contrastive_weight": 0.0}},
    "svf": {**TINY, "step": {"tuning": "svf"}},
    "frozen": {**TINY, "step": {"tuning": "frozen"}},
    "old names apart": {**TINY, "foundation": {"old_names": False}},
    "two scales": {**TINY, "foundation": {"scorer_scales": [1.0, 1.5]}},
    "crops scored": {**TINY, "data": {"eval_crop": 48}},
    "own": {"benchmark": "two-steps", "custom": OWN, "preset": "tiny"},
    "own finetune": {"benchmark": "two-steps", "custom": OWN, "preset": "tiny", "method": "finetune"},
}

# of these the settings alone: their data or weights are not at hand
FACTS: dict[str, Content] = {
    **{f"voc-{split}": {"benchmark": f"voc-{split}"} for split in SPLITS},
    "voc-15-5 disjoint paper": {"benchmark": "voc-15-5", "scenario": "disjoint", "preset": "paper"},
    **{
        f"voc-{split} fmwiss+": {"benchmark": f"voc-{split}", "method": "fmwiss+"}
        for split in ("15-5", "10-10", "15-1")
    },
    "voc-15-5 best": {"benchmark": "voc-15-5", "preset": "best"},
    "coco-to-voc": {"benchmark": "coco-to-voc"},
    "coco-to-voc paper": {"benchmark": "coco-to-voc", "preset": "paper-coco"},
    "scenes demo": {"benchmark": "scenes-15-5"},
    "pets": {"benchmark": "pets", "custom": PETS},
    "pets wilson": {"benchmark": "pets", "custom": PETS, "method": "wilson"},
}

HEADS = ("aspp", "pfenet", "bam", "cwt", "ipmt", "prior", "prototype")
FEWSHOT: dict[str, Content] = {
    **{f"tiny {head}": {"benchmark": "scenes-5i", "fold": 3, "preset": "tiny", "head": head} for head in HEADS},
    "tiny aspp svf": {"benchmark": "scenes-5i", "fold": 1, "preset": "tiny", "train": {"tuning": "svf"}},
    "tiny pfenet from the start": {
        "benchmark": "scenes-5i",
        "fold": 0,
        "preset": "tiny",
        "head": "pfenet",
        "start": "pretrained",
    },
    "demo aspp": {"benchmark": "scenes-5i", "fold": 2},
    "demo bam, 5 shots": {"benchmark": "scenes-5i", "fold": 2, "head": "bam", "shots": 5},
}
FEWSHOT_FACTS: dict[str, Content] = {
    "pascal-5i": {"benchmark": "pascal-5i", "fold": 0},
    "pascal-5i paper cwt": {"benchmark": "pascal-5i", "fold": 1, "head": "cwt", "preset": "paper"},
    "coco-20i ipmt": {"benchmark": "coco-20i", "fold": 2, "head": "ipmt"},
    "coco-to-pascal": {"benchmark": "coco-to-pascal", "fold": 3},
}
