"""What names a root in a bucket, and what is refused without being shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from wilss.bucket.address import Address, cache_bytes, endpoint_here, is_address, marker_of, parse_address, working_root
from wilss.errors import SpecError
from wilss.layout import root_folder


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("s3://pets", Address("pets", "")),
        ("s3://pets/", Address("pets", "")),
        ("s3://pets/a/b/", Address("pets", "a/b")),
        ("S3://pets/a", Address("pets", "a")),
        (Path("s3://pets/a"), Address("pets", "a")),  # which has one slash
    ],
)
def test_addresses(said: str | Path, means: Address) -> None:
    assert is_address(said)
    assert parse_address(said) == means
    assert parse_address(str(means)) == means


@pytest.mark.parametrize("said", ["wilss-data", "/tmp/x", "./a:b", "C:/data", "C:\\data", "~/x"])
def test_folders(said: str) -> None:
    assert not is_address(said)
    assert root_folder(said) == Path(said)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("gs://pets/a", "is no root; a root is a folder or s3://BUCKET/PREFIX"),
        ("s3://", "names no bucket"),
        ("s3://UPPER/a", "names no bucket"),
        ("s3://pets/a/../b", "names no bucket"),
        ("s3://pets/a b", "names no bucket"),
        ("s3://pets/a//b", "names no bucket"),
    ],
)
def test_bad_addresses(said: str, why: str) -> None:
    with pytest.raises(SpecError, match=why):
        root_folder(said)


@pytest.mark.parametrize("said", ["s3://key:hidden@pets/a", "s3://pets/a?secret=hidden", "s3://pets/#hidden"])
def test_what_may_be_a_password_is_refused_and_not_shown(said: str) -> None:
    with pytest.raises(SpecError, match="holds a user, a password or options") as caught:
        root_folder(said)
    assert "hidden" not in str(caught.value)


def test_working_roots_of_different_addresses_and_servers_differ(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WILSS_CACHE", str(tmp_path))
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    first = working_root(Address("pets", "a"))
    assert working_root(Address("pets", "a")) == first
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    other = working_root(Address("pets", "a"))
    assert len({first, working_root(Address("pets", "b")), other}) == 3
    marker = marker_of(other)
    assert marker
    assert (marker.address, marker.endpoint) == (Address("pets", "a"), "http://127.0.0.1:1")
    assert marker_of(tmp_path) is None
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://me:hidden@127.0.0.1:1")
    with pytest.raises(SpecError, match="holds a user or a password"):
        endpoint_here()


@pytest.mark.parametrize(("said", "means"), [("5", 5), ("20GB", 20 * 10**9), ("1.5 mb", 1_500_000), ("2TiB", 2 << 40)])
def test_sizes_of_the_cache(monkeypatch: pytest.MonkeyPatch, said: str, means: int) -> None:
    monkeypatch.setenv("WILSS_CACHE_SIZE", said)
    assert cache_bytes() == means


def test_a_size_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WILSS_CACHE_SIZE", "much")
    with pytest.raises(SpecError, match="WILSS_CACHE_SIZE is 'much'"):
        cache_bytes()
