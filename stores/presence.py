"""Who uses a bucket's root, of all machines: an object each, renewed, so that nobody collects what is being made."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from stores.leases import GATE, GATE_KEY, Lease, leased, let_go, renewed, require_writable
from stores.progress import say
from wilss.bucket.remote import Remote

PRESENT = "in-use"


@contextmanager
def present(remote: Remote) -> Iterator[None]:
    """Use a bucket, with all that it has by now; waits while a machine collects. What is written here goes there."""
    require_writable(remote)
    mine = Lease(remote.client, f"{PRESENT}/{uuid4().hex}.json")
    mine.take()
    try:
        with renewed(mine):
            _pass(remote, mine)
            remote.pull(again=True)
            try:
                yield
            finally:
                with remote.alone():
                    remote.documents.push()
    finally:
        let_go(mine, gone=True)


def _pass(remote: Remote, mine: Lease) -> None:
    """Wait until nobody collects: who collects has looked for those who are there before, or sees this one."""
    gate = Lease(remote.client, GATE_KEY)
    while gate.is_held():
        say(f"{gate.holder} collects what nobody needs; waiting for it")
        time.sleep(min(1.0, gate.seconds / 10))


@contextmanager
def alone_in_bucket(remote: Remote) -> Iterator[bool]:
    """Hold all other machines off; tells whether none uses the bucket. What those left that are gone is removed."""
    require_writable(remote)
    with leased(remote.client, GATE):
        busy = False
        for held in remote.client.list(PRESENT):
            other = Lease(remote.client, held.key)
            if other.is_held():
                busy = True
            else:
                remote.client.delete(held.key)
        with remote.alone():
            remote.documents.push()
        remote.pull(again=True)
        yield not busy
