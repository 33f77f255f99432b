"""Leases: held by one, renewed, freed, and taken over from a holder that vanished."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stores.in_use import alone_in, using
from stores.leases import Lease, lease_seconds, leased
from tests.s3 import Bucket
from tests.stores.bucket.conftest import Machine
from wilss.bucket.client import Client
from wilss.bucket.remote import remote_of
from wilss.errors import SpecError

KEY = "leases/it.json"
HOLD = """
import sys, time
from pathlib import Path
from stores.leases import leased
from wilss.bucket.remote import remote_of
with leased(remote_of(Path(sys.argv[1])).client, "it"):
    print("held", flush=True)
    time.sleep(60)
"""


class Clock:
    """Time that a test turns on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def client(machine: Machine) -> Client:
    remote = remote_of(machine("a"))
    assert remote
    return remote.client


def pair(client: Client) -> tuple[Lease, Lease, Clock]:
    """Two who want one lease of 10 seconds; the second one's clock."""
    clock = Clock()
    return Lease(client, KEY, 10), Lease(client, KEY, 10, clock, wall=lambda: time.time() - 1000), clock


def test_it_is_held_by_one_and_freed_at_once(client: Client) -> None:
    ours, theirs, _ = pair(client)
    assert ours.take()
    assert not theirs.take()
    assert "process" in theirs.holder
    ours.free()
    assert theirs.take()
    assert not ours.renew()
    assert ours.lost
    ours.free(gone=True)  # which is another's by now, and stays
    assert client.get(KEY)


def test_one_that_is_renewed_does_not_end(client: Client) -> None:
    ours, theirs, clock = pair(client)
    assert ours.take()
    for _ in range(4):
        assert not theirs.take()
        clock.now += 6
        assert ours.renew()
    assert not theirs.take()


def test_one_that_was_not_renewed_for_its_whole_time_is_taken_over_whatever_the_clocks_say(client: Client) -> None:
    ours, theirs, clock = pair(client)
    assert ours.take()
    assert not theirs.take(), "it was seen for the first time"
    clock.now += 9
    assert not theirs.take()
    clock.now += 2
    assert theirs.take()
    assert not ours.renew()


def test_one_whose_end_lies_far_back_is_taken_over_at_once(client: Client) -> None:
    assert Lease(client, KEY, 10, wall=lambda: time.time() - 21).take()
    assert Lease(client, KEY, 10).take()


def test_what_is_no_lease_ends_too(client: Client) -> None:
    client.put(KEY, b"nonsense")
    _, theirs, clock = pair(client)
    assert not theirs.take()
    clock.now += 11
    assert theirs.take()


def test_a_holder_that_vanished_loses_it(machine: Machine, s3: Bucket, client: Client) -> None:
    root = Path(__file__).parents[3]
    held = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(machine("a"))], cwd=root, stdout=subprocess.PIPE, text=True
    )
    assert held.stdout
    assert held.stdout.readline() == "held\n"
    time.sleep(4)
    assert not Lease(client, KEY).take(), "it is renewed by a thread, for longer than its 3 seconds"
    held.send_signal(signal.SIGKILL)
    held.wait()
    waited: list[bool] = []
    with leased(client, "it", lambda: waited.append(True)):
        assert waited == [True]


def test_nobody_collects_while_another_machine_uses_the_bucket(machine: Machine) -> None:
    a, b = machine("a"), machine("b")
    with using(a), alone_in(b) as alone:
        assert not alone
    with alone_in(b) as alone:
        assert alone


@pytest.mark.parametrize("said", ["0", "a minute", "nan", "1e9"])
def test_times_that_are_none(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("WILSS_LEASE_SECONDS", said)
    with pytest.raises(SpecError, match=r"WILSS_LEASE_SECONDS is '.*'; give 1 to 3600"):
        lease_seconds()
