"""What the service can run: one line a deployment, each the flow of a module that the wheel holds.

Prefect is loaded by `deploy` alone.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flows.api import Api
from wilss.errors import ServerRefusedError

if TYPE_CHECKING:
    from prefect import Flow

RETRIES = 2
"""How often a run whose process was lost is taken up again."""
RETRIES_TAG = "retries:"
"""Beginning of the tag of a deployment that says how often; runs have the tags of their deployment."""
DEFAULT = "default"
"""Name of the deployments that the service brings along."""


@dataclass(frozen=True)
class Deployed:
    """A deployment.

    kind: the flow's name; with ``name`` it is the deployment's, KIND/NAME. entrypoint: of the flow, as
    "module.function". parameters: that a run has where nothing else is given. limit: runs of it at one time, over all
    pools. collision: what becomes of one more: ENQUEUE lets it wait, CANCEL_NEW drops it, as fits a schedule that comes
    round again. retries: how often a run whose process was lost is taken up again.
    """

    kind: str
    entrypoint: str
    description: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    name: str = DEFAULT
    limit: int | None = None
    collision: str = "ENQUEUE"
    retries: int = RETRIES
    tags: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """As commands name it."""
        return f"{self.kind}/{self.name}"


CLOSED = {"additionalProperties": False}
SCENES = {"benchmark": "scenes-15-5"}

DEPLOYMENTS: tuple[Deployed, ...] = (
    Deployed(
        "benchmark",
        "flows.benchmark.run_benchmark",
        "Every step of a benchmark, from the base student to the report; what is there already is found.",
        {"spec": SCENES},
        limit=1,
    ),
    Deployed(
        "benchmark",
        "flows.benchmark.run_benchmark",
        "The same for schedules: a run that is due while another one is at work is left out.",
        {"spec": SCENES},
        name="nightly",
        limit=1,
        collision="CANCEL_NEW",
    ),
    Deployed(
        "step",
        "flows.benchmark.run_step",
        "One step of a benchmark, built upon those before it, which have to be there.",
        {"spec": SCENES, "step": 1},
        limit=1,
    ),
    Deployed("base", "flows.base.run_base", "The base student, its memory bank and its scores.", {"spec": SCENES}),
    Deployed(
        "relabel",
        "flows.relabel.run_relabel",
        "The label set of one step, without training.",
        {"spec": SCENES, "step": 1},
        limit=1,
    ),
    Deployed(
        "evaluate",
        "flows.evaluate.run_evaluation",
        "A stored model scored on the images of a benchmark.",
        {"model": "champion", "spec": SCENES},
    ),
    Deployed(
        "compare",
        "flows.compare.run_comparison",
        "Methods and seeds on one benchmark, one table in the end.",
        {"grid": {"run": SCENES}},
    ),
    Deployed(
        "few-shot",
        "flows.fewshot.run_fewshot",
        "One few-shot head, trained and scored on frozen episodes, with a report.",
        {"spec": {"benchmark": "scenes-5i", "fold": 3, "head": "aspp"}},
    ),
    Deployed(
        "few-shot-compare",
        "flows.fewshot.run_fewshot_comparison",
        "Few-shot heads, tunings, folds and seeds on the same episodes, one table in the end.",
        {"grid": {"run": {"benchmark": "scenes-5i"}}},
    ),
    Deployed(
        "promote",
        "flows.promote.run_promotion",
        "An alias moved to a model that was loaded and has predicted once.",
        {"model": "challenger", "alias": "champion", "why": "by hand"},
        limit=1,
    ),
    Deployed("gc", "flows.gc.run_gc", "What nobody needs, listed or deleted.", {"delete": False}, limit=1),
    Deployed(
        "retrain",
        "flows.retrain.run_retraining",
        "Labels, training, evaluation on the guard set, the gate, an approval if asked for, and the alias.",
        {"spec": {"run": SCENES}},
        limit=1,
    ),
    Deployed(
        "retrain",
        "flows.retrain.run_retraining",
        "The same for schedules: a run that is due while another one is at work is left out.",
        {"spec": {"run": SCENES}},
        name="nightly",
        limit=1,
        collision="CANCEL_NEW",
    ),
)


def deploy(entries: Iterable[Deployed], pool: str, api: Api) -> list[str]:
    """Register deployments at a server, and returns their names; those that stand as they are told are not touched.

    Schedules, which people add, and whether a deployment is paused stay as they are.

    Args:
        pool: of workers that take the runs; it has to exist.

    Raises ServerNotFoundError for a server that does not answer, ServerRefusedError for one that refuses.
    """
    names = []
    for entry in entries:
        _register(api, flow_of(entry), entry, pool)
        names.append(entry.full_name)
    return names


def retries_of(tags: Iterable[str]) -> int:
    """How often a run may be taken up again, as the tags of its deployment say, which it has too."""
    told = [tag.removeprefix(RETRIES_TAG) for tag in tags if tag.startswith(RETRIES_TAG)]
    return int(told[0]) if told and told[0].isdigit() else RETRIES


def flow_of(entry: Deployed) -> Flow[..., Any]:
    """The flow of an entry."""
    module, _, name = entry.entrypoint.rpartition(".")
    found: Flow[..., Any] = getattr(importlib.import_module(module), name)
    return found


def told_of(flow: Flow[..., Any], entry: Deployed, pool: str) -> dict[str, Any]:
    """A deployment as the server holds it."""
    from prefect.utilities.callables import parameter_schema

    return {
        "entrypoint": entry.entrypoint,
        "description": entry.description,
        "parameters": dict(entry.parameters),
        # a parameter that the flow does not have is refused too
        "parameter_openapi_schema": {**parameter_schema(flow).model_dump(exclude_unset=True), **CLOSED},
        "enforce_parameter_schema": True,
        "tags": [*entry.tags, f"{RETRIES_TAG}{entry.retries}"],
        "work_pool_name": pool,
        "concurrency_options": {"collision_strategy": entry.collision} if entry.limit else None,
    }


def _register(api: Api, flow: Flow[..., Any], entry: Deployed, pool: str) -> None:
    told = told_of(flow, entry, pool)
    found = api.found(f"/deployments/name/{entry.full_name}")
    try:
        if found is None:
            body = {**told, "flow_id": api.post("/flows/", {"name": flow.name})["id"], "name": entry.name}
            api.post("/deployments/", {**body, "concurrency_limit": entry.limit})
            return
        held = (found.get("global_concurrency_limit") or {}).get("limit")
        changed = {key: value for key, value in told.items() if _plain(found.get(key)) != _plain(value)}
        if held != entry.limit:
            changed["concurrency_limit"] = entry.limit
        if changed:
            api.patch(f"/deployments/{found['id']}", changed)
    except ServerRefusedError as error:
        raise ServerRefusedError(f"{entry.full_name} cannot be registered: {error}", error.status) from error


def _plain(value: Any) -> Any:
    """A value for comparing: what is empty or None in an answer was not told."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items() if inner is not None}
    return value
