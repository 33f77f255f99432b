"""A folder of one's own from ``wilss deploy`` to a run that new photographs began: real service, worker, processes."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployments.bucket import Bucket
from tests.e2e.serving import Serving
from tests.flows.test_own_data import OPTIONS, benchmark_file, own_folder
from tests.pace import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.whole, pytest.mark.timeout(600)]


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    service = Serving(tmp_path / "service")
    service.up()
    yield service
    service.down()


def said(done: subprocess.CompletedProcess[str], code: int = 0) -> str:
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_two_triggers_share_their_work_and_photographs_begin_a_step(serving: Serving, tmp_path: Path) -> None:
    data, benchmark = own_folder(tmp_path / "pets", masks=True), benchmark_file(tmp_path)
    deployed = said(serving.wilss("deploy", str(benchmark), "--data", str(data), *OPTIONS))
    assert "step/mine: new" in deployed
    assert "new images of mine (wilss.images.settled) start relabel, then step" in deployed
    step0 = ["trigger", "step", "--deployment", "mine", "--step", "0"]
    first = said(serving.wilss(*step0, "--detach"))
    second = serving.wilss(*step0)  # the same, while the first is at work
    assert second.returncode == 0, second.stdout + second.stderr
    assert re.search("waits: (pool cpu is|another run of its deployment is) at work", second.stderr), second.stderr
    assert "nothing to do" in second.stdout.lower()
    logged = said(serving.wilss("logs", run_id(first), "--follow"))
    assert "base student" in logged
    assert len(list((serving.root / "checkpoints").glob("??/*/manifest.json"))) == 1

    told = said(serving.wilss("watch", str(data), "--name", "mine", "--settle", "1", "--once", "--at-least", "5"))
    assert "told: wilss.images.settled of wilss.folder.mine" in told
    step1 = finished(serving, "step 1 of mine")
    assert "begun by event wilss.images.settled of wilss.folder.mine" in step1
    assert "completed" in step1
    assert list((serving.root / "runs").glob("mine-*/report.html"))
    assert "0 of 5 new tagged" in said(
        serving.wilss("watch", str(data), "--name", "mine", "--settle", "1", "--once", "--at-least", "5")
    )
    through_a_bucket(serving, data)
    assert "step/mine is removed" in said(serving.wilss("deploy", str(benchmark), "--remove"))


def through_a_bucket(serving: Serving, data: Path) -> None:
    """One more photograph and its row come through a bucket, and another step begins."""
    bucket = Bucket.begin()
    try:
        photographs_of(bucket, serving, data)
    finally:
        bucket.stop()


def photographs_of(bucket: Bucket, serving: Serving, data: Path) -> None:
    serving.env.update(bucket.environment)
    photograph = next((data / "images").iterdir())
    bucket.put("pets/images/another.png", photograph.read_bytes())
    rows = (data / "labels.csv").read_text()
    (data / "labels.csv").unlink()  # what lies in the folder already is not written over
    tags = next(row.partition(",")[2] for row in rows.splitlines()[1:] if row.partition(",")[2])
    bucket.put("pets/labels.csv", f"{rows}another.png,{tags}\n".encode())
    runs = len(serving.api.post("/flow_runs/filter", {}))
    options = ("--into", str(data), "--name", "mine", "--settle", "1", "--once", "--at-least", "1")
    told = said(serving.wilss("watch", bucket.address("pets"), *options))
    assert "2 files copied from 's3://photographs/pets' into" in told
    assert "told: wilss.images.settled of wilss.folder.mine, 1 images" in told
    wait_for(lambda: len(serving.api.post("/flow_runs/filter", {})) > runs, 60, "a run", serving.logs)


def run_id(out: str) -> str:
    found = re.search(r"\(([0-9a-f-]{36})\)", out)
    assert found, out
    return found[1]


def finished(serving: Serving, name: str, seconds: float = 200) -> str:
    """What ``wilss logs`` says of the last run, once it is the one of that name and has ended."""

    def ended() -> str:
        said = serving.wilss("logs").stderr
        return said if name in (first := said.splitlines()[0]) and ": completed" in first else ""

    return wait_for(ended, seconds, f"the end of {name}", serving.logs)
