"""Requests to a real server of S3's protocol, through a network that fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.s3 import KEY, SECRET, Bucket
from wilss.bucket.address import Marker
from wilss.bucket.client import PIECE, Client
from wilss.damage import FileMark, mark_of
from wilss.errors import BucketError


@pytest.fixture
def client(s3: Bucket) -> Client:
    return Client(Marker(bucket=s3.name, prefix="roots/pets"))


def test_objects_come_and_go(client: Client, s3: Bucket) -> None:
    assert client.get("a/b") is None
    client.put("a/b", b"one")
    content, tag = client.get("a/b") or (b"", "")
    assert content == b"one"
    assert client.get("a/b", tag) is None, "nothing new"
    client.put("a/c", b"")
    client.put("ab", b"x")
    assert [(one.key, one.bytes) for one in client.list("a")] == [("a/b", 3), ("a/c", 0)]
    assert s3.names() == ["roots/pets/a/b", "roots/pets/a/c", "roots/pets/ab"]
    client.delete("a/b", "not there")
    assert client.get("a/b", tag) is None
    assert [one.key for one in client.list("a")] == ["a/c"]


def test_only_the_first_is_put_and_only_the_seen_version_is_written_over(client: Client) -> None:
    tag = client.put_new("k", b"first")
    assert tag
    assert client.put_new("k", b"second") is None
    assert client.get("k") == (b"first", tag)
    newer = client.put_over("k", b"third", tag)
    assert newer
    assert client.put_over("k", b"fourth", tag) is None
    assert client.put_over("none", b"fifth", tag) is None
    assert client.get("k") == (b"third", newer)


def test_an_answer_that_was_lost_is_no_refusal(client: Client, s3: Bucket) -> None:
    """Whoever asks again finds what stands there to be its own."""
    s3.network.faults = 0.5
    for n in range(12):
        tag = client.put_new(f"k{n}", f"mine {n}".encode())
        assert tag
        assert client.put_over(f"k{n}", f"new {n}".encode(), tag)
        assert client.put_new(f"k{n}", b"other") is None
    s3.network.faults = 0.0
    assert s3.network.hurt > 12
    assert [client.get(f"k{n}") and (client.get(f"k{n}") or ())[0] for n in range(12)] == [
        f"new {n}".encode() for n in range(12)
    ]


def test_files_come_whole_or_not_at_all(client: Client, s3: Bucket, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(2 * PIECE + 5))
    mark = mark_of(source)
    client.put("file", source)
    s3.network.faults = 0.3
    assert client.download("file", mark, target)
    assert target.read_bytes() == source.read_bytes()
    s3.network.faults = 0.0
    target.unlink()
    other = FileMark(bytes=mark.bytes, checksum="0" * 32)
    assert not client.download("file", other, target)
    assert not client.download("gone", mark, target)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["source"]


def test_empty_files(client: Client, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"")
    client.put("file", source)
    assert client.download("file", mark_of(source), target)
    assert target.read_bytes() == b""


@pytest.mark.parametrize("refused", ["GET", "PUT", "POST"])
def test_what_is_refused_is_told_once_and_without_the_key(client: Client, s3: Bucket, refused: str) -> None:
    client.put("k", b"1")
    s3.network.refused = (refused,)
    ask = {
        "GET": lambda: client.get("k"),
        "PUT": lambda: client.put_new("k2", b"1"),
        "POST": lambda: client.delete("k"),  # several are removed by one
    }
    s3.network.seen.clear()
    with pytest.raises(BucketError, match="lets nobody with these credentials") as caught:
        ask[refused]()
    assert len(s3.network.seen) == 1, "asking again would not help"
    assert not {KEY, SECRET} & set(str(caught.value).split())
    assert KEY not in str(caught.value)


def test_a_server_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, s3: Bucket) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(BucketError, match=r"^'s3://pets/x' cannot be reached \(.*\); see that bucket, endpoint"):
        Client(Marker(bucket="pets", prefix="x")).get("k")


def test_without_credentials_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(BucketError, match="there are no credentials for 's3://pets'; set AWS_ACCESS_KEY_ID"):
        Client(Marker(bucket="pets", prefix=""))


def test_a_profile_is_taken(s3: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    (tmp_path / "credentials").write_text(f"[mine]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "mine")
    assert Client(Marker(bucket=s3.name, prefix="x")).put_new("k", b"1")
