"""The command line ``wilss``: it triggers flows and shows what they left; one file a group of commands.

Heavy modules are imported inside the commands, so that help appears at once; here nothing is imported that takes time,
as Ctrl-C is to be heard from the beginning.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from flows.cli.stopping import hear_signals


def main() -> None:
    """Entry point of the process: `call`, with Ctrl-C and SIGTERM ending it within seconds at every moment."""
    stopping = hear_signals()
    with stopping:
        call()


def call(add: Callable[[], None] = lambda: None) -> None:
    """Run the command of ``sys.argv``: a `WilssError`, or a GPU without memory, becomes one message and exit code 2.

    Args:
        add: puts further commands into `flows.cli.app.app`.
    """
    from cyclopts import CycloptsError

    from flows.cli.app import app
    from wilss.errors import WilssError

    add()
    try:
        app(sys.argv[1:], exit_on_error=False)
        _push()
    except CycloptsError:
        sys.exit(2)
    except WilssError as error:
        fail(str(error))
    except OSError as error:
        from wilss.outputs import disk_problem

        if isinstance(error, BrokenPipeError):  # the reader of a pipe has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        if not (said := disk_problem(error)):
            raise
        fail(said)
    except RuntimeError as error:
        from wilss.device import memory_advice

        if not (advice := memory_advice(error)):
            raise
        fail(advice)


def _push() -> None:
    """What a command wrote of reports and notes goes to the bucket, where the root is one."""
    if bucket := sys.modules.get("wilss.bucket.remote"):
        bucket.push_all()


def fail(message: str, code: int = 2) -> None:
    """Say what is wrong, and exit with a code."""
    from wilss.escapes import harmless

    print(f"wilss: {harmless(message)}", file=sys.stderr)
    sys.exit(code)
