"""What a labelled image costs beside two bare forward passes: ``python -m tests.benchmarks.label_stage``.

ViT-B/16 CLIP and ViT-B/16 DINO with random weights of the real sizes, the same images, precision and threads, one run.
Peak memory is that of a process of its own for each of the two. ``--small`` instead sends scenes of the built-in world
through the whole label stage of the demo, store included. ``--blocks value sclip ...`` measures what CLIP's last
block may do, one after the other, ``--window`` what it costs that CLIP sees the images in windows that overlap by half.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, get_args

import open_clip
import timm
import torch

from tests.benchmarks import last_line
from wilss.foundation.attention import AttentionGrouper
from wilss.foundation.clip import TEMPLATES, ClipScorer
from wilss.foundation.cosegment import cosegment
from wilss.foundation.seeds import seed_noise
from wilss.foundation.spec import Block, CosegmentSpec
from wilss.foundation.windows import require_windows

HALF = (0.5, 0.5, 0.5)
N_NEW, N_OLD, PATCH = 5, 15, 16


class Took(NamedTuple):
    """Seconds by the clock, and of computing, which other work on the machine does not change much."""

    clock: float
    computing: float


def best_of_each(works: Sequence[Callable[[], object]], repeats: int) -> list[Took]:
    """Shortest times of each, in turns, so that what else the machine does strikes all; after one turn to warm up."""
    turns = [[_timed(work) for work in works] for _ in range(repeats + 1)][1:]
    return [Took(min(took.clock for took in of), min(took.computing for took in of)) for of in zip(*turns, strict=True)]


def _timed(work: Callable[[], object]) -> Took:
    clock, computing = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - clock, time.process_time() - computing)


def prepare(
    size: int, batch: int, block: Block = "auto", window: int | None = None
) -> tuple[Callable[[], object], Callable[[], object]]:
    """The bare forward passes and the labelling with a block, on the same models and images."""
    torch.manual_seed(0)
    clip = open_clip.create_model("ViT-B-16", force_image_size=size).eval()
    vit = timm.create_model("vit_base_patch16_224.dino", dynamic_img_size=True, num_classes=0).eval()
    tokenizer = open_clip.get_tokenizer("ViT-B-16")
    grouper = AttentionGrouper(vit, "random", HALF, HALF)
    how = {"templates": TEMPLATES["simple"], "block": block, "proxy": grouper.features}
    seen = require_windows(window, None, PATCH)
    scorer = ClipScorer(clip, tokenizer, "random", HALF, HALF, PATCH, window=seen, **how)
    images = torch.rand(batch, 3, size, size)
    prompts, others = [[f"thing {k}"] for k in range(N_NEW)], [[f"other {k}"] for k in range(N_OLD)]
    tags = torch.rand(batch, N_NEW) < 0.3
    spec = CosegmentSpec()
    noise = seed_noise([str(k) for k in range(batch)], N_NEW, spec.n_seeds, 0)

    @torch.inference_mode()
    def bare() -> None:
        clip.visual(images)
        vit.forward_features(images)

    def labelled() -> None:
        cosegment(images, tags, prompts, others, scorer, grouper, spec, noise)

    return bare, labelled


def peak_bytes(which: str, size: int, batch: int, block: Block, window: int | None) -> int:
    """Peak resident memory of a process that only runs one of the two."""
    code = (
        "import sys, resource\n"
        "from tests.benchmarks.label_stage import prepare\n"
        f"work = prepare({size}, {batch}, {block!r}, {window})[{('bare', 'labelled').index(which)}]\n"
        "work()\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


def measure_real(
    size: int, batch: int, repeats: int, block: Block = "auto", memory_too: bool = True, window: int | None = None
) -> dict[str, object]:
    """Time and memory of labelling over those of the bare forward passes."""
    bare, labelled = prepare(size, batch, block, window)
    reference, measured = best_of_each((bare, labelled), repeats)
    del bare, labelled
    measured_of = ("bare", "labelled") if memory_too else ()
    memory = {which: peak_bytes(which, size, batch, block, window) for which in measured_of}
    for name, took in (("two bare forwards", reference), (f"labelled, {block}", measured)):
        each = [1000 * seconds / batch for seconds in took]
        print(f"{name:<20} {each[0]:8.1f} ms an image, {each[1]:8.1f} of computing", flush=True)
    for name, peak in memory.items():
        print(f"peak memory, {name:<9} {peak / 2**30:6.2f} GiB")
    return {
        "block": block,
        "window": window,
        "ratio": measured.clock / reference.clock,
        "computing_ratio": measured.computing / reference.computing,
        "reference": "CLIP + DINO forward, features only",
        **({"memory_ratio": memory["labelled"] / memory["bare"]} if memory else {}),
        "reference_ms": 1000 * reference.clock / batch,
        "measured_ms": 1000 * measured.clock / batch,
        "size": size,
        "batch": batch,
    }


def measure_small(count: int) -> dict[str, object]:
    """Scenes a second through planning, labelling, writing and publishing of the demo's label set."""
    from stores.plans.run import Run
    from stores.plans.session import Session
    from tasks.labels import begin_labels, label_set, label_shard
    from wilss.settings import Settings
    from wilss.spec import make_spec

    spec = make_spec({"benchmark": "scenes-15-5", "data": {"n_train": count}})
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(root=Path(folder))
        run = Run(spec, Session(settings))
        assert run.plan  # loads the models
        n_images = len(run.lists.ids(1))
        start = time.perf_counter()
        begun = begin_labels.fn(run, 1)
        label_set.fn(run, 1, [label_shard.fn(run, 1, begun, shard) for shard in range(begun.counts["shards"])])
        seconds = time.perf_counter() - start
    print(f"{n_images} scenes labelled and stored in {seconds:.1f} s: {n_images / seconds:.1f} a second")
    return {"scenes": n_images, "seconds": seconds, "scenes_per_second": n_images / seconds}


def main() -> None:
    """Measure, print a table and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=448)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--blocks", nargs="+", choices=get_args(Block), default=["auto"])
    parser.add_argument("--window", type=int, default=None, help="side in px, a multiple of 16; none when left out")
    parser.add_argument("--time-only", action="store_true", help="no processes that measure memory")
    parser.add_argument("--small", action="store_true", help="the built-in world through the whole stage")
    parser.add_argument("--count", type=int, default=1600, help="training scenes of --small")
    options = parser.parse_args()
    if options.small:
        results = [measure_small(options.count)]
    else:
        facts = options.size, options.batch, options.repeats
        how = not options.time_only, options.window
        results = [measure_real(*facts, block, *how) for block in options.blocks]
    for result in results:
        last_line("label_stage", {**result, "threads": torch.get_num_threads()})


if __name__ == "__main__":
    main()
