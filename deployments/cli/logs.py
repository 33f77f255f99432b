"""``wilss logs``: what a run said."""

from __future__ import annotations

import json as text
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

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


def logs(run: str = "", *, follow: Flag = False, json: Flag = False, root: RootFolder = None) -> None:
    """Print the log of a run, and with --follow what it goes on to say until it ends.

    Args:
        run: its id, the first digits of it, or its name; the last one that began when left out
        follow: go on until the run ends, and end with its exit code, as 'wilss trigger' does; Ctrl-C leaves it alone
        json: print one JSON object a line: time, level, logger, text, and the run and task run that said it
        root: of the service; WILSS_ROOT or ./wilss-data when left out
    """
    from flows.service import require_service

    url = require_service(root or default_root())
    from deployments.flow_runs import find_run
    from deployments.following import Log
    from flows.api import Api

    with Api(url) as api:
        found = find_run(api, run)

        def line(one: Line) -> None:
            show_line(one, found.id, json)

        state = found.state.sentence if found.state else "unknown"
        say(f"run {found.name} ({found.id}){_begun_by(url, found)}: {state}")
        if not follow:
            for one in Log(api, found.id).new():
                line(one)
            return
        try:
            _follow(api, found.id, line)
        except KeyboardInterrupt:
            say(f"\nrun {found.name} goes on")
            raise Detached(INTERRUPTED) from None


def _begun_by(url: str, run: FlowRun) -> str:
    from flows.events import event_behind

    by = run.started_by
    if run.created_by is not None and run.created_by.type == "AUTOMATION" and (heard := event_behind(url, run.id)):
        by = heard.words
    return f", begun by {by}" if by else ""


def _follow(api: Api, run_id: str, line: Callable[[Line], None]) -> None:
    from deployments.following import code_of, follow

    run = follow(api, run_id, line, say)
    if run.state is not None:
        say(f"run {run.name} {run.state.sentence}")
        if code := code_of(run.state):
            sys.exit(code)


def show_line(line: Line, run_id: str, json: bool) -> None:
    """A line of a log on standard output, as people read it or as one JSON object."""
    show(text.dumps({**asdict(line), "run": run_id}) if json else line.words)
    sys.stdout.flush()
