"""Named few-shot settings: what a specification takes for every key that is not given, by head.

The published values are the effective ones, traps of the released configurations included in the reckoning: PFENet's
and BAM's rates are ten times those of their files, CWT's those of its script. ASPP on a frozen backbone takes what it
takes with singular values.
"""

from __future__ import annotations

from typing import Any

SVF = {"train": {"lr_head": 0.015, "lr_backbone": 0.0015, "schedule": "cosine", "batch_size": 8}}
"""SVF's training of the heads that it was published with."""


def on_coco(part: dict[str, Any]) -> dict[str, Any]:
    """What a head takes instead on the benchmarks that train on COCO."""
    return {"benchmarks": {"coco-20i": part, "coco-to-pascal": part}}


COCO_STAGE1 = {"epochs": 20, "lr_backbone": 2.5e-3}
COCO_473 = {"augment": {"scale": (0.8, 1.25)}, "train": {"epochs": 50}, "stage1": COCO_STAGE1}
COCO = {"size": 641, **COCO_473}
COCO_PFENET = {**COCO, "train": {"epochs": 50, "lr_head": 0.05, "batch_size": 8}}
# at 473 pixels the shares of PFENet's bins would give 60, 30, 15 and 7; SVF keeps these at 641 too
BINS = {"bins": (60, 30, 15, 8)}
PAPER: dict[str, Any] = {
    "data": {"canvas": 640},  # no image of VOC or COCO is larger: none is shrunk, as published
    "stage1": {"lists": "all"},  # BAM's, and so that of every head but CWT
    "heads": {
        "prior": on_coco(COCO),
        "prototype": on_coco(COCO),
        "aspp": on_coco(COCO),
        "pfenet": {
            "train": {"lr_head": 0.025, "schedule": "poly", "batch_size": 4},
            "pfenet": BINS,
            **on_coco({**COCO_PFENET, "pfenet": {"bins": (1.0, 0.5, 0.25, 0.125)}}),
            "tunings": {"svf": {**SVF, "pfenet": BINS}},
        },
        "bam": {
            "train": {"lr_head": 0.05, "schedule": "poly"},
            **on_coco(COCO),
            "tunings": {"svf": SVF},
        },
        "cwt": {
            "train": {"lr_head": 1e-3, "schedule": "constant", "use_nesterov": True, "epochs": 20, "batch_size": 2},
            "stage1": {
                "lr_backbone": 2.5e-3,
                "lr_head": 2.5e-3,
                "use_nesterov": True,
                "schedule": "cosine",
                "smoothing": 0.1,
                "lists": "unfiltered",
                "novel": "ignore",
            },
            "psp": {"classifier_bias": False},
            **on_coco({"stage1": {"epochs": 20}}),
        },
        "ipmt": {
            "train": {"lr_head": 0.0375, "schedule": "poly", "batch_size": 4},
            **on_coco(COCO_473),
        },
    },
}
SHORT: dict[str, Any] = {"optimizer": "adamw", "weight_decay": 0.01, "schedule": "cosine"}
"""Short schedules converge faster with AdamW than with the papers' SGD."""
FULL = {"train": {"lr_backbone": 1e-4}}
"""All weights need a lower rate than their singular values; chosen with PFENet in the built-in world."""
SMALL: dict[str, Any] = {
    "data": {"canvas": 320},
    "size": 257,
    "backbone": {"backbone": "mobilenetv2_100"},
    "start": "base",
    "tunings": {"full": FULL},
    "aspp": {"channels": 128},
    "pfenet": {"channels": 128},
    "bam": {"channels": 128},
    "ipmt": {"dim": 128, "hidden": 384, "layers": 3},
    "psp": {"channels": 128},
    "cwt": {"inner_resolution": "features"},
    "train": {**SHORT, "epochs": 4, "lr_head": 1e-3, "lr_backbone": 1e-3},
    "stage1": {**SHORT, "epochs": 4, "batch_size": 16, "lr_backbone": 3e-4, "lr_head": 1e-3},
    "crop1": 257,
    "episodes": 500,
}
SHAPES: dict[str, Any] = {
    "share": 0.5,
    "train": {**SHORT, "epochs": 6, "batch_size": 16, "lr_backbone": 1.5e-3, "lr_head": 2e-3, "loss_stride": 4},
}
DEMO: dict[str, Any] = {
    "shapes": SHAPES,
    "data": {"canvas": 97, "n_train": 1600, "n_eval": 400, "world": {"image_size": 97}},
    "size": 97,
    "backbone": {"backbone": "resnet_scenes"},
    "start": "pretrained",
    "tunings": {"full": FULL},
    "heads": {
        "cwt": {
            "start": "base",
            "cwt": {
                "balance_fit": 0.3,
                "balance_loss": 0.3,
                "mirror": True,
                "turns": (-20.0, 20.0),
                "norm": "rms",
                "scale": "unit",
                "temperature": 10.0,
                "output_dropout": 0.1,
            },
            "shapes": {"share": 0.8},
            "train": {"lr_head": 3e-3},
            "stage1": {"novel": "ignore"},
        }
    },
    "min_area": 86,
    "aspp": {"channels": 64, "rates": (2, 4, 6)},
    "pfenet": {"channels": 64},
    "bam": {"channels": 64, "rates": (2, 4, 6)},
    "ipmt": {"dim": 64, "hidden": 192, "layers": 3},
    "psp": {"channels": 128},
    "cwt": {"inner_resolution": "features"},
    "train": {**SHORT, "epochs": 20, "lr_head": 2e-3, "lr_backbone": 1e-3},
    "stage1": {
        **SHORT,
        "epochs": 6,
        "batch_size": 16,
        "lr_backbone": 2e-4,
        "lr_head": 1e-3,
    },
    "crop1": 97,
    "episodes": 1000,
}
TINY: dict[str, Any] = {
    **DEMO,
    "shapes": {
        "share": 0.5,
        "silhouettes": 8,
        "images": 64,
        "world": {"image_size": 65},
        "psp": {"channels": 16},
        "train": {**SHAPES["train"], "epochs": 1},
    },
    "data": {"canvas": 65, "n_train": 160, "n_eval": 160, "world": {"image_size": 65}},
    "size": 65,
    "crop1": 65,
    "min_area": 38,
    "aspp": {"channels": 16, "rates": (2, 4)},
    "pfenet": {"channels": 16},
    "bam": {"channels": 16, "rates": (2, 4)},
    "ipmt": {"dim": 16, "hidden": 32, "layers": 2},
    "psp": {"channels": 16},
    "cwt": {"inner_resolution": "features", "inner_steps": 20, "heads": 1},
    "train": {**DEMO["train"], "epochs": 1, "batch_size": 16},
    "stage1": {**DEMO["stage1"], "epochs": 1},
    "episodes": 40,
}
FEWSHOT_PRESETS: dict[str, dict[str, Any]] = {"demo": DEMO, "small": SMALL, "paper": PAPER, "tiny": TINY}
"""Named settings: "demo" for the built-in world, "small" for photographs on two CPU cores, "paper" as published,
"tiny" for tests."""
