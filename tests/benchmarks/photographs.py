"""What settings of the pseudo-labels are worth on photographs: ``python -m tests.benchmarks.photographs --data VOC``.

Label sets of images whose tags are given, scored against their masks: the five classes that step 1 of ``voc-15-5``
learns, on the list that is named, as initial and refined masks. With ``--choose`` the fifteen base classes are
labelled instead, on some of the training images, whose masks step 0 may see: settings are chosen there.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path
from typing import Any

from stores.labels.quality import label_quality
from stores.labels.sets import LabelSet
from stores.plans.run import Run
from stores.plans.session import Session
from tasks.labels import begin_labels, label_set, label_shard
from tests.benchmarks import last_line
from wilss.data.families import family_of
from wilss.protocol import benchmark
from wilss.settings import Settings
from wilss.spec import make_spec
from wilss.words import merge

ONCE = {"propagate": 1, "refine": "none"}
PAMR = {"propagate": 1, "refine": "pamr"}
LITE2 = {"scorer": "classifier:tf_efficientnet_lite2", "cosegment": ONCE}
BOTH = {"scorer": f"{LITE2['scorer']}+mobilenetv2_100", "cosegment": PAMR}
ROWS: dict[str, dict[str, Any]] = {
    "as in the preset": {},
    "MobileNetV2": {"scorer": "classifier:mobilenetv2_100", "cosegment": ONCE},
    "EfficientNet-Lite2": LITE2,
    "... further words": LITE2 | {"synonyms": "many"},
    "... and the mirror image": LITE2 | {"scorer_flip": True},
    "... spread twice": LITE2 | {"cosegment": ONCE | {"propagate": 2}},
    "... competition 0.5": LITE2 | {"competition": 0.5},
    "... competition 0.15": LITE2 | {"competition": 0.15},
    "... spread more softly": LITE2 | {"grouper_temperature": 0.25},
    "... spread more sharply": LITE2 | {"grouper_temperature": 0.1},
    "... larger for the grouper": LITE2 | {"grouper_scale": 2.0},
    "... PAMR": LITE2 | {"cosegment": PAMR},
    "... PAMR, competition 0.15": LITE2 | {"cosegment": PAMR, "competition": 0.15},
    "... PAMR, mirror image": LITE2 | {"cosegment": PAMR, "scorer_flip": True},
    "both, PAMR": BOTH,
    "both, PAMR, competition 0.2": BOTH | {"competition": 0.2},
    "both, PAMR, spread twice": BOTH | {"cosegment": PAMR | {"propagate": 2}},
    "both, PAMR, larger for the grouper": BOTH | {"grouper_scale": 2.0},
    "both and DeiT-Ti, PAMR": BOTH | {"scorer": f"{BOTH['scorer']}+deit_tiny_patch16_224"},
}
LISTS = "ImageSets/Segmentation"


def chosen(voc: Path, folder: Path, count: int, seed: int) -> Path:
    """A VOC folder whose list "chosen" has so many of the training images."""
    for name in ("JPEGImages", "SegmentationClassAug"):
        (folder / name).symlink_to((voc / name).resolve())
    (folder / LISTS).mkdir(parents=True)
    for path in (voc / LISTS).iterdir():
        (folder / LISTS / path.name).symlink_to(path.resolve())
    ids = (voc / LISTS / "train_aug.txt").read_text().split()
    (folder / LISTS / "chosen.txt").write_text("\n".join(random.Random(seed).sample(ids, count)) + "\n")
    return folder


def base_classes_as_new() -> dict[str, Any]:
    """A benchmark of VOC whose step 1 brings what is the base of ``voc-15-5``."""
    known = benchmark("voc-15-5")
    base, new = known.seen(0), known.steps[1]
    names = family_of("voc").classes
    steps = [[names[number - 1] for number in numbers] for numbers in (new, base)]
    return {"benchmark": "base-as-new", "custom": {"name": "base-as-new", "data": "voc", "steps": steps}}


def quality(content: dict[str, Any], voc: Path, weights: Path | None) -> dict[str, dict[str, float | None]]:
    """Stage -> class -> IoU of the labels of step 1."""
    with tempfile.TemporaryDirectory() as root:
        run = Run(make_spec(content), Session(Settings(root=Path(root), data=voc, weights=weights)))
        begun = begin_labels.fn(run, 1)
        ref = label_set.fn(run, 1, [label_shard.fn(run, 1, begun, s) for s in range(begun.counts["shards"])])
        return label_quality(run.source, LabelSet.open(run.store.folder(ref)))


def main() -> None:
    """Label with every row's settings, print the table and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--list", default="dev", help="split file of the images")
    parser.add_argument("--choose", type=int, metavar="COUNT", help="training images on which settings are chosen")
    parser.add_argument("--seed", type=int, default=0, help="of the draw of --choose")
    parser.add_argument("--rows", nargs="*", choices=ROWS, help="only these rows")
    given = parser.parse_args()
    results = {}
    print("| setting | initial mIoU | refined mIoU |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        voc = chosen(given.data, Path(folder), given.choose, given.seed) if given.choose else given.data
        content = {"benchmark": "voc-15-5"} if not given.choose else base_classes_as_new()
        lists = {"train_list": "chosen" if given.choose else given.list, "eval_list": "dev"}
        for name in given.rows or ROWS:
            foundation = ROWS[name]
            found = quality(
                merge(content, {"preset": "small", "data": lists, "foundation": foundation}), voc, given.weights
            )
            results[name] = found
            print(
                f"| {name} | " + " | ".join(f"{100 * (of['mean'] or 0):.1f}" for of in found.values()) + " |",
                flush=True,
            )
    last_line("photographs", {"chosen": given.choose, "seed": given.seed, "list": given.list, "results": results})


if __name__ == "__main__":
    main()
