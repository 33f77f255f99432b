"""The crash matrix: processes of a real service are killed at random moments, and everything ends as if nothing was.

``WILSS_CRASHES`` is how often each case is tried (1 when it is not set), ``WILSS_CRASH_SEED`` begins other moments.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.serving import Serving, kill, serving
from tests.pace import wait_for
from wilss.aliases import aliases_of, moves_of
from wilss.layout import KINDS

pytestmark = [pytest.mark.slow, pytest.mark.whole, pytest.mark.timeout(1800)]

ROUNDS = int(os.environ.get("WILSS_CRASHES", "1"))
SEED = int(os.environ.get("WILSS_CRASH_SEED", "0"))
SPEC = {"benchmark": "scenes-15-5", "preset": "tiny", "data": {"n_train": 400}}
NIGHTLY = "benchmark/nightly"
"""Limit 1 and CANCEL_NEW: a slot that stays taken would cancel every later run."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("crashes")) as found:
        yield found


@pytest.fixture(scope="module")
def undisturbed(service: Serving) -> dict[str, Any]:
    """The report of a run that nobody disturbs."""
    service.finish(service.trigger(NIGHTLY, spec=SPEC), 600)
    return service.report()


def clear(root: Path) -> None:
    for kind in (*KINDS, "runs"):
        shutil.rmtree(root / kind, ignore_errors=True)


def standing(root: Path) -> dict[str, tuple[int, int]]:
    """Files of label shards that are done, wherever their set lies: set and name in it -> (inode, time)."""
    found = {}
    for folder in [*root.glob("labels/.staging-*"), *root.glob("labels/??/*")]:
        if not folder.is_dir():  # a lock
            continue
        arrays = folder / "labels.zarr"
        done = {path.parent.name for path in arrays.glob("image/c/*/0")}
        for path in (path for shard in done for path in arrays.glob(f"*/c/{shard}/**/*") if path.is_file()):
            with suppress(FileNotFoundError):
                stat, name = path.stat(), f"{folder.name.removeprefix('.staging-')}/{path.relative_to(folder)}"
                found[name] = (stat.st_ino, stat.st_mtime_ns)
    return found


def labelling(root: Path) -> bool:
    return bool(list(root.glob("labels/.staging-*/labels.zarr/image/c/0/0")))


def training(root: Path) -> bool:
    return bool(list(root.glob("checkpoints/.staging-*/*")))


def publishing(root: Path) -> bool:
    return bool(list(root.glob("*/.staging-*/manifest.json"))) or bool(list(root.glob("banks/??/*/manifest.json")))


def evaluating(root: Path) -> bool:
    return bool(list(root.glob("evaluations/.staging-*")))


def begun(root: Path) -> bool:
    return bool(list(root.glob("checkpoints/.staging-*")))


def worker(service: Serving) -> None:
    kill(service.worker)


def server(service: Serving) -> None:
    kill(service.server)


def both(service: Serving) -> None:
    pids = (service.server, service.worker)
    for pid in pids:
        kill(pid)


def everything(service: Serving) -> None:
    """As a machine that loses its power."""
    for pid in service.everything():
        kill(pid)
    wait_for(lambda: not service.leftovers(), 10, "the end of all")
    service.up()


CASES: dict[str, tuple[Callable[[Path], bool], float, Callable[[Serving], None]]] = {
    "worker while labelling": (labelling, 1.0, worker),
    "worker while training": (training, 6.0, worker),
    "worker while publishing": (publishing, 0.05, worker),
    "worker while evaluating": (evaluating, 1.0, worker),
    "server": (begun, 15.0, server),
    "server and worker": (begun, 15.0, both),
    "everything": (begun, 15.0, everything),
}


@pytest.mark.parametrize("number", range(ROUNDS))
@pytest.mark.parametrize("case", CASES)
def test_killed_it_ends_as_if_nothing_was(
    service: Serving, undisturbed: dict[str, Any], case: str, number: int
) -> None:
    reached, spread, strike = CASES[case]
    clear(service.root)
    run = service.trigger(NIGHTLY, spec=SPEC)
    deadline = time.monotonic() + 300
    while not reached(service.root):
        assert time.monotonic() < deadline, service.logs()
        time.sleep(0.002)
    moment = random.Random(f"{SEED} {case} {number}").random() * spread
    time.sleep(moment)
    strike(service)
    before = standing(service.root)
    service.finish(run, 600)
    require_the_same(service, undisturbed, before, f"{case}, after {moment:.2f} s")


@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_reboot_with_a_pending_run_in_the_slot(service: Serving, undisturbed: dict[str, Any], number: int) -> None:
    clear(service.root)
    run = service.trigger(NIGHTLY, spec=SPEC)
    wait_for(lambda: service.run(run)["state_type"] == "PENDING", 60, "the run to be taken")
    time.sleep(random.Random(f"{SEED} pending {number}").random() * 2)
    taken = service.run(run)
    assert taken["state_type"] in ("PENDING", "RUNNING"), "it holds the slot"
    everything(service)
    ended = service.finish(run, 600)
    assert ended["id"] == taken["id"], "the same run goes on"
    require_the_same(service, undisturbed, {}, f"a reboot while {taken['state_name']}")


@pytest.mark.parametrize("number", range(ROUNDS))
def test_killed_while_it_promotes_the_alias_moves_once(
    service: Serving, undisturbed: dict[str, Any], number: int
) -> None:
    service.finish(service.trigger(NIGHTLY, spec=SPEC), 600)
    student, alias = undisturbed["artefacts"]["checkpoint 1"], f"alias-{number}"
    run = service.trigger("promote/default", model=student, alias=alias, why="a test")
    wait_for(lambda: service.run(run)["state_type"] == "RUNNING", 120, "the promotion to begin", service.logs)
    moment = random.Random(f"{SEED} promoting {number}").random() * 2
    time.sleep(moment)
    worker(service)
    ended = service.finish(run, 300)
    assert aliases_of(service.root)[alias] == student
    assert [move.after for move in moves_of(service.root) if move.alias == alias] == [student]
    print(f"worker while promoting, after {moment:.2f} s: {ended['state_name']}")


def require_the_same(service: Serving, expected: dict[str, Any], before: dict[str, Any], case: str) -> None:
    """Numbers as in the undisturbed run, no shard done twice, nothing left over, and the next run begins."""
    report = service.report()
    for key in ("steps", "label_sets", "artefacts", "metrics"):
        assert report[key] == expected[key], f"{case}: {key}"
    after = standing(service.root)
    redone = [name for name, stamp in before.items() if after[name] != stamp]
    assert redone == [], case
    assert not list(service.root.glob("*/.staging-*")), case
    following = service.run(service.trigger(NIGHTLY, spec=SPEC))
    service.finish(following["id"], 120)
    print(f"{case}: {len(before)} files of finished shards stand, {service.run(following['id'])['state_name']}")
