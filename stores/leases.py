"""Leases: who makes what, between machines that share nothing but a bucket. On one machine there are locks besides.

A lease is an object with its holder and an end, written when there is none, renewed by a thread, and taken over by
whoever finds it ended: by its own clock it was not renewed for its whole time, or its end lies far back. Whoever lost
one may go on: what is published is put only where nothing is, so that two holders waste work and break nothing.
"""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, ValidationError

from stores.locks import PATIENCE
from stores.progress import say
from wilss.bucket.client import Client
from wilss.bucket.logs import refresh
from wilss.bucket.remote import Remote, remote_above
from wilss.errors import BucketError, SpecError

LEASES = "leases"
GATE = "collecting"
"""The lease of whoever collects what nobody needs."""
GATE_KEY = f"{LEASES}/{GATE}.json"
DEFAULT_SECONDS = 60.0
POLL = 1.0
"""Seconds between two looks at a lease that another one holds; less for short leases."""


class Terms(BaseModel):
    """What a lease says. token: tells holders apart, "" where it is free. until: seconds since 1970."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    holder: str
    token: str
    until: float
    seconds: float
    turn: int = 0


class Lease:
    """One lease, which this process holds or wants.

    Args:
        key: of its object. seconds: in which it ends unless it is renewed; by ``WILSS_LEASE_SECONDS``, else 60.
        clock, wall: that only run forward, and that others have too.

    lost: somebody else took it over.
    """

    def __init__(
        self,
        client: Client,
        key: str,
        seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._client, self.key, self._clock, self._wall = client, key, clock, wall
        self.seconds = lease_seconds() if seconds is None else seconds
        self._token, self._turn, self._tag = uuid4().hex, 0, ""
        self._seen, self._since = "", 0.0
        self.lost, self.holder = False, ""

    def take(self) -> bool:
        """Hold it if nobody else does; whether it is held."""
        there = self._client.get(self.key) if self._seen else None
        if there is None:
            self._tag = self._client.put_new(self.key, self._terms()) or ""
            there = None if self._tag else self._client.get(self.key)
        if there is None or not self._has_ended(*there):
            return bool(self._tag)
        self._tag = self._client.put_over(self.key, self._terms(), there[1]) or ""
        return bool(self._tag)

    def renew(self) -> bool:
        """Hold it for its whole time from now on; False where it is lost."""
        tag = self._client.put_over(self.key, self._terms(), self._tag)
        self.lost = self.lost or tag is None
        self._tag = tag or self._tag
        return not self.lost

    def free(self, gone: bool = False) -> None:
        """Let others have it at once.

        Args:
            gone: nobody will want it any more, so that its object goes.
        """
        if self.lost:
            return
        if not gone:
            self._client.put_over(self.key, self._terms(free=True), self._tag)
        elif self.renew():  # so that it is no other's
            self._client.delete(self.key)

    def is_held(self) -> bool:
        """Whether somebody else holds it, by what it says of its end."""
        there = self._client.get(self.key)
        return there is not None and not self._has_ended(*there)

    def _terms(self, free: bool = False) -> bytes:
        self._turn += 1
        terms = Terms(
            holder=f"process {os.getpid()} on {socket.gethostname()}",
            token="" if free else self._token,
            until=self._wall() + self.seconds,
            seconds=self.seconds,
            turn=self._turn,
        )
        return terms.model_dump_json().encode()

    def _has_ended(self, content: bytes, tag: str) -> bool:
        """Whether its holder let go of it, or is gone."""
        if tag != self._seen:
            self._seen, self._since = tag, self._clock()
        terms = _read(content)
        self.holder = terms.holder[:200] if terms else "another machine"
        if terms is None:
            return self._clock() - self._since > self.seconds
        still = self._clock() - self._since > terms.seconds
        return not terms.token or still or self._wall() > terms.until + terms.seconds


def lease_seconds() -> float:
    """For how long a lease is taken. Raises SpecError for what is no such time."""
    said = os.environ.get("WILSS_LEASE_SECONDS") or str(DEFAULT_SECONDS)
    try:
        seconds = float(said)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 3600:
        raise SpecError(f"WILSS_LEASE_SECONDS is '{said[:40]}'; give 1 to 3600")
    return seconds


@contextmanager
def leased(client: Client, name: str, on_wait: Callable[[], None] | None = None, once: bool = False) -> Iterator[Lease]:
    """Hold a lease, renewed as long as the block lasts; waits for another holder.

    Args:
        on_wait: called before waiting. once: its name is never wanted again when the block ended well.
    """
    lease = Lease(client, f"{LEASES}/{name}.json")
    if not lease.take():
        if on_wait:
            on_wait()
        _wait(lease)
    well = False
    try:
        with renewed(lease):
            yield lease
        well = True
    finally:
        let_go(lease, once and well)


def let_go(lease: Lease, gone: bool) -> None:
    """Free a lease. A bucket that cannot be reached now will see the lease end by itself."""
    try:
        lease.free(gone)
    except BucketError as error:
        say(f"{error}; others wait {lease.seconds:.0f} s for what this process held")


@contextmanager
def renewed(lease: Lease) -> Iterator[None]:
    """Renew a held lease in a thread."""
    end = threading.Event()
    thread = threading.Thread(target=_renew, args=(lease, end), daemon=True, name=f"lease {lease.key}")
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def _renew(lease: Lease, end: threading.Event) -> None:
    while not end.wait(lease.seconds / 3):
        try:
            if not lease.renew():
                say(f"the lease '{lease.key}' was taken over by another machine; what is there first counts")
                return
        except BucketError:
            continue  # asked again before it ends, or it is lost


def _wait(lease: Lease) -> None:
    begun, told = time.monotonic(), time.monotonic()
    while not lease.take():
        time.sleep(min(POLL, lease.seconds / 10) * random.uniform(0.5, 1.0))
        if time.monotonic() - told > PATIENCE:
            told = time.monotonic()
            say(f"waited {told - begun:.0f} s for {lease.holder}, which holds '{lease.key}'; end it if it hangs")


@contextmanager
def alone_with(path: Path) -> Iterator[None]:
    """Be the only machine that writes a file of sealed lines, which is as the bucket has it by now."""
    remote = remote_above(path.parent)
    if remote is None:
        yield
        return
    require_writable(remote)
    with leased(remote.client, f"logs/{path.relative_to(remote.root).as_posix()}"):
        refresh(remote, path, again=True)
        yield


def require_writable(remote: Remote) -> None:
    """Raise BucketError for a bucket that may not be written, or has no conditional writes; asked once a process."""
    if remote.is_writable:
        return
    key, content = "wilss.json", b'{"format": 1, "what": "root of wilss: see docs/scale.md"}\n'
    if remote.client.get(key) is None:
        remote.client.put_new(key, content)
    other = content + b"\n"
    if remote.client.put_new(key, other) or remote.client.put_over(key, other, '"00000000000000000000000000000000"'):
        raise BucketError(
            f"'{remote.client.address}' has no conditional writes (If-None-Match, If-Match), so that two machines "
            "could write over each other; take a bucket that has them, or a folder as root"
        )
    remote.is_writable = True


def _read(content: bytes) -> Terms | None:
    try:
        return Terms.model_validate_json(content)
    except ValidationError:
        return None
