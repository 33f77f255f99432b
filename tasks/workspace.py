"""What every task needs of a run: its data set, protocol and store, opened once per process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from prefect import task
from prefect.cache_policies import NO_CACHE

from stores.artefacts import Store
from wilss.data.scenes_source import ScenesSource
from wilss.data.source import Source
from wilss.data.voc import VocSource
from wilss.errors import DataNotFoundError, SpecError
from wilss.nets.pretrained import Weights, find_weights
from wilss.protocol import Benchmark, benchmark
from wilss.spec import RunSpec, Settings

heavy_task = task(cache_policy=NO_CACHE, persist_result=False)
"""Tasks whose cache is the store: Prefect's own result cache stays off."""


@dataclass(frozen=True)
class Workspace:
    """One run's surroundings.

    protocol: the steps that are trained; for the joint upper bound one step with all classes of ``benchmark``.
    """

    spec: RunSpec
    settings: Settings
    benchmark: Benchmark
    protocol: Benchmark
    source: Source
    store: Store
    weights: Weights

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
    wanted = benchmark(spec.benchmark)
    require_device(settings.device)
    weights = find_weights(spec.student.backbone, spec.student.weights, settings.weights)
    protocol = wanted.merged() if spec.method == "joint" else wanted
    return Workspace(spec, settings, wanted, protocol, _source(spec, settings, wanted), Store(settings.root), weights)


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
        raise DataNotFoundError(
            f"{protocol.name} needs photographs: give the VOC folder (the one that holds JPEGImages) with --data DIR"
        )
    return VocSource(
        settings.data, spec.data.train_list, spec.data.eval_list, settings.labels_csv, settings.skip_unreadable
    )
