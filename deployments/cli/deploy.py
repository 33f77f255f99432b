"""``wilss deploy``: deployments of a benchmark and a folder of one's own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from deployments.cli.wanted import RunWanted, require_step
from flows.cli.options import NO_MACHINE_OPTIONS, NO_RUN_OPTIONS, Flag, MachineOptions, RunOptions
from flows.cli.printing import show
from stores.progress import say
from wilss.errors import SpecError

if TYPE_CHECKING:
    from deployments.own import Own
    from flows.api import Api

KEPT = "default"


def deploy(
    benchmark: str,
    *,
    name: str | None = None,
    method: str | None = None,
    seed: int | None = None,
    step: int | None = None,
    retrain: Flag = False,
    remove: Flag = False,
    pool: str | None = None,
    options: RunOptions = NO_RUN_OPTIONS,
    machine: MachineOptions = NO_MACHINE_OPTIONS,
) -> None:
    """Deploy a benchmark over a folder of your own: KIND/NAME for every kind of run, and the events that start them.

    New images that 'wilss watch' tells of start relabel and step, and so does a review that was applied. Deploying
    again says what changed.

    Args:
        benchmark: the path of its YAML file, or the name of a built-in one
        name: of the deployments, and of the watch of the folder; the benchmark's own when left out
        method: fmwiss (when left out), wilson or finetune
        seed: seed of everything random; 0 when left out
        step: that new photographs are for; the last one when left out
        retrain: let events start a retraining with its gate, in place of relabel and step
        remove: take the deployments away, with their schedules and events; what their runs made stays
        pool: of workers that take the runs; the service's first one when left out
    """
    from flows.service import require_service

    root = machine.service_root
    own = None if remove else _own(benchmark, name, method, seed, step, retrain, options, machine)
    url = require_service(root)
    named = own.name if own else name or _slug(_title(benchmark))
    from deployments.triggering import require_name
    from flows.api import Api

    if require_name(named, "deployment") == KEPT:
        raise SpecError(f"'{KEPT}' is what the service brings along; give another --name")
    with Api(url) as api:
        if own is None:
            _remove(api, root, named)
        else:
            _deploy(api, root, own, pool)


def _own(
    benchmark: str,
    name: str | None,
    method: str | None,
    seed: int | None,
    step: int | None,
    retrain: bool,
    options: RunOptions,
    machine: MachineOptions,
) -> Own:
    from deployments.own import Own, import_files
    from wilss.outside import is_yaml
    from wilss.spec import make_spec

    wanted = RunWanted(benchmark, method, seed, (), options, machine).wanted(KEPT).parameters
    spec, settings = wanted["spec"], dict(wanted.get("settings", {}))
    require_step(step, spec)
    if is_yaml(benchmark) and (files := import_files(Path(benchmark))):
        settings["imports"] = [*settings.get("imports", ()), *files]
    last = len(make_spec(spec).protocol.steps) - 1
    title = str(spec["benchmark"])
    return Own(name or _slug(title), title, spec, settings, last if step is None else step, retrain)


def _title(benchmark: str) -> str:
    """What a benchmark is called; of a file that is gone its own name."""
    from wilss.custom import read_benchmark
    from wilss.outside import is_yaml

    if not is_yaml(benchmark) or not Path(benchmark).is_file():
        return Path(benchmark).stem
    return str(read_benchmark(Path(benchmark)).get("name", ""))


def _slug(text: str) -> str:
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")[:60]


def _deploy(api: Api, root: Path, own: Own, pool: str | None) -> None:
    from deployments.deploying import chosen_pool, deploy_own
    from deployments.own import attach

    pool = chosen_pool(api, root, pool)
    say(f"deploying {own.benchmark} as {own.name} on pool {pool}")
    ids = {}
    for found in deploy_own(api, root, own, pool):
        ids[found.kind] = found.id
        what = "new" if found.new else "updated" if found.changed else "as it was"
        show(f"{found.kind}/{own.name}: {what}")
        for line in found.changed:
            show(f"  {line}")
    for line in attach(api, own, ids):
        show(line)
    if data := own.settings.get("data"):
        show(f"watch the folder: wilss watch {data} --name {own.name}")
    show(f"try it: wilss trigger step --deployment {own.name}")


def _remove(api: Api, root: Path, name: str) -> None:
    from deployments.deploying import remove_own

    for line in remove_own(api, root, name):
        show(line)
