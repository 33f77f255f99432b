"""Masks painted by hand over HTTP: what is taken, what is refused, and two people at one row."""

from __future__ import annotations

import asyncio
import base64
import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from deployments.inspector.access import MOST_BYTES
from deployments.inspector.app import create_app
from deployments.inspector.desk import Desk
from stores.labels.review import Change, Review, RowState
from tests.deployments.painting import Drawn, desk_over, publish, state

WIDTH, HEIGHT = 30, 20


@dataclass
class Table:
    """A desk and a browser at it."""

    root: Path
    digest: str
    desk: Desk
    client: TestClient

    def paint(self, content: Any, at: str = "0/0", seen: int = 0, who: str = "ada") -> Any:
        headers = {"x-wilss-token": self.desk.access.token, "x-wilss-who": who}
        return self.client.post(f"/api/labels/{self.digest}/paint/{at}?seen={seen}", content=content, headers=headers)

    def back(self, act: int, at: str = "0/0", seen: int = 0, who: str = "ada") -> Any:
        return self.paint(b"", f"{at}/to/{act}", seen, who)

    def mask(self, at: str = "0/0") -> tuple[dict[str, Any], np.ndarray]:
        found = self.client.get(f"/api/labels/{self.digest}/paint/{at}").json()
        bits = np.frombuffer(base64.b64decode(found["bits"]), np.uint8).reshape(HEIGHT, -1)
        return found["row"], np.unpackbits(bits, axis=1, count=WIDTH).astype(bool)

    def state(self, image: str, name: str) -> tuple[RowState, int]:
        return state(self.root, self.digest, image, name)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    digest, desk = publish(tmp_path), desk_over(tmp_path, Drawn(tmp_path))
    client = TestClient(create_app(desk), base_url="http://127.0.0.1", raise_server_exceptions=False)
    return Table(tmp_path, digest, desk, client)


def png(mask: Any, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    (mask if isinstance(mask, Image.Image) else Image.fromarray(mask)).save(buffer, form)
    return buffer.getvalue()


def blob(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((HEIGHT, WIDTH)) > 0.5


def test_the_mask_that_counts_is_the_rows_until_one_is_painted(table: Table) -> None:
    row, mask = table.mask("0/1")
    assert (row["row"], row["version"]) == (1, 0)
    assert mask[:2].all()
    assert not mask[2:].any()
    answer = table.paint(png(blob()), "0/1")
    assert (answer.status_code, answer.json()["rows"][0]["version"]) == (200, 1)
    row, mask = table.mask("0/1")
    assert (row["version"], row["status"]) == (1, "corrected")
    assert np.array_equal(mask, blob())
    assert not table.mask("0/0")[0]["mask"], "another class of the image is left alone"


def test_grey_is_taken_at_its_middle(table: Table) -> None:
    grey = np.full((HEIGHT, WIDTH), 127, np.uint8)
    grey[3, 4] = 128
    assert table.paint(png(grey)).status_code == 200
    assert np.argwhere(table.mask()[1]).tolist() == [[3, 4]]


def test_a_class_that_the_image_has_no_row_of_becomes_missing_with_a_mask(table: Table) -> None:
    assert not table.mask("1/1")[1].any()
    table.paint(png(blob()), "1/1")
    said, version = table.state("one cat", "dog")
    assert (said.verdict, bool(said.mask), version) == ("missing", True, 1)


def test_strokes_are_taken_back_and_done_again_to_the_letter(table: Table) -> None:
    review = Review.open(table.root, table.digest)
    review.act("ada", "accept", [Change("both", "cat", RowState("accepted", note="a tail"), 0)])
    table.paint(png(blob(1)), seen=1)
    table.paint(png(blob(2)), seen=2)
    painted = table.state("both", "cat")[0]
    assert table.back(2, seen=3).json()["what"] == "paint"
    assert np.array_equal(table.mask()[1], blob(1))
    assert table.back(1, seen=4).json()["what"] == "accept"
    assert table.state("both", "cat") == (RowState("accepted", note="a tail"), 5)
    assert table.back(3, seen=5).status_code == 200
    assert table.state("both", "cat") == (painted, 6)
    assert table.back(0, seen=6).json()["what"] == "clear"
    assert table.state("both", "cat") == (RowState(note="a tail"), 7), "a note is no stroke"


def test_two_people_of_one_name_do_not_take_back_each_others_strokes(table: Table) -> None:
    """The review's own undo takes back a person's last act; at one server two people have one name."""
    table.paint(png(blob(1)))
    table.paint(png(blob(2)), "1/0")  # in another window
    assert table.back(0, seen=1).status_code == 200
    assert table.state("both", "cat")[0] == RowState()
    assert table.state("one cat", "cat")[0].mask
    refused = table.back(0, "1/0", seen=0)
    assert refused.status_code == 409
    assert refused.json()["rows"][0]["version"] == 2


def test_what_somebody_painted_meanwhile_stays(table: Table) -> None:
    table.paint(png(blob(1)), who="bob")
    refused = table.paint(png(blob(2)))
    assert refused.status_code == 409
    assert "'bob' changed cat" in refused.json()["problem"]
    assert np.array_equal(table.mask()[1], blob(1))
    assert table.paint(png(blob(2)), seen=refused.json()["rows"][0]["version"]).status_code == 200


@pytest.mark.parametrize("what", ["reject", "absent"])
def test_a_painted_mask_that_is_judged_wrong_does_not_count_any_more(table: Table, what: str) -> None:
    row = table.paint(png(blob())).json()["rows"][0]
    headers = {"x-wilss-token": table.desk.access.token}
    for said, status in (("accept", "corrected"), (what, {"reject": "rejected"}.get(what, what))):
        body = {"what": said, "rows": [[0, 0, row["version"]]]}
        row = table.client.post(f"/api/labels/{table.digest}/acts", json=body, headers=headers).json()["rows"][0]
        assert (row["status"], bool(row["mask"])) == (status, said == "accept")


@pytest.mark.parametrize("act", [2, 99, -1, 2**70])
def test_a_row_goes_back_to_its_own_acts_alone(table: Table, act: int) -> None:
    table.paint(png(blob(1)))
    table.paint(png(blob(2)), "1/0")
    answer = table.back(act, seen=1)
    assert answer.status_code == 422
    assert "did not touch this mask" in answer.json()["problem"]


def header_of(width: int, height: int, depth: int = 1, kind: int = 0) -> bytes:
    """A PNG that says it has this size, and has 1 byte."""
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)), (b"IDAT", zlib.compress(b"\0")))
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def text_bomb() -> bytes:
    """A PNG with 8 MB of text."""
    data = b"a\0\0" + zlib.compress(bytes(8 << 20), 9)
    chunk = struct.pack(">I", len(data)) + b"zTXt" + data + struct.pack(">I", zlib.crc32(b"zTXt" + data))
    whole = png(blob())
    return whole[:33] + chunk + whole[33:]


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "no PNG"),
    "text": (lambda: b"<svg onload=alert(1)>", "no PNG"),
    "another format": (lambda: png(blob().astype(np.uint8) * 255, "JPEG"), "no PNG"),
    "another size": (lambda: png(blob().T.copy()), "20 x 30 pixels, the image 30 x 20"),
    "colours": (lambda: png(np.zeros((HEIGHT, WIDTH, 3), np.uint8)), "mode RGB"),
    "a palette": (lambda: png(Image.new("P", (WIDTH, HEIGHT))), "mode P"),
    "cut off": (lambda: png(blob())[:-40], "no PNG"),
    "too few lines": (lambda: header_of(WIDTH, HEIGHT), "no PNG"),
    "a bomb": (lambda: header_of(2**31 - 1, 2**31 - 1), "no PNG"),
    "a large one": (lambda: header_of(9000, 9000), "9000 x 9000"),
    "a bomb of text": (text_bomb, "no PNG"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_mask_is_refused_and_nothing_is_written(table: Table, name: str) -> None:
    make, said = REFUSED[name]
    answer = table.paint(make())
    assert answer.status_code == 422
    assert said in answer.json()["problem"]
    assert not (table.root / "reviews").exists()


@pytest.mark.parametrize("at", ["3/0", "-1/0", "0/2", "0/-1"])
def test_a_class_or_image_that_is_not_there_is_refused(table: Table, at: str) -> None:
    assert table.paint(png(blob()), at).status_code == 422
    assert table.client.get(f"/api/labels/{table.digest}/paint/{at}").status_code == 422


def test_a_huge_body_is_refused_before_it_is_read(table: Table) -> None:
    assert table.paint(bytes(MOST_BYTES + 1)).status_code == 413
    endless = table.paint(iter([bytes(1 << 20)] * 5))
    assert endless.status_code == 413
    assert not (table.root / "reviews").exists()


@pytest.mark.parametrize("length", [b"\xb2", b"-1", b"1e9", b"", b"9" * 5000])
def test_a_length_that_is_no_number_is_refused(table: Table, length: bytes) -> None:
    told: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        told.append(message)

    headers = [(b"host", b"127.0.0.1"), (b"content-length", length)]
    scope = {"type": "http", "method": "POST", "path": "/", "scheme": "http", "query_string": b"", "headers": headers}
    asyncio.run(create_app(table.desk)(scope, receive, send))  # as a server that passes it on would
    assert told[0]["status"] == 413


def test_painting_needs_the_token_and_the_version(table: Table) -> None:
    address = f"/api/labels/{table.digest}/paint/0/0"
    assert table.client.post(f"{address}?seen=0", content=png(blob())).status_code == 403
    headers = {"x-wilss-token": table.desk.access.token}
    for query in ("", "?seen=x", "?seen=-1"):
        assert table.client.post(address + query, content=png(blob()), headers=headers).status_code == 422


def test_affinity_is_asked_of_a_pixel_of_the_image(table: Table) -> None:
    base = f"/labels/{table.digest}/affinity"
    answer = table.client.get(f"{base}/1?x=12&y=19")
    with Image.open(io.BytesIO(answer.content)) as image:
        assert (image.mode, image.size) == ("L", (WIDTH, HEIGHT))
    want = table.desk.pictures.wanted[-1]  # type: ignore[attr-defined]
    assert (want.digest, want.kind, want.image, want.more) == (table.digest, "affinity", 1, (("x", "12"), ("y", "19")))
    wrong = {"1?x=30&y=0": 422, "1?x=0&y=20": 422, "1?x=-1&y=0": 422, "1?x=a&y=0": 422, "1?x=1": 422, "3?x=0&y=0": 404}
    assert {asked: table.client.get(f"{base}/{asked}").status_code for asked in wrong} == wrong


def test_a_name_of_any_letters_is_kept_as_it_is(table: Table) -> None:
    """A header holds Latin-1 only, so that pages send it percent-encoded."""
    assert table.paint(png(blob()), who=quote("Łukasz 王")).status_code == 200
    assert Review.open(table.root, table.digest).acts[0].who == "Łukasz 王"
