"""A bucket's photographs in a folder, from a real server of S3's protocol."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployments.mirroring import Mirror, is_address
from deployments.watching import Watcher
from tests.commands import Wilss
from tests.deployments.bucket import Bucket
from wilss.errors import DataError, SpecError


def listed(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_what_lies_below_the_prefix_is_copied_once(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("pets/labels.csv", b"image,labels\n0.jpg,cat\n")
    bucket.put("pets/images/0.jpg", b"zero")
    bucket.put("pets/images/deep/1.jpg", b"one")
    bucket.put("pets/images/", b"")  # how consoles mark a folder
    bucket.put("others/images/2.jpg", b"two")
    mirror = Mirror(bucket.address("pets"), tmp_path / "here")
    assert mirror.refresh() == 3
    assert listed(mirror.folder) == ["images/0.jpg", "images/deep/1.jpg", "labels.csv"]
    assert (mirror.folder / "images/deep/1.jpg").read_bytes() == b"one"
    assert mirror.refresh() == 0
    assert Mirror(bucket.address("pets"), mirror.folder).refresh() == 0, "another process knows what is there"


def test_new_and_changed_objects_are_copied_and_gone_ones_stay(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("pets/images/0.jpg", b"zero")
    mirror = Mirror(bucket.address("pets"), tmp_path / "here")
    mirror.refresh()
    bucket.put("pets/images/0.jpg", b"nill")  # as long as before, and maybe within the same second
    bucket.put("pets/images/1.jpg", b"one")
    assert mirror.refresh() == 2
    assert (mirror.folder / "images/0.jpg").read_bytes() == b"nill"
    bucket.remove("pets/images/1.jpg")
    assert mirror.refresh() == 0
    assert listed(mirror.folder) == ["images/0.jpg", "images/1.jpg"]


def test_what_was_changed_here_is_not_written_over(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("pets/labels.csv", b"image,labels\n")
    mirror = Mirror(bucket.address("pets"), tmp_path / "here")
    mirror.refresh()
    (mirror.folder / "labels.csv").write_text("image,labels\n0.jpg,mine\n")
    with pytest.raises(DataError, match=r"labels.csv' was changed after .* is not written over"):
        mirror.refresh()
    assert "mine" in (mirror.folder / "labels.csv").read_text()


def test_a_whole_table_is_there_only_with_its_images(bucket: Bucket, tmp_path: Path) -> None:
    """Whoever is stopped in the middle has photographs without tags, not tags without photographs."""
    bucket.put("pets/labels.csv", b"image,labels\nz.jpg,cat\n")
    bucket.put("pets/z.jpg/below", b"1")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "z.jpg").write_bytes(b"a file where a folder is to be")
    with pytest.raises((DataError, SpecError)):
        Mirror(bucket.address("pets"), tmp_path / "here").refresh()
    assert listed(tmp_path / "here") == ["z.jpg"]


def test_a_bucket_that_cannot_be_read_is_said_and_seen_again(bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no object; name the prefix"):
        Mirror(bucket.address("nothing"), tmp_path / "here").refresh()
    with pytest.raises(DataError, match="'s3://no-such-bucket/x' cannot be read"):
        Mirror("s3://no-such-bucket/x", tmp_path / "here").refresh()
    bucket.put("pets/labels.csv", b"image,labels\n0.jpg,cat\n")
    bucket.put("pets/images/0.jpg", b"zero")
    mirror = Mirror(bucket.address("pets"), tmp_path / "here")
    mirror.refresh()
    watcher = Watcher(mirror.folder, 0.0, before=mirror.refresh)
    assert watcher.look({}).problem == ""
    bucket.stop()
    assert "cannot be read" in watcher.look({}).problem


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("ftp://bucket/x", "is no bucket; they are named as s3://..., gs://..., az://..."),
        ("s3:///x", "is no bucket"),
        ("s3://me:secret@bucket/x", "has a user or options in it"),
        ("s3://bucket/x?key=secret", "has a user or options in it"),
    ],
)
def test_addresses_that_are_refused(address: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=problem.replace("?", ".").replace("...", ".*")) as raised:
        Mirror(address, tmp_path)
    assert "secret" not in str(raised.value)


def test_a_bucket_needs_a_folder_and_a_folder_no_other(wilss: Wilss, tmp_path: Path) -> None:
    assert is_address("s3://bucket/x")
    assert not is_address("C:/photos")
    code, _, said = wilss("watch", "s3://bucket/x")
    assert (code, "name the folder that its photographs are copied into by --into" in said) == (2, True), said
    code, _, said = wilss("watch", tmp_path, "--into", tmp_path / "copy")
    assert (code, "--into is for buckets" in said) == (2, True), said
