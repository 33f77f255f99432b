"""The command line ``wilss``: it triggers flows and shows what they left; one file a group of commands.

Heavy modules are imported inside the commands, so that help appears at once.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import version

from cyclopts import App, CycloptsError

from flows.cli.benchmarks import compare, demo, run, runs, step
from flows.cli.data import data_app, protocol
from flows.cli.few_shot import fewshot_app
from flows.cli.foundations import foundations_app, pretrain
from flows.cli.labels import labels_app
from flows.cli.models import predict
from flows.cli.settings import settings
from flows.cli.store import store_app
from flows.cli.svf import svf_app

app = App(
    name="wilss",
    help="Teach a segmentation model new classes from image-level tags alone.",
    version=lambda: version("wilss"),
    suppress_keyboard_interrupt=False,  # `main` says how to go on
)
for command in (
    *(demo, run, step, compare, runs, predict, labels_app, foundations_app, fewshot_app, pretrain, data_app, svf_app),
    store_app,
    protocol,
    settings,
):
    app.command(command)


def main() -> None:
    """Entry point: a `WilssError`, or a GPU without memory, becomes one message and exit code 2."""
    from wilss.errors import WilssError

    try:
        app(sys.argv[1:], exit_on_error=False)
    except CycloptsError:
        sys.exit(2)
    except WilssError as error:
        print(f"wilss: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        from wilss.outputs import disk_problem

        if isinstance(error, BrokenPipeError):  # the reader of a pipe has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        if not (said := disk_problem(error)):
            raise
        print(f"wilss: {said}", file=sys.stderr)
        sys.exit(2)
    except RuntimeError as error:
        from wilss.device import memory_advice

        if not (advice := memory_advice(error)):
            raise
        print(f"wilss: {advice}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("wilss: stopped; the same command goes on where it stopped", file=sys.stderr)
        sys.exit(130)
