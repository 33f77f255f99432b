"""Deployments of a benchmark and a folder of one's own, and the events that start them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deployments.catalogue import DEFAULT, DEPLOYMENTS, Deployed
from flows.api import Api
from flows.events import IMAGES_SETTLED, REVIEW_FINISHED, folder_resource, labels_resource
from wilss.section import flat, in_words

FITTING = ("benchmark", "base", "step", "relabel", "evaluate", "compare", "retrain")
"""Kinds that one's own folder can be deployed for; few-shot runs have benchmarks of their own."""
AFTER = 2.0
"""Seconds between two runs of one event, so that the first is taken first."""
STEP_OF_EVENT = {
    "__prefect_kind": "json",
    "value": {"__prefect_kind": "jinja", "template": "{{ event.payload.step | tojson }}"},
}
"""The step that a review was of. Without both kinds Prefect makes a text of the number, which a flow refuses."""


@dataclass(frozen=True)
class Own:
    """One's own benchmark and folder.

    name: of its deployments, and of the watch of its folder. spec: of a run. settings: of the machine. step: that
    photographs come for. retrain: whether events start a retraining, in place of a step.
    """

    name: str
    benchmark: str
    spec: Mapping[str, Any]
    settings: Mapping[str, Any]
    step: int
    retrain: bool = False

    def entries(self) -> list[Deployed]:
        """One deployment for every kind that fits and that the package has."""
        known = {entry.kind: entry for entry in DEPLOYMENTS if entry.name == DEFAULT}
        return [self._entry(known[kind]) for kind in FITTING if kind in known]

    def _entry(self, entry: Deployed) -> Deployed:
        said = f"{entry.description} For {self.benchmark}, deployed as {self.name}."
        return replace(entry, name=self.name, description=said, parameters=self.parameters(entry.kind))

    def parameters(self, kind: str) -> dict[str, Any]:
        """Those of a deployment, which a trigger or a schedule may change."""
        settings = {"settings": dict(self.settings)} if self.settings else {}
        spec = dict(self.spec)
        if kind == "compare":
            run = {key: value for key, value in spec.items() if key not in ("method", "seed")}
            return {"grid": {"run": run}, **settings}
        if kind == "retrain":
            return {"spec": {"run": spec, "step": self.step}, **settings}
        own: dict[str, Any] = {"step": self.step} if kind in ("step", "relabel") else {}
        return {"spec": spec, **own, **({"model": "champion"} if kind == "evaluate" else {}), **settings}


def attach(api: Api, own: Own, deployments: Mapping[str, str]) -> list[str]:
    """Let events start the deployments; what was attached before is replaced. Returns what was attached, in words.

    Args:
        deployments: kind -> id on the server.
    """
    begun = "retrain" if own.retrain and "retrain" in deployments else "step"
    for deployment_id in deployments.values():
        api.delete(f"/automations/owned-by/prefect.deployment.{deployment_id}")
    first = [_run(deployments["relabel"])] if "relabel" in deployments and begun == "step" else []
    settled = [*first, _run(deployments[begun], after=AFTER if first else 0.0)]
    reviewed = [_run(deployments[begun], _reviewed(own, begun))]
    for name, event, resource, actions in (
        (f"new images of {own.name}", IMAGES_SETTLED, folder_resource(own.name), settled),
        (f"review of {own.name}", REVIEW_FINISHED, labels_resource(own.benchmark), reviewed),
    ):
        api.post("/automations/", _automation(name, event, resource, actions, deployments[begun]))
    return [
        f"new images of {own.name} ({IMAGES_SETTLED}) start {'relabel, then ' if first else ''}{begun}",
        f"a review of its labels ({REVIEW_FINISHED}) starts {begun} on what was reviewed",
    ]


def _reviewed(own: Own, kind: str) -> dict[str, Any]:
    """Parameters of a run that learns from reviewed labels."""
    spec = {**own.spec, "labels": "reviewed"}
    step = {"step": STEP_OF_EVENT}
    return {"spec": {"run": spec, **step}} if kind == "retrain" else {"spec": spec, **step}


def _run(deployment_id: str, parameters: Mapping[str, Any] | None = None, after: float = 0.0) -> dict[str, Any]:
    return {
        "type": "run-deployment",
        "source": "selected",
        "deployment_id": deployment_id,
        "parameters": dict(parameters) if parameters else None,
        "schedule_after": after,
    }


def _automation(
    name: str, event: str, resource: str, actions: Sequence[Mapping[str, Any]], owner: str
) -> dict[str, Any]:
    return {
        "name": name,
        "description": f"{event} of {resource}",
        "enabled": True,
        "trigger": {
            "type": "event",
            "match": {"prefect.resource.id": resource},
            "expect": [event],
            "posture": "Reactive",
            "threshold": 1,
            "within": 0,
        },
        "actions": list(actions),
        "owner_resource": f"prefect.deployment.{owner}",
    }


def changes(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> list[str]:
    """What a deployment's parameters say now that they did not, one line a key."""
    if before is None:
        return []
    old, new = flat(before), flat(now)
    lines = [
        f"{key}: {in_words(old[key])} -> {in_words(new[key])}" for key in new if key in old and old[key] != new[key]
    ]
    lines += [f"{key}: {in_words(new[key])} (new)" for key in new if key not in old]
    return [*lines, *(f"{key}: {in_words(old[key])} (gone)" for key in old if key not in new)]


def imports_of(settings: Mapping[str, Any]) -> str:
    """Files of one's own that a run imports before it reads its parameters, as ``WILSS_IMPORTS``."""
    return os.pathsep.join(map(str, settings.get("imports", ())))


def import_files(benchmark: Path) -> list[str]:
    """Whole paths of the Python files that a benchmark names under ``import``."""
    from wilss.custom import read_benchmark

    named = read_benchmark(benchmark).get("import", [])
    return [str((benchmark.parent / name).resolve()) for name in ([named] if isinstance(named, str) else named)]
