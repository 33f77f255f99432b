"""One training iteration of step 1 against the sum of what it cannot do without, measured in the same run.

    python -m tests.benchmarks.train_step [--rounds 5] [--size 321] [--batch 8] [--parts paper | plus | all] [--each]

Unavoidable: forward of the old model, forward and backward of the student, forward and backward of the teacher on given
features. The whole adds drawing, decoding from the cache, augmentation, pasting, targets, all losses, the optimiser.
``--parts`` says what is switched on beyond the paper: nothing, what fmwiss+ has, or every part there is; ``--set``
changes single settings of the method upon it. It fails where the whole takes more than 1.15 times the parts, or the
input pipeline, without pasting, is not three times faster than the step consumes. What the old model sees of the images
has been looked at before, as in a first epoch. ``--each`` instead prints, as a Markdown table, what an iteration takes
with each row of `tests.benchmarks.parts` over what it takes without; what only fills the bank is not of an iteration.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

import torch
from torch import Tensor

from tests.benchmarks import last_line
from tests.benchmarks.parts import ROWS
from wilss.data.images import ImageTable, TaggedImages
from wilss.data.spec import AugmentSpec
from wilss.learn.incremental import StepBatches, StepData
from wilss.learn.loop import Training, Watch
from wilss.learn.memory import MemoryBank
from wilss.learn.methods.contract import StepBatch, StepContext
from wilss.learn.methods.fmwiss import Fmwiss
from wilss.learn.methods.spec import FmwissSpec
from wilss.learn.seen import Seen
from wilss.learn.spec import TrainSpec
from wilss.nets.pretrained import find_weights
from wilss.nets.segmenter import Segmenter, build_segmenter
from wilss.nets.spec import StudentSpec
from wilss.precision import autocast, has_bf16
from wilss.presets import FMWISS_PLUS
from wilss.words import merge, nested

N_IMAGES, MOST, OBJECT = 32, 1.15, 183
OF_THE_BANK = ("fmwiss.memory.grows=false", "fmwiss.memory.budget=300")
"""Rows' settings that an iteration does not know: a report says how long the bank of each step takes."""


@dataclass
class Photographs:
    """Random pictures of 500 x 375, in memory: what a decoded data set is after its first epoch."""

    images: dict[str, Tensor] = field(default_factory=dict)

    def image(self, image_id: str) -> Tensor:
        if image_id not in self.images:
            gen = torch.Generator().manual_seed(int(image_id))
            self.images[image_id] = torch.randint(0, 256, (3, 375, 500), generator=gen, dtype=torch.uint8)
        return self.images[image_id]


class Blobs:
    """One square pseudo-mask an image."""

    def __init__(self, canvas: int) -> None:
        self.canvas = canvas

    def layers(self, positions: Sequence[int]) -> Tensor:
        masks = torch.zeros(len(positions), 5, self.canvas, self.canvas, dtype=torch.uint8)
        for row, position in enumerate(positions):
            masks[row, position % 5, 60:260, 80:300] = 1
        return masks


def instances(margin: float) -> MemoryBank:
    """Twenty instances of 183 px with surroundings of this share of it on each side (0.2: 256 px in all)."""
    gen, edge = torch.Generator().manual_seed(0), round(OBJECT * margin)
    side = OBJECT + 2 * edge
    images = torch.randint(0, 256, (20, 3, side, side), generator=gen, dtype=torch.uint8)
    masks = torch.zeros(20, side, side, dtype=torch.bool)
    masks[:, edge : edge + OBJECT, edge : edge + OBJECT] = True
    sizes, channels, shown = torch.full((20, 2), side), torch.arange(20) % 15 + 1, torch.ones_like(masks)
    return MemoryBank(images, masks, sizes, channels, ("x",) * 20, shown=shown)


PARTS: dict[str, dict[str, Any]] = {
    "paper": {},
    "plus": FMWISS_PLUS,
    "all": merge(
        FMWISS_PLUS,
        {
            "arbitration": "regions",
            "arbitrate_labels": True,
            "most_contradiction": 0.5,
            "teacher_average": 0.98,
            "teacher_sure": 0.2,
            "old_rows": "frozen",
            "paste": {"seen_first": True, "max_hidden": 0.5},
        },
    ),
}


def prepare(size: int, batch: int, sections: dict[str, Any]) -> tuple[Training[StepBatch], Fmwiss, StepBatches]:
    """A ResNet-50 student at step 1 of 15-5, past its warm-up, and all that feeds it.

    Args:
        sections: settings as a run has them, "student", "step" and "fmwiss"; defaults of what is not given.
    """
    torch.manual_seed(0)
    spec = StudentSpec.model_validate({"backbone": "resnet50", "weights": "none", **sections.get("student", {})})
    weights = find_weights("resnet50", "none", None)
    old = build_segmenter(spec, weights, (15,)).eval().requires_grad_(False)
    student = build_segmenter(spec, weights, (15,))
    student.load_state_dict(old.state_dict())
    student.grow(5)
    samples, draws = torch.Generator().manual_seed(1), torch.Generator().manual_seed(0)
    settings = FmwissSpec.model_validate({"warmup_epochs": 0, **sections.get("fmwiss", {})})
    train = TrainSpec.model_validate({"epochs": 1, "batch_size": batch, **sections.get("step", {})})
    method = Fmwiss(StepContext(student, old, 16, 5, settings, samples, train.tuning == "frozen"))
    table = ImageTable(Photographs(), tuple(str(i) for i in range(N_IMAGES)), 500)  # type: ignore[arg-type]
    tags = torch.eye(5, dtype=torch.bool)[torch.arange(N_IMAGES) % 5]
    data = StepData(TaggedImages(table, tags), Blobs(500), instances(settings.memory.margin))
    seen = Seen(old, table, train.precision)
    seen.canvases(range(batch))
    batches = StepBatches(data, method.paste, AugmentSpec(crop=size), draws, torch.device("cpu"), seen)
    training = Training(student, method, batches.draw, table.ids, train, (draws, samples), Watch("benchmark"))
    training._train_mode()
    return training, method, batches


def parts(student: Segmenter, method: Fmwiss, images: Tensor) -> dict[str, Callable[[], object]]:
    """The unavoidable parts, each as a call."""
    device, old = images.device, method.context.old
    with torch.no_grad(), autocast("auto", device):
        features = student.features(images)

    def old_forward() -> Tensor:
        with torch.inference_mode(), autocast("auto", device):
            return old(images)

    def student_both() -> None:
        student.zero_grad(set_to_none=True)
        with autocast("auto", device):
            loss = student(images).float().square().mean()
        loss.backward()

    def teacher_both() -> None:
        leaf = features.detach().requires_grad_(True)
        with autocast("auto", device):
            loss = method.teacher(leaf)[0].float().square().mean()
        loss.backward()

    return {"old forward": old_forward, "student both": student_both, "teacher both": teacher_both}


def in_turns(
    calls: dict[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Median seconds of each by this clock; one round before them warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            start = clock()
            call()
            if number:
                seconds[name].append(clock() - start)
    return {name: median(values) for name, values in seconds.items()}


def iteration(size: int, batch: int, sections: dict[str, Any]) -> Callable[[], object]:
    """One iteration with these settings."""
    training, _, _ = prepare(size, batch, sections)
    return lambda: update(training, batch)


def update(training: Training[StepBatch], batch: int) -> None:
    """Learn from the first images."""
    positions = list(range(batch))
    training._update(positions, 0, iter([training.draw(positions)]))


def costs(
    rounds: int, size: int, batch: int, which: dict[str, Any], rows: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Median seconds of computing of an iteration without and with each row's change upon these, and their ratio.

    Of computing: what else the machine does would strike differences of a few hundredths.
    """
    without, found = iteration(size, batch, which), {}
    print("| | an iteration | over the one without |\n|---|---:|---:|", flush=True)
    for row in rows:
        changes = ROWS[row]
        if set(changes) & set(OF_THE_BANK):
            continue
        changed = iteration(size, batch, merge(which, nested(changes)))
        took = in_turns({"without": without, "with": changed}, rounds, time.process_time)
        found[row] = {**took, "ratio": took["with"] / took["without"]}
        print(f"| {row}: `{' '.join(changes)}` | {took['with']:.2f} s | {found[row]['ratio']:.2f} |", flush=True)
    return found


def measure(rounds: int, size: int, batch: int, which: dict[str, Any]) -> dict[str, float | str]:
    """Median seconds of every part and of the whole, taken in turn."""
    training, method, batches = prepare(size, batch, which)
    bare, positions = replace(batches, paste=None), list(range(batch))
    found = in_turns(
        {
            "whole step": lambda: update(training, batch),
            **parts(training.student, method, batches.draw(positions).images),
            "input pipeline": lambda: bare.draw(positions),
        },
        rounds,
    )
    unavoidable = sum(value for name, value in found.items() if name not in ("whole step", "input pipeline"))
    return {
        **found,
        "whole / unavoidable": found["whole step"] / unavoidable,
        "step / input pipeline": found["whole step"] / found["input pipeline"],
        "precision": "bf16" if has_bf16(torch.device("cpu")) else "fp32",
    }


def main() -> None:
    """Print the numbers as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=321)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--parts", choices=PARTS, default="paper")
    parser.add_argument("--set", action="append", default=[], help="of the method, such as paste.seen_first=true")
    each = "what each other part costs upon these, or each of these rows"
    parser.add_argument("--each", nargs="*", choices=ROWS, default=None, metavar="ROW", help=each)
    options = parser.parse_args()
    which = {"fmwiss": merge(PARTS[options.parts], nested(options.set))}
    if options.each is not None:
        rows = options.each or list(ROWS)
        return last_line("train_step", costs(options.rounds, options.size, options.batch, which, rows))
    found = measure(options.rounds, options.size, options.batch, which)
    last_line("train_step", found)
    if float(found["whole / unavoidable"]) > MOST or float(found["step / input pipeline"]) < 3:
        sys.exit(1)


if __name__ == "__main__":
    main()
