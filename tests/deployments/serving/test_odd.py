"""Requests that are wrong, and images that are unlike others: one sentence, never a 5xx."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.deployments.serving.made import animated, bits, blobs, encoded
from tests.wilss.odd_files import noise
from tests.wilss.test_hostile_images import png


def refused(answer: object, status: int, said: str) -> None:
    """The answer is that status, and one sentence."""
    assert answer.status_code == status, answer.text[:400]  # type: ignore[attr-defined]
    detail = answer.json()["detail"]  # type: ignore[attr-defined]
    assert said in detail
    assert "\n" not in detail
    assert "Traceback" not in detail
    assert answer.headers["x-wilss-model"]  # type: ignore[attr-defined]


GOOD = {
    "one pixel": (encoded(Image.new("RGB", (1, 1), (9, 99, 200))), (1, 1)),
    "a line": (encoded(blobs(1, 3000)), (3000, 1)),
    "grey": (encoded(noise(20, 30).convert("L")), (30, 20)),
    "one bit": (encoded(noise(20, 30).convert("1")), (30, 20)),
    "palette": (encoded(noise(20, 30).convert("P")), (30, 20)),
    "transparent": (encoded(noise(20, 30).convert("RGBA")), (30, 20)),
    "CMYK": (encoded(noise(20, 30).convert("CMYK"), "JPEG"), (30, 20)),
    "16 bits": (encoded(Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30) * 100)), (30, 20)),
    "animated": (animated(), (40, 30)),
    "turned": (
        encoded(noise(20, 30), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"),
        (20, 30),
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_images_of_every_kind_are_answered_in_their_size(client: TestClient, name: str) -> None:
    content, size = GOOD[name]
    answer = client.post("/predict", content=content)
    assert answer.status_code == 200, answer.text
    (image,) = answer.json()["images"]
    assert (image["width"], image["height"]) == size
    assert image["background"] + sum(one["share"] for one in image["classes"]) == pytest.approx(1)


BAD = {
    "text": b"hello, I am a text",
    "html": b"<html>404 Not Found</html>",
    "gif": encoded(noise(), "GIF"),
    "truncated": encoded(noise(200, 200), "JPEG")[:3000],
    "truncated png": encoded(noise(200, 200))[:3000],
    "only the header": encoded(noise(), "PNG")[:33],
    "zeros": bytes(5000),
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n(touch) run\n",
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_image_is_said(client: TestClient, name: str) -> None:
    refused(client.post("/predict", content=BAD[name]), 422, "'image' cannot be decoded as an image")
    answer = client.post("/predict", files={"file": ("my photo.jpg", BAD[name])})
    refused(answer, 422, "'my photo.jpg' cannot be decoded as an image")
    assert answer.json()["detail"].endswith("send a JPEG, PNG, WEBP, BMP or TIFF")


def test_more_pixels_than_are_allowed_are_not_decoded(client: TestClient) -> None:
    content = bits(8_000, 7_000)
    assert len(content) < 20_000
    refused(client.post("/predict", content=content), 413, "'image' has 8000 x 7000 pixels, more than 50000000")
    huge = bits(20_000, 10_000)
    refused(client.post("/predict", content=huge), 422, "'image' is larger than 178956970 pixels")


def test_a_claim_that_the_bytes_cannot_hold_is_refused(client: TestClient) -> None:
    refused(client.post("/predict", content=png(size=(6_000, 6_000))), 422, "more than its bytes can hold")


def test_nothing_is_no_image(client: TestClient) -> None:
    refused(client.post("/predict"), 422, "there is no image in the request")
    refused(client.post("/predict", files={"file": ("", b"")}), 422, "there is no image in the request")
    refused(client.post("/predict", files={"file": ("a.png", b"")}), 422, "there is no image in the request")
    refused(client.post("/predict", data={"text": "a"}, files={"other": (None, "b")}), 422, "there is no image")


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "video/mp4", "multipart/mixed; boundary=a", "\x1b"])
def test_another_content_type_is_said(client: TestClient, kind: str) -> None:
    answer = client.post("/predict", content=encoded(blobs()), headers={"content-type": kind})
    refused(answer, 415, "is no image; send the bytes of one as image/..., or files of a multipart/form-data")


FORMS = {
    "no boundary": ("multipart/form-data", b"--a\r\n"),
    "other boundary": ("multipart/form-data; boundary=b", b"--a\r\n\r\n--a--"),
    "no end": ("multipart/form-data; boundary=a", b'--a\r\nContent-Disposition: form-data; name="f"\r\n\r\nx'),
    "no name": ("multipart/form-data; boundary=a", b"--a\r\nContent-Disposition: form-data\r\n\r\nx\r\n--a--\r\n"),
    "no disposition": ("multipart/form-data; boundary=a", b"--a\r\n\r\nx\r\n--a--\r\n"),
    "odd charset": ("multipart/form-data; boundary=a; charset=\xff", b"--a\r\n\r\nx\r\n--a--\r\n"),
    "long boundary": (f"multipart/form-data; boundary={'a' * 3000}", b"--a\r\n\r\nx\r\n--a--\r\n"),
    "long header": ("multipart/form-data; boundary=a", b"--a\r\nX: " + b"y" * 200_000 + b"\r\n\r\nx\r\n--a--\r\n"),
    "empty": ("multipart/form-data; boundary=a", b""),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_form_that_cannot_be_read_is_said(client: TestClient, name: str) -> None:
    kind, body = FORMS[name]
    answer = client.post("/predict", content=body, headers={"content-type": kind.encode("latin-1")})
    assert answer.status_code in (400, 422), answer.text
    refused(answer, answer.status_code, "")


def test_too_many_files_or_fields_are_said(client: TestClient) -> None:
    files = [("file", (f"{k}.png", encoded(noise(2, 2)))) for k in range(17)]
    refused(client.post("/predict", files=files), 413, "at most 16 files")
    files = [("file", (f"{k}.png", encoded(noise(2, 2)))) for k in range(40)]
    assert client.post("/predict", files=files).status_code in (400, 413)
    assert client.post("/predict", files=[(f"t{k}", (None, "x")) for k in range(40)]).status_code == 400


def test_a_body_that_is_too_large_is_refused_with_and_without_a_length(serve, stored: Path) -> None:  # type: ignore[no-untyped-def]
    client = serve(stored, max_bytes=4096)
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        for _ in range(10_000):
            read += 1024
            yield bytes(1024)

    refused(client.post("/predict", content=bytes(4097)), 413, "at most 4096 bytes")
    refused(client.post("/predict", content=endless()), 413, "at most 4096 bytes")
    kind = {"content-type": "multipart/form-data; boundary=a"}
    refused(client.post("/predict", content=endless(), headers=kind), 413, "at most 4096 bytes")
    refused(client.post("/predict", headers={"content-length": "x"}), 413, "at most 4096 bytes")
    assert client.post("/predict", content=encoded(noise(10, 10))).status_code == 200


def test_names_are_shown_and_not_obeyed(client: TestClient) -> None:
    for name in ("../../etc/passwd", "a\x1b[31mb", "<script>alert(1)</script>", "x" * 1000, "é ü.png"):
        answer = client.post("/predict", files={"file": (name, encoded(noise(3, 3)))})
        assert answer.status_code == 200, answer.text
        shown = answer.json()["images"][0]["name"]
        assert len(shown) <= 200
        assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/predict", 405),
        ("PUT", "/predict", 405),
        ("GET", "/../etc", 404),
        ("POST", "/model", 405),
        ("GET", "/docs", 404),
    ],
)
def test_other_addresses_and_methods(client: TestClient, method: str, path: str, status: int) -> None:
    refused(client.request(method, path), status, "")


@pytest.mark.parametrize("form", ["xml", "", "PNG", "../png", "%00"])
def test_an_unknown_form_of_answer_is_said(client: TestClient, form: str) -> None:
    answer = client.post(f"/predict?format={form}", content=encoded(blobs()))
    refused(answer, 422, "is no value of query.format")


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_300_malformed_requests_get_4xx_and_nothing_else(client: TestClient) -> None:
    draw, whole = random.Random(0), [encoded(noise(40, 50, 1), kind) for kind in ("JPEG", "PNG", "WEBP", "TIFF")]
    seen = set()
    for number in range(300):
        body = bytearray(draw.choice(whole))[: draw.randrange(1, 400)]
        for _ in range(draw.randrange(1, 20)):
            body[draw.randrange(len(body))] = draw.randrange(256)
        if number % 3 == 0:
            kind = "multipart/form-data; boundary=a"
            body = bytearray(b'--a\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n') + body
        else:
            kind = draw.choice(["image/png", "", "image/*;;;", "text/\xff", "multipart/form-data"])
        answer = client.post("/predict", content=bytes(body), headers={"content-type": kind.encode("latin-1")})
        seen.add(answer.status_code)
        assert 400 <= answer.status_code < 500, (number, answer.status_code, answer.text)
        assert set(answer.json()) == {"detail"}
    assert len(seen) > 2
    assert client.post("/predict", content=encoded(blobs())).status_code == 200
