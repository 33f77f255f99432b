"""``wilss store``: look at what a root folder holds, mend it, and make room."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from flows.cli.options import Json, Root
from flows.cli.printing import megabytes, print_json, print_table
from stores.manifests import Manifest
from wilss.layout import default_root

store_app = App(name="store", help="Look over what a root folder holds, mend what is damaged, and make room.")


@store_app.command(name="verify")
def store_verify(*, root: Root = None, json: Json = False) -> None:
    """Read every file of every artefact and hold it against its checksum, and look for what reports and artefacts name.

    Exit code 1 where something is damaged or gone.
    """
    from stores.verify import verify

    found = verify(_existing(root))
    faults = [str(fault) for fault in found.faults]
    if json:
        print_json({**vars(found), "faults": faults})
    else:
        reviews = f", {found.reviews} reviews" if found.reviews else ""
        end = f"{found.artefacts} artefacts and {found.reports} reports{reviews}: "
        end += _count(len(faults), len(found.missing))
        print("\n".join([*faults, *found.missing, end]))
        if found.unlisted:
            print(f"{found.unlisted} were written by an older version, which noted no checksums")
    if faults or found.missing:
        sys.exit(1)


@store_app.command(name="repair")
def store_repair(*, root: Root = None, json: Json = False) -> None:
    """Make damaged shards of label sets anew, and move what else is damaged out of the way for the next run to make.

    Says what was done, and what to do about label sets that were made by hand, which no run makes.
    """
    from stores.verify import repair

    done = []
    for line in repair(_existing(root), lambda manifest: _mend(manifest, root)):
        done.append(line)
        if not json:
            print(line, flush=True)
    if json:
        print_json({"done": done})
    elif not done:
        print("nothing is damaged")


@store_app.command(name="gc")
def store_gc(
    *,
    root: Root = None,
    yes: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> None:
    """List what nobody needs: artefacts that no report names, and what killed processes left.

    What a report, a comparison, a child label set, an alias, a schedule or a deployment needs stays, and what that was
    made from.

    Args:
        yes: delete it
        dry_run: list it only, as without --yes
    """
    from stores.collect import collect, find_garbage
    from stores.in_use import alone_in

    folder = _existing(root)
    with alone_in(folder) as alone:
        found = find_garbage(folder, alone)
    deletes = yes and not dry_run
    items = list(collect(folder)) if deletes else list(found.items)
    total = sum(item.bytes for item in items)
    if json:
        listed = [{**vars(item), "path": str(item.path)} for item in items]
        print_json({"deleted": deletes, "bytes": total, "items": listed, "kept": list(found.kept)})
        return
    rows = [[item.what, item.name, megabytes(item.bytes), str(item.path.relative_to(folder))] for item in items]
    if rows:
        print_table("deleted" if deletes else "what nobody needs", ["what", "of", "MB", "path"], rows, left=True)
    print("\n".join([*found.kept, f"{len(items)} things, {megabytes(total)} MB{'' if deletes else ' could go'}"]))
    if items and not deletes:
        print("nothing was deleted; add --yes to delete it")


@store_app.command(name="du")
def store_du(*, root: Root = None, json: Json = False) -> None:
    """Say how much room is taken, by kind and by run."""
    from stores.usage import usage

    found = usage(_existing(root))
    if json:
        kinds = {name: {"count": count, "bytes": size} for name, (count, size) in found.kinds.items()}
        runs = {name: {"bytes": size, "own_bytes": own} for name, (size, own) in found.runs.items()}
        print_json({"bytes": found.total, "kinds": kinds, "runs": runs})
        return
    kinds_rows = [[name, str(count), megabytes(size)] for name, (count, size) in found.kinds.items() if count]
    print_table("by kind", ["kind", "number", "MB"], kinds_rows)
    runs_rows = [[name, megabytes(size), megabytes(own)] for name, (size, own) in found.runs.items()]
    print_table("by run", ["run", "MB", "of its own"], runs_rows)
    print(f"{megabytes(found.total)} MB")


def _existing(root: Path | None) -> Path:
    from wilss.errors import ArtefactNotFoundError

    folder = root or default_root()
    if not folder.is_dir():
        raise ArtefactNotFoundError(f"there is no root folder '{folder}'; name one with --root")
    return folder


def _mend(manifest: Manifest, root: Path | None) -> int:
    from flows.machine import machine_settings
    from stores.labels.mend import mend_stored

    return mend_stored(manifest, machine_settings(root=root))


def _count(faults: int, missing: int) -> str:
    gone = f"{missing} things that they name are gone" if missing else ""
    if faults:
        return f"{faults} faults; mend them with 'wilss store repair'{gone and f'; {gone}'}"
    return gone or "all as they were written"
