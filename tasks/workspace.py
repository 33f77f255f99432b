"""What every task needs of a run: its data set, protocol and store, opened once per process."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from prefect import task
from prefect.cache_policies import NO_CACHE

from stores.artefacts import ArtefactRef, Manifest, Recipe, Store
from stores.models.card import StudentCard, load_card
from stores.models.files import no_weights, start_folder
from stores.models.start import MARK, fewshot_backbone
from stores.progress import say
from tasks.again import Stage, ago, anew, forget_stages, standing
from wilss.custom import CustomBenchmark
from wilss.data import opening
from wilss.data.source import Source
from wilss.data.spec import DataSpec
from wilss.device import require_device, resolve_device
from wilss.foundation.zoo import forget_models
from wilss.nets.pretrained import Weights, find_weights
from wilss.protocol import Benchmark
from wilss.spec import RunSpec, Settings

heavy_task = task(cache_policy=NO_CACHE, persist_result=False)
"""Tasks whose cache is the store: Prefect's own result cache stays off."""


@dataclass(frozen=True)
class Workspace:
    """One run's surroundings.

    protocol: the steps that are trained; for the joint upper bound one step with all classes of ``benchmark``.
    start: checkpoint that is taken for step 0; its network replaces ``spec.student``.
    """

    spec: RunSpec
    settings: Settings
    benchmark: Benchmark
    protocol: Benchmark
    source: Source
    store: Store
    weights: Weights
    start: Path | None

    @property
    def device(self) -> torch.device:
        """Where networks run."""
        return resolve_device(self.settings.device)

    @property
    def prompts(self) -> dict[str, tuple[str, ...]]:
        """The ontology: the data's, with what the benchmark's file says instead."""
        return {**self.source.prompts, **(self.spec.custom.prompts if self.spec.custom else {})}

    def class_names(self, step: int) -> tuple[str, ...]:
        """Names of the classes known after a step, in channel order."""
        return tuple(self.source.classes[c - 1] for c in self.protocol.seen(step))


@lru_cache(maxsize=2)
def open_workspace(spec: RunSpec, settings: Settings) -> Workspace:
    """Open data and store of a run; cheap when it is open already.

    Raises DataNotFoundError, DataError, SpecError or WeightsNotFoundError before anything is computed.
    """
    wanted, store = spec.protocol, Store(settings.root)
    require_device(settings.device)
    start = start_folder(spec.start, store) if spec.start else None
    if start:
        card = load_card(start, StudentCard)
        weights = no_weights(card.architecture.backbone, card.input)
        spec = spec.model_copy(update={"student": card.architecture})
    elif spec.student.weights.startswith(MARK):
        weights = fewshot_backbone(spec.student.weights, spec.student.backbone, store, wanted, spec.scenario, spec.data)
    else:
        weights = find_weights(spec.student.backbone, spec.student.weights, settings.weights)
    protocol = wanted.merged() if spec.method == "joint" else wanted
    source = open_source(wanted.family, wanted.steps[0], spec.custom, spec.data, settings)
    return Workspace(spec, settings, wanted, protocol, source, store, weights, start)


_CHECKED: list[Source] = []
"""Data that were looked over since the flow began; runs of a comparison share them."""


def check_once(source: Source) -> None:
    """Look over data unless that was done in this flow, and say what is left out. Raises what `Source.check` does."""
    if not any(source is checked for checked in _CHECKED):
        source.check()
        if source.skipped:
            say(f"left out {source.skipped} unreadable images")
        _CHECKED.append(source)


def forget_data() -> None:
    """Open data and weights anew from now on: a flow in a long-lived process must see what lies there today."""
    forget_models()
    forget_stages()
    open_workspace.cache_clear()
    open_source.cache_clear()
    _CHECKED.clear()


@contextmanager
def build_in_turn(store: Store, recipe: Recipe) -> Iterator[Path]:
    """`Store.build` that waits for another process, and says so; look for the artefact again inside."""

    def say_so() -> None:
        say(f"another process is building {recipe.kind} {recipe.digest[:12]}; waiting for it")

    with store.build(recipe, say_so, anew(recipe)) as folder:
        yield folder


def build_once(
    store: Store, recipe: Recipe, make: Callable[[Path], Manifest], stage: Stage, again: Collection[str] = ()
) -> ArtefactRef:
    """The artefact of a recipe: found in the store, made by another process while this one waits, or made here.

    Args:
        make: fills the staging folder that it is given, and publishes it.
        again: stages that are made anew, once a flow; see `tasks.again`.
    """
    if found := standing(store, recipe, stage, again):
        say(f"{stage.title}: found, made {ago(found.created)}")
        return found.ref
    with build_in_turn(store, recipe) as folder:
        return (standing(store, recipe, stage, again) or make(folder)).ref


@lru_cache(maxsize=2)
def open_source(
    family: str, base: tuple[int, ...], custom: CustomBenchmark | None, data: DataSpec, settings: Settings
) -> Source:
    """Open a data set; runs that differ in other things share it, with its lists, annotations and decoded files."""
    return opening.open_source(family, data, settings, base, custom)
