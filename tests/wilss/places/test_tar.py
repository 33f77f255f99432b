"""The index of a tar: where its files begin, and tars that are cut, damaged or made to do harm."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from tests.wilss.sharded import write_tar
from wilss.data.places.place import DISK
from wilss.data.places.tar import members_of
from wilss.errors import DataError

LONG = "k" * 300


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_files_are_found_where_they_begin(tmp_path: Path, form: int) -> None:
    files = {"a.jpg": b"first", f"{LONG}.jpg": b"x" * 1000, "é.cls": b"cat", "empty.txt": b""}
    path = write_tar(tmp_path / "s.tar", files, form)
    members, others = members_of(path, DISK)
    assert others == 0
    assert {member.name: DISK.part(path, member.start, member.size) for member in members} == files


def test_a_second_name_of_a_file_in_the_tar_is_that_file(tmp_path: Path) -> None:
    """As tar writes a file that has two names on the disk."""
    (tmp_path / "a.jpg").write_bytes(b"first")
    (tmp_path / "b.jpg").hardlink_to(tmp_path / "a.jpg")
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        for name in ("a.jpg", "b.jpg"):
            tar.add(tmp_path / name, f"./{name}")
    members, others = members_of(tmp_path / "s.tar", DISK)
    assert others == 0
    found = {member.name: DISK.part(tmp_path / "s.tar", member.start, member.size) for member in members}
    assert found == {"./a.jpg": b"first", "./b.jpg": b"first"}


def test_a_name_that_comes_twice_is_listed_twice(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        for size in (3, 5):
            entry = tarfile.TarInfo("a.jpg")
            entry.size = size
            tar.addfile(entry, io.BytesIO(bytes(size)))
    assert [(member.name, member.size) for member in members_of(tmp_path / "s.tar", DISK)[0]] == [
        ("a.jpg", 3),
        ("a.jpg", 5),
    ]


def test_links_are_counted_and_never_followed(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        for name, kind in (("folder", tarfile.DIRTYPE), ("a.jpg", tarfile.SYMTYPE), ("b.jpg", tarfile.LNKTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc/passwd"
            tar.addfile(entry)
    assert members_of(tmp_path / "s.tar", DISK) == ([], 2)


def test_a_tar_that_ends_too_early_is_told_wherever_it_ends(tmp_path: Path) -> None:
    content = write_tar(tmp_path / "s.tar", {f"{k}.jpg": bytes(700) for k in range(3)}).read_bytes()
    end = 3 * (512 + 1024)
    for size in (100, 512, 600, 512 + 700, 1536, 1536 + 300, end - 1, end):
        (tmp_path / "s.tar").write_bytes(content[:size])
        with pytest.raises(DataError, match=r"s.tar' is cut short.*fetch or write it again"):
            members_of(tmp_path / "s.tar", DISK)


@pytest.mark.parametrize(
    ("content", "cure"), [(gzip.compress(bytes(1024), mtime=0), "gunzip"), (b"BZh91AY", "bunzip2")]
)
def test_compressed_tars_are_told_by_their_content(tmp_path: Path, content: bytes, cure: str) -> None:
    (tmp_path / "s.tar").write_bytes(content)
    with pytest.raises(DataError, match=f"is compressed, .*; {cure} it first"):
        members_of(tmp_path / "s.tar", DISK)


def test_what_is_no_tar_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"PK\x03\x04" + bytes(1000), b"x" * 4096):
        (tmp_path / "s.tar").write_bytes(content)
        with pytest.raises(DataError, match=r"s.tar' is cut short or"):
            members_of(tmp_path / "s.tar", DISK)


@pytest.mark.parametrize("fill", [0, 10_240, 2 << 20])
def test_what_stands_after_the_end_is_told(tmp_path: Path, fill: int) -> None:
    """Programs fill a tar up with zeros; another tar behind it, or what a hole of zeros leaves, is no filling."""
    first, second = (write_tar(tmp_path / f"{k}.tar", {f"{k}.jpg": bytes(700)}).read_bytes() for k in "ab")
    path = tmp_path / "s.tar"
    path.write_bytes(first + bytes(fill))
    assert [member.name for member in members_of(path, DISK)[0]] == ["a.jpg"]
    path.write_bytes(first + bytes(fill) + second)
    with pytest.raises(
        DataError, match=f"goes on after its end, at byte {len(first) + fill}: it is damaged, or several"
    ):
        members_of(path, DISK)
    three = bytearray(write_tar(path, {f"{k}.jpg": b"x" * 700 for k in range(3)}).read_bytes())
    three[1536 : 1536 + 512] = bytes(512)
    path.write_bytes(three)
    with pytest.raises(DataError, match="goes on after its end, at byte 2048"):
        members_of(path, DISK)


def test_damage_in_the_middle_is_told_and_nothing_behind_it_lost_silently(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "s.tar", {f"{k}.jpg": bytes(700) for k in range(3)})
    content = bytearray(path.read_bytes())
    content[1536 + 148 : 1536 + 156] = b"00000000"  # the checksum of the second header
    path.write_bytes(content)
    with pytest.raises(DataError, match="cut short or damaged at byte 1536"):
        members_of(path, DISK)


def _claiming(size: bytes, kind: bytes) -> bytes:
    """A header that claims a size, which may be negative."""
    entry = tarfile.TarInfo("a.jpg")
    entry.type = kind
    header = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = size
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header[:512]):06o}\0 ".encode()
    return bytes(header) + bytes(10240)


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
@pytest.mark.parametrize("size", [b"\xff" * 10 + b"\xf0\x00", b"\x80" + b"\x00" * 6 + b"\x7f" * 5])
def test_sizes_that_lie_end_in_one_sentence(tmp_path: Path, kind: bytes, size: bytes) -> None:
    (tmp_path / "s.tar").write_bytes(_claiming(size, kind))
    with pytest.raises(DataError, match=r"s.tar' (is cut short|has an entry of negative size)"):
        members_of(tmp_path / "s.tar", DISK)


def test_thousands_of_names_upon_names_end_in_one_sentence(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("././@LongLink")
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, 2
    one = entry.tobuf(tarfile.GNU_FORMAT) + b"a\0".ljust(512, b"\0")
    (tmp_path / "s.tar").write_bytes(io.BytesIO(one * 3000).getvalue())
    with pytest.raises(DataError, match="is cut short or no tar"):
        members_of(tmp_path / "s.tar", DISK)
