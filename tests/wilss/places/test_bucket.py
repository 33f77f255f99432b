"""Folders of data in a bucket: the same data as on a disk, through a network that fails, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

import wilss
from tests.s3 import KEY, SECRET, Bucket
from tests.wilss.sharded import shards_of
from tests.wilss.test_folder import CLASSES, own_folder
from wilss.bucket.address import BucketPath, data_folder
from wilss.bucket.pieces import Pieces
from wilss.data.any_folder import open_folder
from wilss.data.check import check_folder
from wilss.data.families import open_source
from wilss.data.folder import FolderSource
from wilss.data.places.opening import known_of, state_of
from wilss.data.spec import DataSpec
from wilss.errors import BucketError, DataError, DataNotFoundError, SpecError, WilssError
from wilss.settings import Settings


def upload(folder: Path, s3: Bucket, prefix: str = "data/pets") -> Path:
    """The folder's address, where it lies now."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            s3.write(f"{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes())
    return data_folder(Path(s3.address(prefix)))


def opened(root: Path, file: Path | None = None) -> FolderSource:
    return FolderSource(root, CLASSES, (1, 2), stamps=known_of(root, file))


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """A folder with names as people have them."""
    folder = own_folder(tmp_path / "folder", "a.jpg,cat\nb,guinea pig;hamster\nc,hamster\nd,\né ü%20#+.jpg,hamster\n")
    (folder / "images" / "é ü%20#+.jpg").write_bytes((folder / "images" / "d.jpg").read_bytes())
    (folder / "eval.txt").write_text("e\n")
    return folder


def content(source: FolderSource) -> dict[str, object]:
    """All that a source holds, once it is checked."""
    source.check()
    ids = (*source.ids("train"), *source.ids("eval"))
    masked = [image_id for image_id in ids if source.has_mask(image_id)]
    return {
        "ids": (source.ids("train"), source.ids("eval")),
        "tags": (source.tags("train"), source.tags("eval")),
        "fingerprint": source.fingerprint,
        "images": {image_id: source.image(image_id).tolist() for image_id in ids},
        "masks": {image_id: source.mask(image_id).tolist() for image_id in masked},
    }


@pytest.mark.parametrize("form", ["folder", "shards"])
def test_a_bucket_holds_what_the_folder_did(pets: Path, tmp_path: Path, s3: Bucket, form: str) -> None:
    data = pets if form == "folder" else shards_of(pets, tmp_path / "shards", 2, "json")
    root = upload(data, s3)
    if form == "folder":
        s3.write("data/pets/images/", b"")  # as consoles make a folder
    s3.network.faults = 0.05
    expected = content(opened(pets))
    assert expected["masks"]
    assert content(opened(root)) == expected


def test_what_was_read_is_read_here_the_next_time(pets: Path, s3: Bucket, tmp_path: Path) -> None:
    root = upload(pets, s3)
    first = opened(root, tmp_path / "stamps.sqlite").fingerprint
    s3.network.seen.clear()
    again = opened(root, tmp_path / "stamps.sqlite")
    assert again.fingerprint == first
    assert again.image("a").equal(opened(pets).image("a"))
    assert [said for said in s3.network.seen if "list-type" not in said] == []


def test_an_object_that_is_written_anew_is_other_data(pets: Path, s3: Bucket, tmp_path: Path) -> None:
    root = upload(pets, s3)
    before, state = opened(root, tmp_path / "stamps.sqlite").fingerprint, state_of(root)
    s3.write("data/pets/images/c.JPG", (pets / "images" / "a.jpg").read_bytes())
    assert opened(root, tmp_path / "stamps.sqlite").fingerprint != before
    assert state_of(root) != state


def test_an_object_that_changes_or_goes_during_a_run_is_told(pets: Path, s3: Bucket) -> None:
    root = upload(pets, s3)
    found = opened(root)
    assert "a" in found.ids("train")
    s3.write("data/pets/images/a.jpg", (pets / "images" / "d.jpg").read_bytes())
    s3.remove("data/pets/images/d.jpg")
    for name in ("a", "d"):
        with pytest.raises(DataError, match=rf"images/{name}.jpg' has changed or is gone since the bucket was listed"):
            found.image(name)


def test_a_damaged_piece_is_brought_again(pets: Path, s3: Bucket, tmp_path: Path) -> None:
    root = upload(pets, s3)
    expected = opened(root).image("a")
    kept = [path for path in (tmp_path / "cache" / "data").rglob("*") if path.is_file()]
    assert kept
    for path in kept:
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    assert opened(root).image("a").equal(expected)


def test_what_is_kept_is_bounded_and_the_oldest_goes(tmp_path: Path) -> None:
    pieces, asked = Pieces(tmp_path, 1000), list[str]()

    def obtain(name: str) -> bytes:
        return pieces.obtain(name, lambda: (asked.append(name), bytes(100))[1])

    for k in range(20):
        assert obtain(str(k)) == bytes(100)
        assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 1000
        obtain("0")  # which is used again and again
    assert asked.count("0") == 1
    assert obtain("1") == bytes(100)
    assert asked.count("1") == 2
    assert pieces.obtain("huge", lambda: bytes(2000)) == bytes(2000)


@pytest.mark.parametrize(
    ("address", "error", "why"),
    [
        (
            "s3://no-such-bucket-here/x",
            BucketError,
            "there is no bucket 'no-such-bucket-here'; make it, or .* --data",
        ),
        ("{}/none", DataNotFoundError, r"/none' holds nothing; see that bucket and prefix are those of the data"),
        ("gs://pets/x", SpecError, "'gs://pets/x' is no data folder; a data folder is a folder or s3://BUCKET/PREFIX"),
        ("s3://me:hidden@pets/x", SpecError, "the address of a data folder holds a user, a password or options"),
    ],
)
def test_addresses_without_data_are_refused(s3: Bucket, address: str, error: type[WilssError], why: str) -> None:
    with pytest.raises(error, match=why) as caught:
        open_folder(data_folder(Path(address.format(f"s3://{s3.name}"))))
    assert "hidden" not in str(caught.value)


def test_a_bucket_that_may_not_be_read_is_told_without_its_keys(pets: Path, s3: Bucket) -> None:
    root = upload(pets, s3)
    s3.network.refused = ("GET",)
    with pytest.raises(BucketError, match=r"lets nobody with these credentials list .*may list and read") as caught:
        opened(root)
    assert KEY not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_images_and_shards_together_and_cut_shards_are_refused(pets: Path, s3: Bucket, tmp_path: Path) -> None:
    root = upload(pets, s3)
    s3.write("data/pets/more.tar", b"..")
    with pytest.raises(DataError, match=r"'s3://pets-\w+/data/pets' holds both images/ and shards such as 'more.tar'"):
        open_folder(root)
    cut = shards_of(pets, tmp_path / "shards", 1, "cls")
    (cut / "part-000.tar").write_bytes((cut / "part-000.tar").read_bytes()[:3000])
    with pytest.raises(DataError, match=r"'s3://pets-\w+/cut/part-000.tar' is cut short"):
        check_folder(open_folder(upload(cut, s3, "cut")))


@pytest.mark.parametrize("family", ["voc", "coco"])
def test_public_layouts_are_read_from_disks_alone(s3: Bucket, tmp_path: Path, family: str) -> None:
    settings = Settings(data=Path(s3.address()), root=tmp_path)
    with pytest.raises(SpecError, match=r"'s3://pets-.* is a bucket, and (voc|coco) data are read from a folder"):
        open_source(family, DataSpec(), settings)


def test_passwords_are_in_no_error_of_the_library() -> None:
    for ask in (lambda data: wilss.open_source("voc", data), lambda data: Settings(data=Path(data))):
        with pytest.raises(ValueError, match="holds a user, a password or options") as caught:
            ask("s3://me:s3cr3tw0rd@pets/x")
        assert "s3cr3tw0rd" not in str(caught.value)


def test_addresses_are_shown_as_people_write_them(s3: Bucket) -> None:
    settings = Settings(data=Path("s3://pets/a/"))
    assert str(settings.data) == "s3://pets/a"
    assert settings.sources == {"data": "s3://pets/a"}
    assert Settings.model_validate_json(settings.model_dump_json()).data == settings.data
    assert isinstance(settings.data, BucketPath)
    assert str(settings.data / "images" / "b.jpg") == "s3://pets/a/images/b.jpg"
