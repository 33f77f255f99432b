"""Small trainings of every kind that are the same on one process and on several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import wilss._torchvision

import pytest
import timm
import torch
import torch.distributed as dist
from torch import nn

import wilss.nets.scenes_vit  # noqa: F401  (registers vit_scenes)
from tests.wilss.test_methods import Ones, bank, segmenter
from tests.wilss.tiny_heads import WEIGHTS, spec_of
from wilss import precision
from wilss.data.images import TaggedImages
from wilss.data.scenes.source import ScenesSource
from wilss.data.spec import AugmentSpec, World
from wilss.data.steps import StepLists
from wilss.fewshot.build import build_stage1
from wilss.fewshot.episodes.batches import Augmented, EpisodeImages
from wilss.fewshot.episodes.spec import EpisodeAugmentSpec
from wilss.fewshot.sections import PspTrainSpec
from wilss.fewshot.stage1 import train_stage1
from wilss.foundation.clip_towers import new_scenes_clip
from wilss.foundation.pretrain.clip import ClipTraining, Phase, train_clip
from wilss.foundation.pretrain.dino import DinoTraining, train_dino
from wilss.foundation.pretrain.pairs import EASY_WORLD, SCENES_WORLD, draw_pairs
from wilss.learn.base import train_base
from wilss.learn.incremental import StepData, train_step
from wilss.learn.loop import Watch
from wilss.learn.methods.spec import FmwissSpec, WilsonSpec
from wilss.learn.spec import BaseTrainSpec, MethodSettings, TrainSpec
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
    spec, watch = BaseTrainSpec.model_validate({**SGD, **changes}), Watch("base", None, state)
    data = replace(lists(), buffer=buffer).base(32, "ignore")
    return train_base(model, data, spec, AugmentSpec(crop=32), 0, watch), model


def held_out() -> Trained:
    model = segmenter()
    spec = BaseTrainSpec.model_validate({**SGD, "held_out": 0.3, "patience": 1, "epochs": 4})
    learnt, scored = lists().base_parts(32, "ignore", spec.held_out, 0)
    return train_base(model, learnt, spec, AugmentSpec(crop=32), 0, held_out=scored), model


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


def told(training: Callable[[Callable[[int, int, float], None]], nn.Module]) -> Trained:
    """A pretraining of a few steps, in full precision; its losses are its history."""
    history: History = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(precision, "has_bf16", lambda device: False)
        return history, training(lambda step, steps, loss: history.append({"loss": loss}))


def clip(progress: Callable[[int, int, float], None], state: Path | None = None) -> nn.Module:
    """Both worlds, and both strides of the trunk."""
    phases = tuple(
        Phase(pairs=pairs, steps=2, image_size=48, output_stride=stride)
        for pairs, stride in (("easy", 16), ("scenes", 8))
    )
    spec = ClipTraining(phases=phases, batch_size=7, n_easy=14, n_scenes=14, learning_rate=1e-4, save_every=2)
    torch.manual_seed(0)
    model: nn.Module = new_scenes_clip()
    pools = {"easy": draw_pairs(EASY_WORLD, 14), "scenes": draw_pairs(SCENES_WORLD, 14)}
    train_clip(model, pools, spec, state, progress)
    return model


def dino(progress: Callable[[int, int, float], None]) -> nn.Module:
    spec = DinoTraining(steps=4, batch_size=5, n_local=1, prototypes=16, learning_rate=1e-4)
    torch.manual_seed(0)
    vit = timm.create_model("vit_scenes", depth=1, pretrained=False)
    train_dino(vit, draw_pairs(SCENES_WORLD, 15).images, spec, None, progress)
    return vit


TRAININGS: dict[str, Callable[[], Trained]] = {
    "base": base,
    "base, few": lambda: base(batch_size=2, epochs=1, lr_backbone=1e-4, lr_head=1e-4),
    "base, accumulated": lambda: base(accumulate=6, epochs=1, lr_backbone=1e-4, lr_head=1e-4),
    "base, buffered": lambda: base(buffer=7),
    "base, held out": held_out,
    "base, svf": lambda: base(tuning="svf"),
    "fmwiss": lambda: step("fmwiss"),
    "wilson": lambda: step("wilson"),
    "finetune": lambda: step("finetune"),
    "stage 1": psp,
    "clip": lambda: told(clip),
    "dino": lambda: told(dino),
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
