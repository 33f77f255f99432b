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
from stores.models.students import load_index, normalisation
from tasks.again import Stage, ago, anew, forget_stages, standing
from tasks.fewshot_start import MARK, fewshot_backbone
from tasks.progress import say
from wilss.custom import CustomBenchmark
from wilss.data.coco.objects import CocoSource
from wilss.data.coco.source import CocoSplit, CocoToVocSource
from wilss.data.folder import FolderSource
from wilss.data.scenes.source import ScenesSource
from wilss.data.source import Source
from wilss.data.spec import DataSpec
from wilss.data.voc import VocSource
from wilss.device import resolve_device
from wilss.errors import DataNotFoundError, SpecError
from wilss.foundation.zoo import forget_models
from wilss.nets.pretrained import Weights, find_weights
from wilss.precision import require_full_fp32
from wilss.protocol import Benchmark
from wilss.spec import RunSpec, Settings

NEEDS = {
    "voc": "the VOC folder (the one that holds JPEGImages)",
    "coco": "the COCO folder (the one that holds annotations)",
    "coco-voc": "the COCO folder (the one that holds annotations)",
    "folder": "the folder that holds images/ and labels.csv",
}

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
        index = load_index(start)
        weights, spec = normalisation(index), spec.model_copy(update={"student": index.student})
    elif spec.student.weights.startswith(MARK):
        weights = fewshot_backbone(spec.student.weights, spec.student.backbone, store, wanted, spec.scenario, spec.data)
    else:
        weights = find_weights(spec.student.backbone, spec.student.weights, settings.weights)
    protocol = wanted.merged() if spec.method == "joint" else wanted
    source = open_source(wanted.family, wanted.steps[0], spec.custom, spec.data, settings)
    return Workspace(spec, settings, wanted, protocol, source, store, weights, start)


def start_folder(name: str, store: Store) -> Path:
    """Folder of a checkpoint given by its path or by (the first digits of) its digest in the store."""
    return Path(name) if Path(name).is_dir() else store.path("checkpoints", store.get("checkpoints", name).digest)


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


def require_device(name: str) -> torch.device:
    """The device of a name, set to compute in full fp32. Raises SpecError unless this machine has it."""
    device = resolve_device(name)
    require_full_fp32()
    return device


@lru_cache(maxsize=2)
def open_source(
    family: str, base: tuple[int, ...], custom: CustomBenchmark | None, data: DataSpec, settings: Settings
) -> Source:
    """Open a data set; runs that differ in other things share it, with its lists, annotations and decoded files."""
    if settings.labels_csv and family not in ("voc", "coco-voc"):
        raise SpecError(
            f"'{settings.labels_csv}' would be ignored: only VOC's image-level labels can come from a file of their "
            "own (those of a folder of yours stand in its labels.csv); leave out --labels-csv"
        )
    if family == "scenes":
        return ScenesSource(data.world, data.n_train, data.n_eval)
    name = custom.name if custom else family
    if settings.data is None:
        raise DataNotFoundError(f"{name} needs photographs: give {NEEDS[family]} with --data DIR")
    if family == "folder":
        assert custom is not None
        return FolderSource(settings.data, custom.classes, base, custom.ignore, settings.skip_unreadable)
    if family == "voc":
        return _voc(data, settings, settings.data)
    if family == "coco":
        return CocoSource(*_coco(data, settings, settings.data))
    if settings.voc is None:
        raise DataNotFoundError(f"{name} also needs {NEEDS['voc']} with --voc DIR")
    return CocoToVocSource(*_coco(data, settings, settings.data), _voc(data, settings, settings.voc))


def _coco(data: DataSpec, settings: Settings, root: Path) -> tuple[CocoSplit, CocoSplit]:
    train, evaluation = (
        CocoSplit(root, split, settings.skip_unreadable) for split in (data.coco_train, data.coco_eval)
    )
    return (evaluation if train == evaluation else train), evaluation  # one annotation file is read once


def _voc(data: DataSpec, settings: Settings, root: Path) -> VocSource:
    return VocSource(root, data.train_list, data.eval_list, settings.labels_csv, settings.skip_unreadable)
