"""The command ``wilss``: the flows' commands and those of the service, which stand in the last room."""

from __future__ import annotations

from flows.cli import call as call_app
from flows.cli.stopping import hear_signals


def main() -> None:
    """Entry point of the process; see `flows.cli.main`."""
    stopping = hear_signals()
    with stopping:
        call()


def call() -> None:
    """Run the command of ``sys.argv``; see `flows.cli.call`."""
    call_app(add_commands)


def add_commands() -> None:
    """Put the commands of this room beside the others; once is enough."""
    from deployments.cli.approve import approve
    from deployments.cli.deploy import deploy
    from deployments.cli.logs import logs
    from deployments.cli.schedule import schedule_app
    from deployments.cli.serve import serve
    from deployments.cli.service import down, status, up
    from deployments.cli.trigger import cancel, trigger_app
    from deployments.cli.watch import watch
    from flows.cli.app import app

    for command in (up, down, status, deploy, watch, logs, cancel, approve, serve):
        if command.__name__ not in app:
            app.command(command)
    for group in (trigger_app, schedule_app):
        if group.name[0] not in app:
            app.command(group)
