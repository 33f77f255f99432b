"""Small trainings of every kind that are the same on one process and on several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from tests.wilss.test_methods import Ones, bank, segmenter
from tests.wilss.tiny_heads import WEIGHTS, spec_of
from wilss.data.images import TaggedImages
from wilss.data.scenes.source import ScenesSource
from wilss.data.spec import AugmentSpec, World
from wilss.data.steps import StepLists
from wilss.fewshot.build import build_stage1
from wilss.fewshot.episodes.batches import Augmented, EpisodeImages
from wilss.fewshot.episodes.spec import EpisodeAugmentSpec
from wilss.fewshot.sections import PspTrainSpec
from wilss.fewshot.stage1 import train_stage1
from wilss.learn.base import train_base
from wilss.learn.incremental import StepData, train_step
from wilss.learn.loop import Watch
from wilss.learn.methods.spec import FmwissSpec, WilsonSpec
from wilss.learn.spec import MethodSettings, TrainSpec
from wilss.parallel.process import Telling
from wilss.parallel.ranks import here
from wilss.protocol import benchmark
from wilss.state import History

SOURCE = ScenesSource(World(image_size=32), 48, 8)
SGD: dict[str, Any] = {"epochs": 2, "batch_size": 12, "precision": "fp32", "lr_backbone": 0.01, "lr_head": 0.01}
SETTINGS = {
    "fmwiss": FmwissSpec(teacher_channels=8, warmup_epochs=1, teacher_sure=0.2),
    "wilson": WilsonSpec(channels=8, warmup_epochs=1),
    "finetune": MethodSettings(),
}
Trained = tuple[History, nn.Module]


def lists() -> StepLists:
    return StepLists.open(SOURCE, benchmark("scenes-15-5"), "overlap")


def base(state: Path | None = None, buffer: int = 0, **changes: Any) -> Trained:
    model = segmenter()
    spec, watch = TrainSpec.model_validate({**SGD, **changes}), Watch("base", None, state)
    data = replace(lists(), buffer=buffer).base(32, "ignore")
    return train_base(model, data, spec, AugmentSpec(crop=32), 0, watch), model


def step(method: str) -> Trained:
    images = lists().tagged(1, 32)
    tagged = TaggedImages(images.images, images.tags)
    data = StepData(tagged, Ones(tagged), bank())
    spec = TrainSpec.model_validate({**SGD, "batch_size": 14, "lr_backbone": 1e-3, "lr_head": 1e-3})
    result = train_step(segmenter(), data, method, SETTINGS[method], spec, AugmentSpec(crop=32), 0)
    return result.history, nn.ModuleList([result.student, *result.method.heads()])


def psp() -> Trained:
    spec = spec_of("bam", psp={"dropout": 0.0})
    torch.manual_seed(0)
    model, generator = build_stage1(spec, WEIGHTS, 3), torch.Generator().manual_seed(0)
    ids = SOURCE.ids("train")[:15]
    data = EpisodeImages(SOURCE, ids, 32)
    draws = Augmented(data, EpisodeAugmentSpec(), 33, (1, 2, 3), (0.5, 0.5, 0.5), generator, torch.device("cpu"))
    train = PspTrainSpec.model_validate({**SGD, "epochs": 1})
    history = train_stage1(
        model, lambda positions: draws.base_classes(positions, "background"), ids, train, generator, Watch("stage 1")
    )
    return history, model


TRAININGS: dict[str, Callable[[], Trained]] = {
    "base": base,
    "base, few": lambda: base(batch_size=2, epochs=1, lr_backbone=1e-4, lr_head=1e-4),
    "base, accumulated": lambda: base(accumulate=6, epochs=1, lr_backbone=1e-4, lr_head=1e-4),
    "base, buffered": lambda: base(buffer=7),
    "base, svf": lambda: base(tuning="svf"),
    "fmwiss": lambda: step("fmwiss"),
    "wilson": lambda: step("wilson"),
    "finetune": lambda: step("finetune"),
    "stage 1": psp,
}


def trained(arguments: dict[str, Any], telling: Telling) -> Any:
    """Histories of all trainings that are named, and how far the weights of the ranks are apart; saves the weights."""
    found: dict[str, Any] = {}
    for name in arguments["names"]:
        history, model = TRAININGS[name]()
        flat = torch.cat([value.double().flatten() for value in model.state_dict().values()])
        of_first = flat.clone()
        if here().count > 1:
            dist.broadcast(of_first, 0)
        apart = here().summed((flat - of_first).abs().max())
        found[name] = [history, float(apart)]
        if here().rank == 0:
            torch.save(flat, Path(arguments["folder"], f"{name}.pt"))
    return found
