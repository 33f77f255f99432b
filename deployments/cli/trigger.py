"""``wilss trigger`` and ``wilss cancel``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from deployments.catalogue import DEFAULT
from deployments.cli.kinds import add_kinds
from deployments.cli.wanted import Wanting
from flows.cli.options import Flag, RootFolder
from flows.cli.printing import show
from flows.cli.stopping import Detached
from stores.progress import say
from wilss.layout import default_root

if TYPE_CHECKING:
    from deployments.flow_runs import FlowRun
    from deployments.following import Line
    from flows.api import Api

INTERRUPTED = 130
trigger_app = App(name="trigger", help="Begin a run on the service that 'wilss up' started, and wait for it.")


@Parameter(name="*")
@dataclass(frozen=True)
class TriggerOptions:
    """Options of every trigger."""

    deployment: Annotated[str, Parameter(name=["--deployment", "--name"])] = DEFAULT
    "deployment that runs: default, or the name that 'wilss deploy' gave your own folder"
    detach: Flag = False
    "print the run's id and address, and do not wait for it"


DOC = """Trigger {does}.

It ends with 0 when the run completed, 1 when it failed, crashed or was kept out by a gate, 3 when it was cancelled,
4 when it waits for somebody's answer ('wilss approve').
"""


def _trigger(wanted: Wanting, options: TriggerOptions) -> None:
    from flows.service import require_service

    asked = wanted.wanted(options.deployment)
    root = wanted.machine.service_root
    url = require_service(root)
    from deployments.triggering import begin_run, find_deployment
    from flows.api import Api, page_of_run

    with Api(url) as api:
        deployment = find_deployment(api, asked.kind, options.deployment)
        run = begin_run(api, deployment, asked.parameters, [])
        show(f"run {run.name} ({run.id}): {asked.title}")
        show(f"page: {page_of_run(url, run.id)}")
        if not options.detach:
            sys.stdout.flush()
            end_with(api, run, root)


def end_with(api: Api, run: FlowRun, root: Path) -> None:
    """Follow a run until it ends, say how, and end this process accordingly; Ctrl-C leaves the run alone."""
    from deployments.flow_runs import State, local_root
    from deployments.following import code_of, follow, summary_of

    tail = local_root(root)
    try:
        run = follow(api, run.id, print_line, say, wait_for_answer=False)
    except KeyboardInterrupt:
        say(f"\nrun {run.name} goes on; follow it: wilss logs {run.id} --follow{tail}")
        say(f"end it: wilss cancel {run.id}{tail}")
        raise Detached(INTERRUPTED) from None
    state = run.state or State(type="CRASHED")
    show(f"run {run.name} {state.sentence}")
    for told in summary_of(api, run.id):
        show(told)
    if state.type == "PAUSED":
        show(f"it waits for an answer: wilss approve {run.id} --yes --why TEXT{tail}, or --no")
    if code := code_of(state):
        sys.exit(code)


def print_line(line: Line) -> None:
    """A line of a run's log, on standard output."""
    show(line.words)
    sys.stdout.flush()


def cancel(run: str, *, root: RootFolder = None) -> None:
    """Cancel a run: one that waits never begins, one that runs is ended; what it finished stays in the store.

    Args:
        run: its id, the first digits of it, or its name
        root: of the service; WILSS_ROOT or ./wilss-data when left out
    """
    from flows.service import require_service

    url = require_service(root or default_root())
    from deployments.cancelling import cancel_run
    from deployments.flow_runs import find_run
    from flows.api import Api

    with Api(url) as api:
        show(cancel_run(api, find_run(api, run)))


add_kinds(trigger_app, TriggerOptions, _trigger, DOC)
