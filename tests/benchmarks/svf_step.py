"""A training step that tunes singular values against one that tunes the same layers' weights, measured in one run.

    python -m tests.benchmarks.svf_step [--rounds 3] [--size 473] [--batch 4]

ResNet-50, layers 2 to 4, everything before them frozen, BatchNorm fixed, SGD with momentum. Bars: the composed form
takes at most 1.10 of the time and 1.15 of the peak memory; folded it is the plain network again, module by module. The
factored form of the released code is measured beside it (expected: forward about 1.66 on a CPU).

Peak memory is that of a process of its own for every form, above what the process has before inputs and network.
"""

from __future__ import annotations

import argparse
import copy
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn

from tests.benchmarks import last_line
from tests.wilss.factored import FactoredConv2d
from wilss.fewshot.pyramid import PyramidBackbone
from wilss.nets.batchnorm import freeze_batchnorm
from wilss.nets.pretrained import find_weights
from wilss.nets.svf import apply_svf, fold

FORMS = ("weights", "composed", "factored")


def network(form: str) -> PyramidBackbone:
    """The backbone with what the form trains; all forms start from the same weights."""
    torch.manual_seed(0)
    model = PyramidBackbone(find_weights("resnet50", "none", None))
    model.requires_grad_(False)
    names = model.stage_names(3)
    if form == "composed":
        apply_svf(model, names)
    for name in names:
        stage = model.get_submodule(name)
        if form == "weights":
            stage.requires_grad_(True)
        elif form == "factored":
            _factor(stage)
    freeze_batchnorm(model)
    return model.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _factor(stage: nn.Module) -> None:
    for name, layer in list(stage.named_modules()):
        if isinstance(layer, nn.Conv2d):
            parent, _, child = name.rpartition(".")
            setattr(stage.get_submodule(parent), child, FactoredConv2d(layer))


def step_of(form: str, images: Tensor) -> Callable[[], None]:
    """One whole iteration: forward, backward, optimiser."""
    model = network(form)
    trained = [p for p in model.parameters() if p.requires_grad]
    rule = torch.optim.SGD(trained, 1e-3, momentum=0.9)

    def run() -> None:
        rule.zero_grad(set_to_none=True)
        model(images).c5.square().mean().backward()
        rule.step()

    return run


def seconds(run: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def in_turn(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each; they take turns, so that a busy moment hits all alike."""
    for run in runs.values():
        run()
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            found[name].append(seconds(run))
    return {name: median(values) for name, values in found.items()}


def peak(form: str, size: int, batch: int) -> int:
    """Largest resident memory of two steps in this process, bytes above what it has before inputs and network."""
    before = _peak_resident()
    run = step_of(form, pictures(size, batch))
    run()
    run()
    return _peak_resident() - before


def _peak_resident() -> int:
    """Largest resident memory of this process so far, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def same_graph(plain: nn.Module, folded: nn.Module) -> bool:
    """Whether both are the same modules with parameters of the same shapes."""
    kinds = [[(name, type(m).__name__) for name, m in model.named_modules()] for model in (plain, folded)]
    shapes = [[(name, p.shape) for name, p in model.named_parameters()] for model in (plain, folded)]
    return kinds[0] == kinds[1] and shapes[0] == shapes[1]


def measure(rounds: int, size: int, batch: int) -> dict[str, object]:
    """Everything as plain data."""
    # first, while this process is small: a child counts the memory that its parent had when it was started
    command = [sys.executable, "-m", "tests.benchmarks.svf_step", "--size", str(size), "--batch", str(batch), "--peak"]
    peaks = {form: int(subprocess.check_output([*command, form])) for form in FORMS}
    images = pictures(size, batch)
    steps = in_turn({form: step_of(form, images) for form in FORMS}, rounds)
    models = {form: network(form).eval() for form in FORMS}
    plain = copy.deepcopy(models["weights"])
    models["folded"] = network("composed").eval()
    fold(models["folded"])
    with torch.inference_mode():
        first = images[:1]
        forwards = in_turn({name: (lambda m=model: m(first)) for name, model in models.items()}, rounds)  # type: ignore[misc]
        wanted, found = plain(first).c5, models["folded"](first).c5
    return {
        "step_seconds": steps,
        "step_ratio": steps["composed"] / steps["weights"],
        "factored_step_ratio": steps["factored"] / steps["weights"],
        "peak_bytes": peaks,
        "peak_ratio": peaks["composed"] / peaks["weights"],
        "factored_peak_ratio": peaks["factored"] / peaks["weights"],
        "forward_seconds": forwards,
        "factored_forward_ratio": forwards["factored"] / forwards["weights"],
        "folded_is_the_same_graph": same_graph(plain, models["folded"]),
        "folded_relative_difference": float((found - wanted).norm() / wanted.norm()),
        "threads": torch.get_num_threads(),
    }


def pictures(size: int, batch: int) -> Tensor:
    """Random images in [0, 1], channels last."""
    images = torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(0))
    return images.contiguous(memory_format=torch.channels_last)


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=473)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--peak", choices=FORMS, help="print the peak memory of one form and nothing else")
    given = parser.parse_args()
    if given.peak:
        print(peak(given.peak, given.size, given.batch))
    else:
        last_line("svf_step", measure(given.rounds, given.size, given.batch))


if __name__ == "__main__":
    main()
