"""Commands whose root is a bucket, from machines that share nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import wilss as library
from tests.commands import Wilss
from tests.flows.conftest import photo
from tests.s3 import KEY, SECRET, Bucket

RUN = ("run", "scenes-15-5", "--preset", "tiny")


def on(machine: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Be another machine from now on: it has a cache of its own."""
    monkeypatch.setenv("WILSS_CACHE", str(tmp_path / machine))


@pytest.mark.usefixtures("prefect_backend")
def test_one_machine_runs_and_others_find_review_promote_and_predict(
    wilss: Wilss, s3: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WILSS_ROOT", s3.address())
    on("a", monkeypatch, tmp_path)
    code, out, err = wilss(*RUN)
    assert code == 0, err
    (key,) = [name for name in s3.names() if name.endswith("/report.json")]
    report = json.loads(s3.read(key))
    commits = s3.commits()
    assert len(commits) == len(set(report["artefacts"].values()))
    said = [out, err]

    on("b", monkeypatch, tmp_path)
    code, out, err = wilss(*RUN)
    assert code == 0, err
    assert json.loads(s3.read(key)) == report
    assert "report: found, nothing was to be done" in err + out
    assert s3.commits() == commits
    code, out, _ = wilss("runs")
    assert report["run"] in out

    on("c", monkeypatch, tmp_path)
    code, out, err = wilss("labels", "list")
    assert code == 0, err
    digest = report["artefacts"]["labels 1"]
    assert digest[:12] in out
    code, out, err = wilss("labels", "show", digest[:12], "-o", tmp_path / "sheet.png")
    assert code == 0, err
    assert (tmp_path / "sheet.png").is_file()

    rows = json.loads(wilss("labels", "stats", digest[:12], "--json")[1])
    assert rows
    code, out, err = wilss("models", "promote", report["artefacts"]["checkpoint 1"][:12], "--who", "anna")
    assert code == 0, err
    said += [out, err]

    on("d", monkeypatch, tmp_path)
    code, out, err = wilss("predict", "champion", photo(tmp_path / "photo.png"), "-o", tmp_path / "masks")
    assert code == 0, err
    assert (tmp_path / "masks" / "photo.png").is_file()
    assert library.load("champion", s3.address()).classes
    code, out, err = wilss("models", "list")
    assert "champion" in out
    code, out, err = wilss("store", "verify")
    assert code == 0, out + err
    code, out, err = wilss("store", "gc", "--yes")
    assert code == 0, err
    assert s3.commits() == commits, "a report and an alias need all of it"

    texts = "".join(said).encode()
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    objects = [s3.read(key) for key in s3.names()]
    for content in (texts, *files, *objects):
        assert SECRET.encode() not in content
        assert KEY.encode() not in content


@pytest.mark.parametrize(
    ("root", "why"),
    [
        ("s3://no-such-bucket-here/x", r"^wilss: there is no bucket 'no-such-bucket-here'; make it"),
        ("gs://pets/x", r"'gs://pets/x' is no root; a root is a folder or s3://BUCKET/PREFIX"),
        ("s3://me:hidden@pets/x", r"the address of a root holds a user, a password or options"),
    ],
)
@pytest.mark.parametrize("command", [("runs",), ("run", "scenes-15-5"), ("labels", "list"), ("store", "verify")])
def test_bad_roots_are_one_sentence(wilss: Wilss, s3: Bucket, root: str, why: str, command: tuple[str, ...]) -> None:
    code, out, err = wilss(*command, "--root", root)
    assert code == 2
    assert re.search(why, " ".join(err.replace("│", " ").split())), err
    assert "Traceback" not in err
    assert "hidden" not in err + out


@pytest.mark.usefixtures("prefect_backend")
def test_a_bucket_that_may_not_be_written_is_told_before_anything_is_made(wilss: Wilss, s3: Bucket) -> None:
    s3.network.refused = ("PUT",)
    code, _, err = wilss("run", "scenes-15-5", "--preset", "tiny", "--root", s3.address())
    assert code == 2
    assert re.search(r"^wilss: the bucket lets nobody with these credentials write 's3://pets-", err, re.MULTILINE), err
    assert "base student: " not in err


@pytest.mark.usefixtures("prefect_backend")
def test_a_bucket_without_conditional_writes_is_told_before_anything_is_made(wilss: Wilss, s3: Bucket) -> None:
    s3.network.plain = True
    code, _, err = wilss("run", "scenes-15-5", "--preset", "tiny", "--root", s3.address())
    assert code == 2
    assert "has no conditional writes (If-None-Match, If-Match)" in err
    assert "base student: " not in err
