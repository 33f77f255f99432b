"""The inspector over a root in a bucket: what other machines made and said is shown, what is said here they see."""

from __future__ import annotations

from pathlib import Path

import pytest

from stores.labels.review import Review
from stores.labels.review.outcome import read_applied
from tests.deployments import world
from tests.s3 import Bucket
from wilss.bucket.remote import push_all, remote_of
from wilss.layout import root_folder


def root_on(machine: str, s3: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("WILSS_CACHE", str(tmp_path / machine))
    return root_folder(s3.address())


def test_two_desks_over_one_bucket(s3: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    a = root_on("a", s3, monkeypatch, tmp_path)
    digests = world.make(a)
    push_all()
    first, second = (world.client(root_on(name, s3, monkeypatch, tmp_path)) for name in "bc")
    digest = digests["first"]
    for page in ("/", "/labels", "/models", "/runs", f"/labels/{digest}"):
        assert first.get(page).status_code == 200, page
    assert digest[:12] in first.get("/labels").text
    body = {"what": "accept", "rows": [[3, 1, 0]]}
    said = first.post(f"/api/labels/{digest}/acts", json=body)
    assert said.status_code == 200, said.text
    late = second.post(f"/api/labels/{digest}/acts", json={"what": "reject", "rows": [[3, 1, 0]]})
    assert late.status_code == 409, "somebody was faster, and it is told"
    applied = first.post(f"/api/labels/{digest}/apply", json={})
    assert applied.status_code == 200, applied.text
    d = root_on("d", s3, monkeypatch, tmp_path)
    assert Review.open(d, digest).acts[-1].what == "accept"
    note = read_applied(d, digest)
    assert note
    remote = remote_of(d)
    assert remote
    assert remote.knows("labels", note.child)
