"""``--dry-run``: what a command would do, without doing it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING

from flows.cli.printing import print_table

if TYPE_CHECKING:
    from stores.plans.forecast import Outlook
    from wilss.settings import Settings
    from wilss.spec import RunSpec


def print_outlook(specs: Mapping[str, RunSpec], settings: Settings, step: int | None = None) -> None:
    """Print the resolved settings, every plan with what is found and what is to be made, and an estimate.

    Nothing is written, and no server is started; data are opened, as they determine what is made.

    Args:
        specs: runs by name, in order. step: the only one that is to be run; None stands for all.

    Raises what the runs would raise before they make anything.
    """
    from stores.plans.forecast import outlook
    from stores.plans.plan import require_stages
    from stores.plans.run import Run
    from stores.plans.session import Session
    from wilss.section import lines_of

    session = Session(settings)
    runs = {name: Run(spec, session) for name, spec in specs.items()}
    for run in runs.values() if step is not None else ():
        for node in run.before(step):
            run.require(node)
    known = [run.plan.stages if step is None else run.plan.stages_of(step) for run in runs.values()]
    require_stages(settings.again, chain.from_iterable(known))
    made: dict[str, float | None] = {}
    for name, run in runs.items():
        print("\n  ".join([f"settings of {name}:", *lines_of(run.spec, run.spec.idle)]))
        rows = [_row(one, made) for one in outlook(run) if step in (None, one.node.at) or one.node.name in run.opening]
        print_table(f"plan of {name}", ["node", "digest", "made from", "images x epochs", "", "estimate"], rows)
    told = [seconds for seconds in made.values() if seconds is not None]
    unknown = len(made) - len(told)
    print(f"device: {session.device}; to be made: {len(made)} nodes, about {sum(told) / 60:.1f} minutes", end="")
    print(f" without {unknown} that are like nothing in this store yet" if unknown else "")


def _row(one: Outlook, made: dict[str, float | None]) -> list[str]:
    """A line of a plan; what is to be made is noted in ``made``, once for all runs."""
    from stores.plans.session import ago

    digest = one.node.recipe.digest
    what = f"found, made {ago(one.created)}" if one.created else "shared" if digest in made else "to be made"
    if what == "to be made":
        made[digest] = one.seconds
    estimate = f"{one.seconds:.0f} s" if what == "to be made" and one.seconds is not None else "-"
    return [one.node.title, digest[:12], ", ".join(one.parents) or "-", str(one.amount), what, estimate]
