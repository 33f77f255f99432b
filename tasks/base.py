"""What all tasks share: their cache is the store, so that Prefect's own stays off; and how their runs are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from stores.plans.fewshot_run import FewShotRun
from stores.plans.run import Run
from tasks.workers import RunElsewhere

heavy_task = task(cache_policy=NO_CACHE, persist_result=False)


def named(text: str) -> Callable[..., str]:
    """What the runs of a task are called: step and shard, and whose they are where a flow has several runs.

    Args:
        text: with names of the task's parameters in braces.
    """

    def name(parameters: Mapping[str, Any]) -> str:
        own = whose_of_several(parameters["run"])
        return text.format(**parameters) + (own and f" ({own})")

    return name


def whose_of_several(run: Run | FewShotRun | RunElsewhere) -> str:
    """Tells a run from the others of its flow, "" where it is the only one."""
    if isinstance(run, RunElsewhere):
        return run.whose
    return whose(run) if run.session.several else ""


def whose(run: Run | FewShotRun) -> str:
    """Tells a run from the others of its flow."""
    spec = run.spec
    if isinstance(run, Run):
        return f"{run.spec.method}, seed {spec.seed}"
    return f"{run.spec.head} {run.spec.train.tuning}, fold {run.spec.fold}, {run.spec.shots} shot, seed {spec.seed}"
