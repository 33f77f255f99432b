"""What every task needs of a run: its data set, protocol and store, opened once per process."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch
from prefect import task
from prefect.cache_policies import NO_CACHE

from stores.artefacts import Store
from stores.checkpoints import load_index, normalisation
from wilss.data.coco import CocoSplit, CocoToVocSource
from wilss.data.folder import FolderSource
from wilss.data.scenes_source import ScenesSource
from wilss.data.source import Source
from wilss.data.voc import VocSource
from wilss.errors import DataNotFoundError, SpecError
from wilss.nets.pretrained import Weights, find_weights
from wilss.protocol import Benchmark
from wilss.spec import RunSpec, Settings

NEEDS = {
    "voc": "the VOC folder (the one that holds JPEGImages)",
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
        return torch.device(self.settings.device)

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
    else:
        weights = find_weights(spec.student.backbone, spec.student.weights, settings.weights)
    protocol = wanted.merged() if spec.method == "joint" else wanted
    return Workspace(spec, settings, wanted, protocol, _source(spec, settings, wanted), store, weights, start)


def start_folder(name: str, store: Store) -> Path:
    """Folder of a checkpoint given by its path or by (the first digits of) its digest in the store."""
    return Path(name) if Path(name).is_dir() else store.path("checkpoints", store.get("checkpoints", name).digest)


def require_device(name: str) -> None:
    """Raise SpecError unless this machine has the device."""
    if name != "cpu" and not (name.startswith("cuda") and torch.cuda.is_available()):
        raise SpecError(
            f"device '{name}' is not available here; use cpu" + (" or cuda" if torch.cuda.is_available() else "")
        )


def _source(spec: RunSpec, settings: Settings, protocol: Benchmark) -> Source:
    if protocol.family == "scenes":
        return ScenesSource(spec.data.world, spec.data.n_train, spec.data.n_eval)
    if settings.data is None:
        raise DataNotFoundError(f"{protocol.name} needs photographs: give {NEEDS[protocol.family]} with --data DIR")
    if protocol.family == "folder":
        custom = spec.custom
        assert custom is not None
        return FolderSource(
            settings.data,
            custom.classes,
            protocol.steps[0],
            custom.prompts,
            custom.ignore,
            settings.skip_unreadable,
        )
    if protocol.family == "voc":
        source = _voc(spec, settings, settings.data)
        words = spec.custom.prompts if spec.custom else {}
        return replace(source, words={**source.words, **words}) if words else source
    if settings.voc is None:
        raise DataNotFoundError(f"{protocol.name} also needs {NEEDS['voc']} with --voc DIR")
    parts = (CocoSplit(settings.data, name) for name in (spec.data.coco_train, spec.data.coco_eval))
    return CocoToVocSource(*parts, _voc(spec, settings, settings.voc))


def _voc(spec: RunSpec, settings: Settings, root: Path) -> VocSource:
    return VocSource(root, spec.data.train_list, spec.data.eval_list, settings.labels_csv, settings.skip_unreadable)
