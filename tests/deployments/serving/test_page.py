"""The page without a browser: whole, escaped, and nothing in it comes from elsewhere."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from deployments.access import Access
from deployments.serving.gate import Rules
from stores.registry import promote
from tests.deployments.serving.conftest import ADA, ADDRESS, Asked
from tests.deployments.serving.made import blobs, encoded, publish

EVIL = '<script>alert("1")</script>'
HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8", "origin": ADDRESS}


class Reader(HTMLParser):
    """What a browser makes of a page: its text, pictures and addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.pictures, self.addresses, self.tags = "", list[str](), list[str](), set[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.add(tag)
        self.pictures += [found["src"] or ""] if tag == "img" else []
        self.addresses += [value or "" for key, value in attrs if key in ("href", "src", "action")]
        assert not [key for key in found if key.startswith("on") or key == "style"]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def evil(serve: Asked, tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    """Of a model whose names are meant to do harm."""
    root = tmp_path_factory.mktemp("evil")
    promote(root, publish(root, 0, (EVIL, "a'b\"&")), expected=None, **ADA)
    return serve(root)


def picture(address: str) -> np.ndarray:
    kind, _, content = address.partition(",")
    assert re.fullmatch(r"data:image/(png|jpeg);base64", kind)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def test_the_form_shows_classes_and_loads_nothing_from_elsewhere(evil: TestClient) -> None:
    answer = evil.get("/", headers=HTML)
    page = Reader(answer.text)
    assert EVIL in page.text
    assert "a'b\"&" in page.text
    assert "script" not in page.tags
    assert all(address.startswith(("/", "#", "data:")) for address in page.addresses)
    for style in ("style.css", "inspector.css"):
        assert f"/style/{style}" in page.addresses
        assert evil.get(f"/style/{style}").headers["content-type"].startswith("text/css")
    assert evil.get("/style/..%2Fdata.py").status_code == 404
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "same-origin", "a form without a referrer has no origin"


@pytest.mark.parametrize("size", [(60, 80), (1, 1), (1500, 700)])
def test_an_image_comes_back_beside_its_classes(evil: TestClient, size: tuple[int, int]) -> None:
    content = encoded(blobs(*size))
    answer = evil.post("/", files={"image": (f"{EVIL}.png", content)}, headers=HTML)
    assert answer.status_code == 200, answer.text
    page = Reader(answer.text)
    assert EVIL in page.text
    assert "script" not in page.tags
    image, classes = map(picture, page.pictures)
    height, width = size
    assert classes.shape[1] * height == pytest.approx(classes.shape[0] * width, rel=0.02)
    assert max(image.shape[:2]) <= 1024 >= max(classes.shape[:2])
    pictures = [address for address in page.addresses if address.startswith("data:image/png")]
    (mask,) = set(pictures) - set(page.pictures)
    written = evil.post("/predict?format=png", content=content).content
    assert base64.b64decode(mask.partition(",")[2]) == written
    assert f"{width} × {height} pixels" in page.text
    shares = [float(text) for text in re.findall(r"(\d+\.\d) %", page.text)]
    shown = (np.asarray(Image.open(io.BytesIO(written))) > 0).mean()
    assert sum(shares) == pytest.approx(100 * shown, abs=0.2)


def test_what_is_wrong_is_a_page_for_people(evil: TestClient) -> None:
    answer = evil.post("/", files={"image": (f"{EVIL}.png", b"text")}, headers=HTML)
    assert answer.status_code == 422
    page = Reader(answer.text)
    said = EVIL.replace('"', "%22")  # as browsers and httpx write it
    assert f"'{said}.png' cannot be decoded as an image" in page.text
    assert "script" not in page.tags
    assert evil.post("/", files={"image": ("", b"")}, headers=HTML).headers["content-type"].startswith("text/html")
    assert evil.post("/", files={"image": ("a", b"x")}).json()["detail"], "a program gets JSON"


def test_a_token_is_in_the_examples_where_one_is_asked_for(serve: Asked, stored: Path) -> None:
    closed = serve(stored, rules=Rules(Access(token="a-secret-token"), is_closed=True))
    text = closed.get("/", headers={"authorization": "Bearer a-secret-token"}).text
    assert "curl -H &#39;Authorization: Bearer TOKEN&#39; --data-binary" in text
    assert "a-secret-token" not in text
