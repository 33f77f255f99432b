"""Image files that are damaged, or made to do damage: one sentence each, in bounded memory."""

from __future__ import annotations

import io
import random
import resource
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.wilss.odd_files import noise
from wilss.data.files import read_header, read_mask, read_rgb
from wilss.data.looks import Looks, in_threads
from wilss.data.stamps import Stamps
from wilss.errors import DataError


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(*before: bytes, size: tuple[int, int] = (8, 8)) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 9 * 8))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(before) + pixels + chunk(b"IEND", b"")


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    noise(8, 8).save(buffer, kind)
    return buffer.getvalue()


BOMB = zlib.compress(b"x" * (70 << 20))
HOSTILE: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "html": lambda: b"<html>404 Not Found</html>",
    "eps": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n(touch) run\n",
    "ppm": lambda: b"P6 8 8 255\n" + b"\0" * 192,
    "gif": lambda: encoded("GIF"),
    "pdf": lambda: encoded("PDF"),
    "half": lambda: encoded("JPEG")[:-200],
    "ztxt bomb": lambda: png(chunk(b"zTXt", b"a\0\0" + BOMB)),
    "iccp bomb": lambda: png(chunk(b"iCCP", b"a\0\0" + BOMB), size=(90_000, 90_000)),
    "huge claim": lambda: png(size=(60_000, 60_000)),
    "no size": lambda: png(size=(0, 0)),
    "short data": lambda: png(size=(800, 800)),
    "bad exif": lambda: png(chunk(b"eXIf", b"II*\0\xff\xff\xff\xff"), size=(800, 800)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_each_gives_one_sentence(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(HOSTILE[name]())
    for read in (read_rgb, read_mask):
        with pytest.raises(
            DataError, match=r"a.jpg' (cannot be decoded as an image|is larger than|is a JPEG|has mode)"
        ):
            read(path)
    looks = Looks(Stamps(None))
    assert "a.jpg'" in looks.image(path).problem
    assert "a.jpg'" in looks.mask(path).problem


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_size_that_the_bytes_cannot_hold_takes_no_memory(tmp_path: Path, kind: str) -> None:
    """13,300 x 13,300: Pillow would take 0.7 GB and find the rest of the pixels black, or grey."""
    if kind == "PNG":
        content = png(size=(13_300, 13_300))
    else:
        content = encoded(kind)
        place = content.index(b"\xff\xc0") + 5
        content = content[:place] + struct.pack(">HH", 13_300, 13_300) + content[place + 4 :]
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    looks = Looks(Stamps(None))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for problem in (looks.image(path).problem, looks.mask(path).problem):
        assert (
            "a.jpg' cannot be decoded as an image (it claims 13300 x 13300 pixels, more than its bytes can" in problem
        )
    with pytest.raises(DataError, match="more than its bytes can hold"):
        read_rgb(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "1"), ("PNG", "RGB"), ("PNG", "P"), ("JPEG", "L"), ("JPEG", "RGB")])
def test_a_plain_image_of_few_bytes_is_one(tmp_path: Path, kind: str, mode: str) -> None:
    path = tmp_path / "a.png"
    Image.new(mode, (3000, 2000)).save(path, kind, optimize=True)
    assert path.stat().st_size < 100_000
    assert read_rgb(path).shape == (3, 2000, 3000)


def test_a_damaged_exif_tag_turns_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(chunk(b"eXIf", b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0")))
    assert read_header(tmp_path / "a.png").orientation == 1
    assert read_rgb(tmp_path / "a.png").shape == (3, 8, 8)


def test_a_photograph_with_a_second_picture_is_a_jpeg(tmp_path: Path) -> None:
    noise(8, 8).save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[noise(8, 8, 1)])
    assert Image.open(tmp_path / "a.jpg").format == "MPO"
    assert read_rgb(tmp_path / "a.jpg").shape == (3, 8, 8)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_look_finds_every_cut_that_decoding_finds(tmp_path: Path, progressive: bool) -> None:
    path, draw = tmp_path / "a.jpg", random.Random(0)
    pixels = np.random.default_rng(0).integers(0, 256, (12, 15, 3), np.uint8)
    Image.fromarray(pixels).resize((90, 70)).save(path, progressive=progressive)
    whole = path.read_bytes()
    for left in [*(len(whole) - k for k in range(12)), *(draw.randrange(len(whole)) for _ in range(80))]:
        path.write_bytes(whole[:left])
        assert Looks(Stamps(None)).image(path).problem == _problem_of(path), left


def _problem_of(path: Path) -> str:
    try:
        read_rgb(path)
    except DataError as error:
        return str(error)
    return ""


def test_threads_keep_the_order_and_raise_what_one_raises() -> None:
    for count in (0, 1, 7, 5000):
        assert in_threads(lambda thing: thing + 1, range(count)) == list(range(1, count + 1))
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda thing: 1 // (thing - 3000), range(5000))
