"""Shards of tars as the images of a folder: what they hold, how it is read, and what is refused."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tests.wilss.odd_files import noise
from tests.wilss.sharded import Tags, samples_of, shards_of, write_tar
from tests.wilss.test_folder import CLASSES, own_folder
from wilss.data.any_folder import open_folder
from wilss.data.check import check_folder
from wilss.data.folder import FolderSource
from wilss.data.places.opening import known_of
from wilss.data.places.place import DISK
from wilss.errors import DataError, DataNotFoundError

WHOLE = range(1, len(CLASSES) + 1)


def opened(root: Path, file: Path | None = None) -> FolderSource:
    return FolderSource(root, CLASSES, (1, 2), stamps=known_of(root, file))


def picture(folder: Path, name: str = "a.jpg") -> bytes:
    folder.mkdir(parents=True, exist_ok=True)
    noise().save(folder / name)
    return (folder / name).read_bytes()


def refused(root: Path) -> list[str]:
    found = check_folder(open_folder(root)).findings
    return [str(finding) for finding in found if finding.severity == "refuse"]


@pytest.mark.parametrize("tags", ["table", "cls", "json", "txt"])
def test_shards_are_the_folder_that_they_were_made_of(tmp_path: Path, tags: Tags) -> None:
    folder = own_folder(tmp_path / "folder")
    (folder / "eval.txt").write_text("e\n")
    plain, packed = opened(folder), opened(shards_of(folder, tmp_path / "shards", 3, tags))
    assert packed.ids("train") == plain.ids("train") == ("a", "b", "c", "d")
    assert packed.ids("eval") == ("e",)
    assert packed.tags("train") == plain.tags("train")
    assert packed.fingerprint == plain.fingerprint
    for image_id in "abcde":
        assert packed.image(image_id).equal(plain.image(image_id))
        assert packed.has_mask(image_id) == plain.has_mask(image_id)
    assert packed.mask("a").equal(plain.mask("a"))
    packed.check()


def test_names_of_folders_in_a_tar_and_their_form_change_nothing(tmp_path: Path) -> None:
    folder = own_folder(tmp_path / "folder")
    plain = opened(folder).fingerprint
    for number, form in enumerate((tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT)):
        root = tmp_path / str(number)
        files = {name: content for sample in samples_of(folder, "cls").values() for name, content in sample.items()}
        write_tar(root / "all.tar", {f"./train/v1.0/{name}": content for name, content in files.items()}, form)
        assert opened(root).fingerprint == plain


def test_a_tar_is_indexed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = shards_of(own_folder(tmp_path / "folder"), tmp_path / "shards")
    now = __import__("time").time_ns
    monkeypatch.setattr("time.time_ns", lambda: now() + 10**12)
    first = opened(root, tmp_path / "stamps.sqlite")
    known = first.fingerprint
    monkeypatch.setattr(DISK, "part", None, raising=True)  # nothing of a shard is read
    assert opened(root, tmp_path / "stamps.sqlite").fingerprint == known


def test_a_shard_that_changes_during_a_run_is_told(tmp_path: Path) -> None:
    root = shards_of(own_folder(tmp_path / "folder"), tmp_path / "shards", 1)
    found = opened(root)
    assert found.ids("train")
    write_tar(root / "part-000.tar", {"a.jpg": picture(tmp_path / "x")})
    with pytest.raises(DataError, match=r"part-000.tar' has changed since its files were listed; start again"):
        found.image("a")
    (root / "part-000.tar").unlink()
    with pytest.raises(DataNotFoundError, match=r"part-000.tar' does not exist"):
        found.image("a")


def test_what_a_sample_holds_beside_is_passed_over(tmp_path: Path) -> None:
    files = {"a.jpg": picture(tmp_path / "x"), "a.cls": b"cat", "a.npy": b"..", "._a.jpg": b"..", "README": b".."}
    write_tar(tmp_path / "s" / "one.tar", files)
    report = check_folder(open_folder(tmp_path / "s"))
    assert report.sound
    assert report.images == 1
    assert report.passed_over == {"field that is not read": 2, "hidden file": 1}
    assert report.classes == {"cat": 1}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"a.jpg": None, "a.png": None},
            "a.jpg' and 'a.png' are both images of one sample; keep one; a mask is called",
        ),
        ({"a.jpg": None, "b.cls": b"cat"}, "b.cls' has no image 'b.jpg' beside it; a sample is KEY.jpg, and"),
        ({"a.jpg": None, "a.seg.png": None, "a.mask.png": None}, "and 'a.mask.png' are both its mask; keep one"),
        ({"a.jpg": None, "x/a.jpg": None}, "one.tar' holds 'a.jpg' twice, so that it is open which is meant"),
        ({"a.jpg": None, "a.cls": b"3"}, "a.cls' holds the number 3, and nothing says which class that is; write the"),
        ({"a.jpg": None, "a.json": b'{"labels": {"cat": 1}}'}, 'which are no names; write {"labels": ["cat"'),
        ({"a.jpg": None, "a.json": b"{"}, "a.json' is no JSON ("),
        ({"a.jpg": None}, "has no labels: write labels.csv beside its shards, or KEY.cls or KEY.json"),
        ({"a.jpg": b"no image", "a.cls": b"cat"}, "one.tar/a.jpg' cannot be decoded as an image"),
        ({"a.jpg": None, "a.cls": b"cat", "a.mask.jpg": None}, "mask"),
    ],
)
def test_samples_that_are_none_are_refused_by_name(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    content = picture(tmp_path / "x")
    write_tar(tmp_path / "s" / "one.tar", {name: found or content for name, found in files.items()})
    assert any(message in told for told in refused(tmp_path / "s"))


def test_one_key_in_two_shards_is_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_tar(tmp_path / "s" / f"{name}.tar", {"a.jpg": picture(tmp_path / "x"), "a.cls": b"cat"})
    (told,) = refused(tmp_path / "s")
    assert told.startswith(f"'{tmp_path / 's' / 'one.tar'}' and 'two.tar' both have a sample 'a'")


def test_an_image_named_like_a_mask_is_a_warning(tmp_path: Path) -> None:
    content = picture(tmp_path / "x")
    write_tar(tmp_path / "s" / "one.tar", {"a.jpg": content, "a_mask.png": content, "a.cls": b"cat"})
    found = check_folder(open_folder(tmp_path / "s")).findings
    assert any(f.severity == "warn" and "named like the mask of 'a'; call it a.mask.png" in str(f) for f in found)


def test_numbers_are_read_by_the_list_beside(tmp_path: Path) -> None:
    content, root = picture(tmp_path / "x"), tmp_path / "s"
    write_tar(
        root / "one.tar", {"a.jpg": content, "a.cls": b"2\n", "b.jpg": content, "b.json": b'{"labels": [0, "cat"]}'}
    )
    (root / "classes.txt").write_text("hamster\ndog\nguinea pig\n")
    assert opened(root).tags("train") == ((), (3,))  # guinea pig is of step 0, and a has no mask to learn it from
    assert opened(root).tag_names() == {"a": ("guinea pig",), "b": ("hamster", "cat")}
    (root / "classes.txt").write_text("hamster\n")
    assert "names 1 classes, from 0 to 0; correct one" in refused(root)[0]


def test_tags_of_unknown_classes_are_told_with_their_file(tmp_path: Path) -> None:
    write_tar(tmp_path / "s" / "one.tar", {"a.jpg": picture(tmp_path / "x"), "a.cls": b"dragon"})
    told = [str(finding) for finding in opened(tmp_path / "s").findings() if finding.kind == "unknown-class"]
    assert len(told) == 1
    assert told[0].startswith(f"'{tmp_path / 's' / 'one.tar' / 'a.cls'}' names the class 'dragon', which is none")


def test_images_and_shards_in_one_folder_are_refused(tmp_path: Path) -> None:
    root = own_folder(tmp_path / "folder")
    write_tar(root / "more.tar", {"z.jpg": picture(tmp_path / "x")})
    with pytest.raises(DataError, match=r"holds both images/ and shards such as 'more.tar'"):
        open_folder(root)


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tgz", "a.tar.zst"])
def test_compressed_shards_are_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x1f\x8b")
    with pytest.raises(DataError, match=rf"{name}' is compressed, so that no image in it can be read by itself"):
        open_folder(tmp_path)


def test_images_with_dots_in_their_names_are_not_lost(tmp_path: Path) -> None:
    """Another view of a sample that has its image is a field that is not read."""
    jpg = picture(tmp_path / "p")
    root = tmp_path / "shards"
    write_tar(root / "s.tar", {"a.jpg": jpg, "a.left.jpg": jpg, "a.cls": b"cat"})
    assert refused(root) == []
    write_tar(root / "s.tar", {"a.jpg": jpg, "a.cls": b"cat", "photo.v1.jpg": jpg, "photo.v2.jpg": jpg})
    (said,) = refused(root)
    assert "photo.v1.jpg' has several dots in its name, and a key ends at the first" in said


def test_what_lies_beside_shards_and_would_not_be_read_is_told(tmp_path: Path) -> None:
    root = tmp_path / "shards"
    write_tar(root / "s.tar", {"a.jpg": picture(tmp_path / "p"), "a.cls": b"cat"})
    (root / "two.tar").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataNotFoundError, match=r"two\.tar"):
        opened(root).ids("train")
    (root / "two.tar").unlink()
    (root / "masks").mkdir()
    with pytest.raises(DataError, match="holds masks/ beside shards, which would not be read"):
        opened(root)


def test_a_blank_line_among_the_classes_is_no_class(tmp_path: Path) -> None:
    root = tmp_path / "shards"
    write_tar(root / "s.tar", {"a.jpg": picture(tmp_path / "p"), "a.cls": b"1"})
    (root / "classes.txt").write_text("cat\n\ndog\n")
    with pytest.raises(DataError, match=r"number 1, and '.*classes\.txt:2' is blank"):
        opened(root).tags("train")
