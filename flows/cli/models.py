"""``wilss models``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from flows.cli.exports import models_export, models_import
from flows.cli.options import Device, Flag, Json, Root
from flows.cli.printing import print_faults, print_json, print_table, show
from flows.cli.students import plain_student, print_move, print_student, short, student_row
from flows.machine import machine_settings
from wilss.aliases import CHAMPION
from wilss.layout import default_root

models_app = App(name="models", help="Choose which student is in use, and let models leave.")
models_app.command(models_export, name="export")
models_app.command(models_import, name="import")

Why = Annotated[str, Parameter(help="kept in the log of moves")]
Who = Annotated[str, Parameter(help="in whose name; that of this machine's user when left out")]


@models_app.command(name="list")
def models_list(*, root: Root = None, json: Json = False) -> None:
    """List the students, newest first: aliases, step, number of classes, mean IoU of all, when they were made, size."""
    from stores.models.listing import list_students

    listed = list_students(root or default_root())
    if json:
        print_json([plain_student(one) for one in listed.found])
    else:
        rows = [student_row(one) for one in listed.found]
        columns = ["model", "aliases", "made", "benchmark", "step", "classes", "all", "MB"]
        print_table("models", columns, rows, left=True)
        if any(one.score is not None for one in listed.found):
            show("all: mIoU %, convention C, on full-size images, in the newest evaluation")
    print_faults(listed.faults)


@models_app.command(name="show")
def models_show(model: str, *, root: Root = None, json: Json = False) -> None:
    """Show one student: what it knows, what it was made from, how it scored, what it is called, and since when.

    Args:
        model: alias, digest or folder of a run
    """
    from stores.models.listing import list_students
    from stores.registry import student_of
    from wilss.errors import FormatError

    place = root or default_root()
    digest, listed = student_of(place, model), list_students(place)
    found = next((one for one in listed.found if one.digest == digest), None)
    if found is None:
        raise next(iter(listed.faults), FormatError(f"model {digest[:12]} cannot be read"))
    moves = [move for move in listed.moves if digest in (move.before, move.after)]
    if json:
        print_json(
            {**plain_student(found), "card": found.card.model_dump(mode="json"), "moves": [m.plain() for m in moves]}
        )
        return
    print_student(found, moves)


@models_app.command(name="alias")
def models_alias(
    name: str,
    model: str | None = None,
    *,
    remove: Flag = False,
    why: Why = "",
    expect: str | None = None,
    who: Who = "",
    root: Root = None,
    device: Device = None,
) -> None:
    """Let a name point to a model, which is loaded and segments one image before.

    Args:
        name: letters, digits, '-', '_' and '.'
        model: alias, digest or folder of a run
        remove: take the name away instead; the model stays until 'wilss store gc' finds that nobody needs it
        expect: digest that the name points to now, or "none"; where it points elsewhere nothing is moved
    """
    from stores.registry import set_alias
    from wilss.aliases import aliases_of, require_movable, unknown
    from wilss.errors import SpecError

    settings, name = machine_settings(root=root, device=device), require_movable(name)
    if (model is None) != remove:
        raise SpecError("name the model that the alias is to point to, or give --remove to take the alias away")
    now = _expected(expect, aliases_of(settings.root).get(name))
    if remove and now is None:
        raise unknown(name, settings.root)
    digest = _checked(model, settings.root, settings.device) if model else None
    print_move(set_alias(settings.root, name, digest, expected=now, who=who or _user(), why=why), now)


@models_app.command(name="promote")
def models_promote(
    model: str,
    *,
    alias: str = CHAMPION,
    why: Why = "",
    expect: str | None = None,
    who: Who = "",
    root: Root = None,
    device: Device = None,
) -> None:
    """Make a model the champion, after it was loaded and segmented one image; 'previous' is what the champion was.

    Args:
        model: alias, digest or folder of a run
        alias: another name than champion
        expect: digest of the champion that is to be replaced, or "none"; where it is another nothing is moved
    """
    from stores.registry import promote
    from wilss.aliases import aliases_of, require_movable

    settings = machine_settings(root=root, device=device)
    now = _expected(expect, aliases_of(settings.root).get(require_movable(alias)))
    digest = _checked(model, settings.root, settings.device)
    print_move(promote(settings.root, digest, alias=alias, expected=now, who=who or _user(), why=why), now)


@models_app.command(name="rollback")
def models_rollback(
    *, alias: str = CHAMPION, why: Why = "", who: Who = "", root: Root = None, device: Device = None
) -> None:
    """Go back to the model before, after it was loaded and segmented one image; a second rollback goes forward again.

    Args:
        alias: another name than champion
    """
    from stores.registry import rollback

    settings = machine_settings(root=root, device=device)
    move = rollback(settings.root, alias=alias, who=who or _user(), why=why, device=settings.device)
    print_move(move, move.before)
    show(f"another rollback of '{alias}' goes forward again, to {short(move.before)}")


def _expected(expect: str | None, now: str | None) -> str | None:
    """What an alias is to point to: as it was asked for, in full where it does, else what it points to now."""
    if expect is None or (now and len(expect) >= 4 and now.startswith(expect)):
        return now
    return None if expect == "none" else expect


def _checked(model: str, root: Path, device: str) -> str:
    """Digest of a student that was loaded and segmented an image."""
    from stores.artefacts import Store
    from stores.progress import say
    from stores.registry import student_of

    digest = student_of(root, model)
    say(f"loading {digest[:12]}, to see that it segments an image")
    from stores.models.smoke import smoke

    smoke(Store(root).path("checkpoints", digest), device)
    show(f"{digest[:12]} was loaded and segmented an image")
    return digest


def _user() -> str:
    from stores.labels.review.scripts import user_name

    return user_name()
