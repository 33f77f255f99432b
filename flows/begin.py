"""How every flow begins: facts of the machine, a session of its own, and what is about to run said."""

from __future__ import annotations

from collections.abc import Mapping

from flows.machine import import_named_files, machine_settings
from flows.runners import require_runner
from stores.plans.session import Session
from stores.progress import say
from wilss.fewshot.spec import FewShotSpec
from wilss.section import lines_of
from wilss.settings import Settings
from wilss.spec import RunSpec

# a method of one's own has to be known before Prefect looks at a specification that names it
import_named_files()


def settings_here(settings: Settings | None) -> Settings:
    """What was set, and for the other facts what this process's environment says."""
    given = {name: getattr(settings, name) for name in settings.model_fields_set} if settings else {}
    return machine_settings(**given)


def begin(specs: Mapping[str, RunSpec | FewShotSpec], settings: Settings | None) -> Session:
    """Open a session, and say where runs compute and every setting that they read; what several share is said once.

    Args:
        settings: what was set; the rest, or all of it for None, comes from the ``WILSS_*`` environment variables of
            this process, which may be a worker's.

    Raises what `Session` and `require_runner` raise, before anything is computed.
    """
    session = Session(settings_here(settings))
    if any(isinstance(spec, RunSpec) for spec in specs.values()):
        require_runner(session.settings)
    say(f"device: {session.device}")
    said: set[str] = set()
    for name, spec in specs.items():
        new = [line for line in lines_of(spec, spec.idle) if line not in said]
        if new:
            say("\n  ".join([f"settings of {name}:", *new]))
        said |= set(new)
    if session.started_by:
        say(f"started by: {session.started_by}")
    return session
