"""A bucket's photographs in a folder, from a real server of S3's protocol."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from deployments.mirroring import LOCK, NOTES, Mirror, is_address
from deployments.watching import Watcher
from tests.commands import Wilss
from tests.deployments.bucket import Bucket
from wilss.errors import DataError, SpecError, StorageError


def listed(folder: Path) -> list[str]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name not in (NOTES, LOCK))
    return sorted(path.relative_to(folder).as_posix() for path in found)


def mirror(bucket: Bucket, folder: Path) -> Mirror:
    """Of the prefix "pets", which asks the bucket every time."""
    return Mirror(bucket.address("pets"), folder / "here", every=0)


def test_what_makes_a_data_folder_is_copied_once(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("pets/labels.csv", b"image,labels\n0.jpg,cat\n")
    bucket.put("pets/images/0.jpg", b"zero")
    bucket.put("pets/images/deep down/ä #1%.jpg", b"one")
    bucket.put("pets/images/", b"")  # how consoles mark a folder
    for other in (
        "pets/method.py",
        "pets/.git/hooks/run",
        "pets/images/.hidden",
        "pets/a.partial",
        "pets2/images/2.jpg",
    ):
        bucket.put(other, b"not asked for")
    here = mirror(bucket, tmp_path)
    assert here.refresh() == 3
    assert listed(here.folder) == ["images/0.jpg", "images/deep down/ä #1%.jpg", "labels.csv"]
    assert (here.folder / "images/deep down/ä #1%.jpg").read_bytes() == b"one"
    assert here.refresh() == 0
    assert mirror(bucket, tmp_path).refresh() == 0, "another process knows what is there"
    (here.folder / NOTES).unlink()
    assert mirror(bucket, tmp_path).refresh() == 0, "and so does one that was killed before it noted it"


def test_new_and_changed_objects_are_copied_and_gone_ones_stay(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("pets/images/0.jpg", b"zero")
    here = mirror(bucket, tmp_path)
    here.refresh()
    bucket.put("pets/images/0.jpg", b"nill")  # as long as before, and maybe within the same second
    bucket.put("pets/images/1.jpg", b"one")
    assert mirror(bucket, tmp_path).refresh() == 2
    assert (here.folder / "images/0.jpg").read_bytes() == b"nill"
    bucket.remove("pets/images/1.jpg")
    assert here.refresh() == 0
    assert listed(here.folder) == ["images/0.jpg", "images/1.jpg"]


@pytest.mark.parametrize("age", [-1000, 1000])
def test_what_was_changed_here_is_not_written_over_and_the_rest_is_copied(
    bucket: Bucket, tmp_path: Path, age: int
) -> None:
    bucket.put("pets/images/0.jpg", b"zero")
    bucket.put("pets/labels.csv", b"image,labels\n")
    here = mirror(bucket, tmp_path)
    here.refresh()
    table = here.folder / "labels.csv"
    changed = table.stat().st_mtime + age
    table.write_text("image,labels\n0.jpg,mine\n")
    os.utime(table, (changed, changed))
    bucket.put("pets/labels.csv", b"image,labels\n0.jpg,theirs\n")
    bucket.put("pets/images/1.jpg", b"one")
    for _ in range(2):
        with pytest.raises(
            DataError, match=r"labels.csv' is no copy of .*, or was changed here, and is not written over"
        ):
            here.refresh()
    assert "mine" in table.read_text()
    assert listed(here.folder) == ["images/0.jpg", "images/1.jpg", "labels.csv"]
    table.unlink()
    assert here.refresh() == 1


def test_what_lay_there_before_is_not_written_over(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("pets/images/0.jpg", b"zero")
    own = tmp_path / "here" / "images" / "0.jpg"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"my own")
    os.utime(own, (1, 1))
    with pytest.raises(DataError, match="is no copy of"):
        mirror(bucket, tmp_path).refresh()
    assert own.read_bytes() == b"my own"


def test_links_lead_nowhere_else(bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "here" / "images").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "here" / "labels.csv.partial").symlink_to(tmp_path / "victim")
    bucket.put("pets/images/0.jpg", b"zero")
    bucket.put("pets/labels.csv", b"image,labels\n")
    here = mirror(bucket, tmp_path)
    with pytest.raises(DataError, match=r"the object 'images/0.jpg' of .* has no place in"):
        here.refresh()
    assert listed(tmp_path / "elsewhere") == []
    assert (tmp_path / "victim").read_text() == "mine"
    assert (here.folder / "labels.csv").read_text() == "image,labels\n"
    assert here._place("/etc/x").is_relative_to(here.folder)
    for key in ("../labels.csv", "images/../../x", "images//../../../x"):
        with pytest.raises(DataError, match="has no place in"):
            here._place(key)


def test_odd_objects_are_told_and_the_rest_is_copied(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("pets/images/a", b"a file")
    bucket.put("pets/images/a/b.jpg", b"in a folder of its name")
    bucket.put(f"pets/images/{'n' * 250}.jpg", b"too long")
    bucket.put("pets/images/z.jpg", b"fine")
    here = mirror(bucket, tmp_path)
    with pytest.raises(DataError, match=r"cannot be written \(.*\); rename the object .* \(and 1 more like it\)"):
        here.refresh()
    assert listed(here.folder) == ["images/a", "images/z.jpg"]


def test_the_table_comes_last(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is stopped in the middle has photographs without tags, not tags without photographs."""
    bucket.put("pets/labels.csv", b"image,labels\nz.jpg,cat\n")
    bucket.put("pets/masks/z.png", b"1")
    here, copied = mirror(bucket, tmp_path), []
    copy = here._copy
    monkeypatch.setattr(here, "_copy", lambda meta: copied.append(meta["path"]) or copy(meta))
    here.refresh()
    assert copied == ["masks/z.png", "labels.csv"]


def test_a_bucket_is_asked_every_half_minute(bucket: Bucket, tmp_path: Path) -> None:
    now = [0.0]
    here = Mirror(bucket.address("pets"), tmp_path / "here", clock=lambda: now[0])
    bucket.put("pets/images/0.jpg", b"zero")
    assert here.refresh() == 1
    bucket.put("pets/images/1.jpg", b"one")
    now[0] = 29.0
    assert here.refresh() == 0
    now[0] = 30.0
    assert here.refresh() == 1


def test_there_has_to_be_room(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.put("pets/images/0.jpg", b"zero")
    monkeypatch.setattr("wilss.outputs.shutil.disk_usage", lambda folder: type("Usage", (), {"free": 3})())
    with pytest.raises(StorageError, match="make room, or choose another"):
        mirror(bucket, tmp_path).refresh()
    assert listed(tmp_path / "here") == []


def test_a_bucket_that_cannot_be_read_is_said_and_what_is_there_is_looked_at(bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no images/ and no labels\.csv; name the prefix"):
        mirror(bucket, tmp_path).refresh()
    with pytest.raises(DataError, match="'s3://no-such-bucket/x' cannot be read"):
        Mirror("s3://no-such-bucket/x", tmp_path / "other").refresh()
    bucket.put("pets/labels.csv", b"image,labels\n0.jpg,cat\n")
    bucket.put("pets/images/0.jpg", b"no photograph")
    here = mirror(bucket, tmp_path)
    here.refresh()
    watcher = Watcher(here.folder, 0.0, before=here.refresh)
    assert watcher.look({}).problem == ""
    bucket.stop()
    look = watcher.look({})
    assert "cannot be read" in look.problem
    assert look.broken == ("0",)


def test_a_folder_is_of_one_bucket_and_one_process(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("pets/images/0.jpg", b"zero")
    bucket.put("zoo/images/0.jpg", b"zoo")
    here = mirror(bucket, tmp_path)
    here.refresh()
    assert json.loads((here.folder / NOTES).read_text())["address"] == bucket.address("pets")
    with pytest.raises(SpecError, match="has copies of 's3://photographs/pets', not of"):
        Mirror(bucket.address("zoo"), here.folder).refresh()
    with (
        here.alone(),
        pytest.raises(SpecError, match="another process copies a bucket into"),
        mirror(bucket, tmp_path).alone(),
    ):
        pass


@pytest.mark.parametrize(
    "address",
    [
        "ftp://bucket/x",
        "s3:///x",
        "s3://me:secret@bucket/x",
        "s3://me:sec/ret@bucket/x",
        "https://me:secret@host/x",
        "s3://bucket/x?key=secret",
        "s3://[bucket/x",
    ],
)
def test_addresses_that_are_refused_are_not_shown(wilss: Wilss, address: str, tmp_path: Path) -> None:
    for options in ((), ("--into", tmp_path / "made")):
        code, out, said = wilss("watch", address, *options)
        assert code == 2
        assert "the address is none of a bucket, which are s3://BUCKET/PREFIX" in " ".join(said.split())
        assert "secret" not in out + said
    assert not (tmp_path / "made").exists()


def test_what_a_provider_needs_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AZURE")]:
        monkeypatch.delenv(name)
    with pytest.raises(SpecError, match=r"cannot be opened .*AZURE_STORAGE_ACCOUNT_NAME"):
        Mirror("az://container/x", tmp_path)


def test_a_bucket_needs_a_folder_and_a_folder_no_other(wilss: Wilss, tmp_path: Path) -> None:
    assert is_address("s3://bucket/x")
    assert not is_address("C:/photos")
    code, _, said = wilss("watch", "s3://bucket/x")
    assert (code, "name the folder that its photographs are copied into by --into" in said) == (2, True), said
    code, _, said = wilss("watch", tmp_path, "--into", tmp_path / "copy")
    assert (code, "--into is for buckets" in said) == (2, True), said


def test_nothing_is_copied_before_there_is_a_service(bucket: Bucket, wilss: Wilss, tmp_path: Path) -> None:
    bucket.put("pets/images/0.jpg", b"zero")
    code, _, said = wilss("watch", bucket.address("pets"), "--into", tmp_path / "here", "--root", tmp_path / "root")
    assert code == 2, said
    assert not (tmp_path / "here").exists()
