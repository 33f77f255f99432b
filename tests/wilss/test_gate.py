"""The gate is one: what the check tells is what a run refuses; files are decoded once and known again."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.flows.test_cli import voc_folder
from tests.wilss.odd_files import corner, folder, in_palette, noise, opened
from wilss.data import looks
from wilss.data.check import check_folder
from wilss.data.findings import Finding
from wilss.data.gate import MOST_LINES, examine, lines_of, require_sound
from wilss.data.rules import BINARY
from wilss.data.scenes.source import ScenesSource
from wilss.data.source import Source
from wilss.data.spec import World
from wilss.data.stamps import NAME, Stamps
from wilss.data.voc import VocSource
from wilss.errors import DataError


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every file had been written long ago."""
    now = time.time_ns
    monkeypatch.setattr("time.time_ns", lambda: now() + 10**12)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are looked at."""
    found: list[str] = []
    for name in ("_look_at_image", "_look_at_mask"):
        look = getattr(looks, name)

        def counted(path: Path, held: bytes | None, look=look) -> dict[str, str]:  # type: ignore[no-untyped-def]
            found.append(path.name)
            return look(path, held)

        monkeypatch.setattr(looks, name, counted)
    return found


@pytest.mark.usefixtures("settled")
def test_every_file_is_decoded_once_and_known_the_next_time(tmp_path: Path, decoded: list[str]) -> None:
    root = voc_folder(tmp_path / "voc")
    source = VocSource(root, eval_list="dev", stamps=Stamps(tmp_path / NAME))
    first = source.tags("train"), source.fingerprint, examine(source)
    assert len(decoded) == len(set(decoded)) == 24
    again = VocSource(root, eval_list="dev", stamps=Stamps(tmp_path / NAME))
    assert (again.tags("train"), again.fingerprint, examine(again)) == first
    assert len(decoded) == 24


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("stamps", ["kept", "not kept"])
def test_an_edited_mask_of_equal_size_and_time_is_other_data(tmp_path: Path, stamps: str) -> None:
    root = voc_folder(tmp_path / "voc")
    path = root / "SegmentationClassAug" / "2007_000000.png"

    def fingerprint() -> str:
        return VocSource(
            root, eval_list="dev", stamps=Stamps(tmp_path / NAME if stamps == "kept" else None)
        ).fingerprint

    before, size, times = fingerprint(), path.stat().st_size, (path.stat().st_atime, path.stat().st_mtime)
    content = bytearray(path.read_bytes())
    content[content.index(b"PLTE") + 4 + 3 * 200] ^= 1  # the colour of an id that nothing shows
    import zlib

    at = content.index(b"PLTE")
    content[at + 4 + 768 : at + 8 + 768] = zlib.crc32(content[at : at + 4 + 768]).to_bytes(4, "big")
    path.write_bytes(content)
    os.utime(path, times)
    assert path.stat().st_size == size
    assert fingerprint() != before


def test_a_source_without_findings_is_asked_to_check(tmp_path: Path) -> None:
    class Broken(ScenesSource):
        def check(self) -> None:
            raise DataError(f"'{tmp_path}' is wet; dry it")

    assert examine(ScenesSource(World(image_size=32), 2, 2)) == []
    (finding,) = examine(Broken(World(image_size=32), 2, 2))
    assert (finding.severity, finding.where, finding.seen, finding.cure) == (
        "refuse",
        str(tmp_path),
        "is wet",
        "dry it",
    )


def test_what_is_said_is_bounded() -> None:
    found = [Finding("warn", f"kind {k}", f"file {n}", "is odd", "look") for k in range(100) for n in range(1000)]
    lines = list(lines_of(found))
    assert lines[0] == "warning: 'file 0' is odd; look"
    assert len(lines) == 3 * MOST_LINES + 1
    with pytest.raises(DataError, match=r"'a' is bad; mend it \(1 more: wilss data check lists all\)"):
        require_sound([*found, *[Finding("refuse", "k", name, "is bad", "mend it") for name in "ab"]])


def test_check_and_run_find_the_same(tmp_path: Path) -> None:
    masks = {"a": in_palette(corner(value=1)), "b": in_palette(corner(value=9)), "c": in_palette(corner(value=2))}
    root = folder(tmp_path / "f", masks, "a,dog\nb,cat\nc,dog\n")
    (root / "images" / "d.jpg").write_bytes(b"no image")
    report = check_folder(opened(root))
    assert tuple(examine(opened(root))) == report.findings
    assert [f.kind for f in report.findings if f.severity == "refuse"] == ["mask-value", "unreadable"]
    assert report.suspicious == ("a", "b")
    with pytest.raises(DataError, match="holds the value 9"):
        opened(root).check()


def test_pictures_that_are_left_out_are_told(tmp_path: Path) -> None:
    root = folder(tmp_path / "f", {"a": in_palette(corner())}, "a,cat\nd,hamster\n")
    (root / "images" / "d.jpg").write_bytes(b"no image")
    source = opened(root, skip_unreadable=True)
    assert (source.ids("train"), source.skipped) == (("a",), 1)
    (finding,) = examine(source)
    assert (finding.severity, finding.kind) == ("warn", "unreadable")
    assert "(left out)" in finding.seen


@pytest.mark.parametrize("layout", ["folder", "voc"])
def test_masks_of_0_and_255_refuse_where_pictures_are_left_out_too(tmp_path: Path, layout: str) -> None:
    white = Image.fromarray(corner() * 255)
    if layout == "folder":
        root = folder(tmp_path / "f", {"a": white, "b": white}, "d,hamster\n")
        (root / "images" / "d.jpg").write_bytes(b"no image")
        source: Source = opened(root, skip_unreadable=True)
    else:
        root = voc_folder(tmp_path / "voc")
        for path in (root / "SegmentationClassAug").iterdir():
            Image.fromarray(np.asarray(Image.open(path)).astype(bool) * np.uint8(255)).save(path)
        next((root / "JPEGImages").iterdir()).write_bytes(b"no image")
        source = VocSource(root, eval_list="dev", skip_unreadable=True)
    found = {f.kind: f for f in examine(source) if f.kind in (BINARY, "unreadable")}
    assert {kind: f.severity for kind, f in found.items()} == {BINARY: "refuse", "unreadable": "warn"}
    assert ["left out" in found[kind].seen for kind in (BINARY, "unreadable")] == [False, True]
    with pytest.raises(DataError, match="no class would be learnt"):
        source.check()


def test_one_picture_on_both_sides_is_told(tmp_path: Path) -> None:
    mask = in_palette(corner())
    root = folder(
        tmp_path / "f", {"a": mask, "b": mask, "c": mask}, "", {"a": noise(), "b": noise(), "c": noise(seed=1)}
    )
    assert [f.severity for f in examine(opened(root)) if f.kind == "equal-files"] == ["note"]
    (root / "eval.txt").write_text("a\n")
    (finding,) = [f for f in examine(opened(root)) if f.kind == "equal-files"]
    assert (finding.severity, "one is scored on, another trained on" in finding.seen) == ("warn", True)
