"""``wilss watch``: one event when enough new tagged images of a folder have settled."""

from __future__ import annotations

import re
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from flows.cli.options import Flag, RootFolder
from flows.cli.printing import show
from stores.progress import say
from wilss.errors import DataError, SpecError
from wilss.layout import default_root

if TYPE_CHECKING:
    from deployments.mirroring import Mirror
    from deployments.watching import Watched, Watcher

LONGEST_POLL, SHORTEST_POLL = 5.0, 0.2
ARRIVAL = 30.0
"""Seconds in which the server has to keep what was posted; then it is posted again."""


def watch(
    place: str,
    *,
    into: Path | None = None,
    at_least: Annotated[int, Parameter(validator=Number(gte=1))] = 10,
    settle: Annotated[float, Parameter(validator=Number(gte=0, lte=86400))] = 60.0,
    name: str | None = None,
    once: Flag = False,
    root: RootFolder = None,
) -> None:
    """Watch images/ and labels.csv of a folder or bucket; tell the service when enough new tagged images have settled.

    What 'wilss deploy' attached to the event then runs. What was told is remembered, also over a restart.

    Args:
        place: a folder with images/ and labels.csv, as docs/data.md has it; or s3://, gs://, az:// with bucket, prefix
        into: folder that a bucket is copied into; it is the one that 'wilss deploy --data' takes
        at_least: new tagged images that make an event
        settle: seconds for which size and time of a file must stay as they are
        name: of the watch, as 'wilss deploy' named your folder; the folder's own when left out
        once: end when an event was told, or nothing changes any more and there are too few
        root: of the service; WILSS_ROOT or ./wilss-data when left out
    """
    from deployments.watching import Watcher, read_watched, require_folder, watch_file
    from flows.service import require_service
    from stores.locks import held_now

    root = root or default_root()
    mirror = _mirror(place, into)
    source = mirror.folder if mirror else Path(place)
    found = source.resolve() if mirror else require_folder(source)
    named = name or re.sub("[^a-z0-9]+", "-", found.name.lower()).strip("-")
    require_service(root)
    path = watch_file(root, named)
    with held_now(path.with_suffix(".lock")) as held, mirror.alone() if mirror else nullcontext():
        if not held:
            raise SpecError(f"'{named}' is watched already by another process; end that one, or give another --name")
        watched = read_watched(path, found)
        if mirror:
            say(f"{mirror.refresh()} files copied from '{place}' into '{into}'")
            require_folder(found)
        say(f"watching '{found}' as {named}: {at_least} new tagged images, settled for {settle:g} s, make an event")
        watcher = Watcher(found, settle, before=mirror.refresh if mirror else None)
        _watch(watcher, watched, path, at_least, once, root)


def _mirror(place: str, into: Path | None) -> Mirror | None:
    """Of a bucket; None for a folder."""
    from deployments.mirroring import Mirror, is_address

    if not is_address(place):
        if into is not None:
            raise SpecError(f"--into is for buckets, and '{place}' is a folder; leave it out")
        return None
    mirror = Mirror(place, into or Path())  # refuses an address with a password before any message shows it
    if into is None:
        raise SpecError(f"'{place}' is a bucket; name the folder that its photographs are copied into by --into")
    return mirror


def _watch(watcher: Watcher, watched: Watched, path: Path, at_least: int, once: bool, root: Path) -> None:
    from deployments.watching import begin_event, told_in_words

    last, poll = "", min(LONGEST_POLL, max(SHORTEST_POLL, watcher.settle / 4))
    while True:
        look = None if watched.pending else watcher.look(watched.told)
        if look is not None and (words := told_in_words(look, at_least)) != last:
            last = words
            say(words)
        if look is not None and len(look.new) >= at_least:
            watched = begin_event(path, watched, look)
        if watched.pending:
            watched = _told(path, watched, root)
            if once and not watched.pending:
                return
        elif once and look is not None and not look.moving:
            if look.problem:
                raise DataError(look.problem)
            return
        time.sleep(poll)


def _told(path: Path, watched: Watched, root: Path) -> Watched:
    """Post the pending event, and see that it has arrived; the same one stays pending where the server is away."""
    from deployments.watching import finish_event, payload
    from flows.events import IMAGES_SETTLED, arrived, folder_resource, post
    from flows.service import require_service
    from wilss.errors import ServerNotFoundError

    assert watched.pending is not None
    content, event_id = payload(path.stem, watched), watched.pending.id
    try:
        url = require_service(root)
        post(url, IMAGES_SETTLED, folder_resource(path.stem), content, event_id)
        begun = time.monotonic()
        while not arrived(url, event_id):
            if time.monotonic() - begun > ARRIVAL:
                return watched
            time.sleep(0.5)
    except ServerNotFoundError as error:
        say(f"the event waits, as {error}")
        time.sleep(LONGEST_POLL)
        return watched
    show(f"told: {IMAGES_SETTLED} of {folder_resource(path.stem)}, {content['images']} images (event {event_id})")
    return finish_event(path, watched)
