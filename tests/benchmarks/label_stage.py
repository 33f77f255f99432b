"""What a labelled image costs beside two bare forward passes: ``python -m tests.benchmarks.label_stage``.

ViT-B/16 CLIP and ViT-B/16 DINO with random weights of the real sizes, the same images and threads, one run.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import open_clip
import timm
import torch

from wilss.foundation.attention import AttentionGrouper
from wilss.foundation.clip import ClipScorer
from wilss.foundation.cosegment import cosegment
from wilss.foundation.spec import CosegmentSpec

HALF = (0.5, 0.5, 0.5)


def best_of(work: Callable[[], object], repeats: int) -> float:
    """Shortest time of a few runs, after one to warm up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Measure, print a table and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=448)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    clip = open_clip.create_model("ViT-B-16", force_image_size=options.size).eval()
    vit = timm.create_model("vit_base_patch16_224.dino", dynamic_img_size=True, num_classes=0).eval()
    scorer = ClipScorer(clip, open_clip.get_tokenizer("ViT-B-16"), "random", HALF, HALF, 16)
    grouper = AttentionGrouper(vit, "random", HALF, HALF)
    images = torch.rand(options.batch, 3, options.size, options.size)
    prompts, others = [[f"thing {k}"] for k in range(5)], [[f"other {k}"] for k in range(15)]
    tags = torch.rand(options.batch, 5) < 0.3
    generator = torch.Generator().manual_seed(0)

    @torch.inference_mode()
    def bare() -> None:
        clip.visual(images)
        vit.forward_features(images)

    def labelled() -> None:
        cosegment(images, tags, prompts, others, scorer, grouper, CosegmentSpec(), generator)

    reference, measured = best_of(bare, options.repeats), best_of(labelled, options.repeats)
    per_image = [1000 * seconds / options.batch for seconds in (reference, measured)]
    print(f"two bare forwards   {per_image[0]:8.1f} ms an image")
    print(f"labelled            {per_image[1]:8.1f} ms an image")
    facts = {"size": options.size, "batch": options.batch, "threads": torch.get_num_threads()}
    result = {"name": "label_stage", "ratio": measured / reference, "reference": "CLIP + DINO forward, features only"}
    print(json.dumps({**result, "reference_ms": per_image[0], "measured_ms": per_image[1], **facts}))


if __name__ == "__main__":
    main()
