"""Who may ask: names, origins, tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from deployments.access import Access
from deployments.serving.gate import COOKIE, Rules
from deployments.serving.options import TOKEN, given_token, make_options, read_options
from tests.deployments.serving.conftest import ADDRESS, Asked
from tests.deployments.serving.made import blobs, encoded
from wilss.errors import SpecError

IMAGE = encoded(blobs())
PATHS = ["/", "/model", "/healthz", "/metrics", "/openapi.json", "/style/style.css", "/nowhere"]
OTHERS = "http://192.0.2.7:8470"


@pytest.fixture(scope="module")
def closed(serve: Asked, stored: Path) -> TestClient:
    """A server for other machines."""
    client = serve(stored, rules=Rules(Access("192.0.2.7", token="a-secret-token"), is_closed=True))
    client.base_url = OTHERS
    return client


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8470", "[::1]:1"])
def test_loopback_is_asked_without_a_token(client: TestClient, host: str) -> None:
    assert client.post("/predict", content=IMAGE, headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "a b"])
@pytest.mark.parametrize("path", PATHS)
def test_another_host_name_is_refused_on_loopback(client: TestClient, host: str, path: str) -> None:
    answer = client.get(path, headers={"host": host})
    assert (answer.status_code, answer.json()["detail"][:30]) == (421, "this server is not asked under")


def test_a_further_name_is_known_when_it_is_given(serve: Asked, stored: Path) -> None:
    client = serve(stored, rules=Rules(Access(names=("models.example",)), is_closed=False))
    assert client.get("/model", headers={"host": "models.example"}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", ""])
def test_a_page_of_somebody_else_sends_no_images(client: TestClient, origin: str) -> None:
    for path in ("/predict", "/"):
        assert client.post(path, content=IMAGE, headers={"origin": origin}).status_code == 403
    assert client.post("/predict", content=IMAGE, headers={"origin": ADDRESS}).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_a_closed_server_answers_nothing_without_its_token(closed: TestClient, path: str) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic a-secret-token"}):
        answer = closed.get(path, headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert "Authorization: Bearer TOKEN" in answer.json()["detail"]
    assert closed.get(path, headers={"authorization": "Bearer a-secret-token"}).status_code in (200, 404)


def test_images_are_taken_with_the_token(closed: TestClient) -> None:
    assert closed.post("/predict", content=IMAGE).status_code == 401
    for said in ("Bearer a-secret-token", "bearer  a-secret-token"):
        assert closed.post("/predict", content=IMAGE, headers={"authorization": said}).status_code == 200
    odd = "Bearer töken".encode("latin-1")
    assert closed.post("/predict", content=IMAGE, headers={"authorization": odd}).status_code == 401


def test_the_token_is_asked_for_before_a_body_is_read(closed: TestClient) -> None:
    answer = closed.post("/predict", content=b"", headers={"content-length": str(1 << 40)})
    assert answer.status_code == 401


def test_a_browser_keeps_the_printed_address_in_a_cookie(closed: TestClient) -> None:
    first = closed.get("/?a=1&token=a-secret-token")
    assert (first.status_code, first.headers["location"]) == (303, "/?a=1")
    cookie = first.headers["set-cookie"]
    assert f"{COOKIE}=a-secret-token" in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    try:
        assert closed.get("/").status_code == 200
        files = {"image": ("a.png", IMAGE)}
        assert closed.post("/", files=files).status_code == 401, "a form of another page is sent with cookies too"
        assert closed.post("/", files=files, headers={"origin": OTHERS}).status_code == 200
        assert closed.get("/model", headers={"authorization": "Bearer wrong"}).status_code == 401
    finally:
        closed.cookies.clear()
    assert closed.post("/?token=a-secret-token", files=files).status_code == 401


def test_a_token_that_is_given_closes_loopback_too(serve: Asked, stored: Path) -> None:
    client = serve(stored, rules=Rules(Access(token="a-secret-token"), is_closed=True))
    assert client.get("/model").status_code == 401
    assert client.get("/model", headers={"authorization": "Bearer a-secret-token"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/predict", "/nowhere"])
def test_every_answer_has_its_headers(client: TestClient, closed: TestClient, path: str) -> None:
    for answer in (client.get(path), closed.get(path), client.get(path, headers={"host": "evil.example"})):
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert len(answer.headers.get_list("x-wilss-model")) == 1
        assert len(answer.headers["x-wilss-model"]) == 32


@pytest.mark.parametrize("token", ["short", "x" * 7, "with\nline-ends", "ümlaute-überall"])
def test_a_token_that_is_none_is_refused(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN, token)
    with pytest.raises(SpecError, match=f"the token has {len(token)} characters; give 8 or more"):
        given_token()


def test_a_token_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN, "long enough")
    assert given_token() == "long enough"
    monkeypatch.setenv(TOKEN, "")
    assert given_token() is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"port": 70000}, "'port' is 70000: .*less than or equal to 65535; give another with --port"),
        ({"max_bytes": 3}, "'max_bytes' is 3: .*give another with --max-bytes"),
        ({"queue": 0}, "'queue' is 0"),
        ({"timeout": 0}, "'timeout' is 0"),
        ({"batch": 1000}, "'batch' is 1000"),
        ({"timeout": float("nan")}, "'timeout' is nan"),
    ],
)
def test_limits_that_are_none_are_said(given: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        make_options({"model": "champion", "root": ".", **given})


def test_options_reach_the_server_as_they_are() -> None:
    given = {"model": "a\udcffb", "root": "/tmp/\udcff", "names": ("a.example", "b"), "timeout": 2.5}
    options = make_options(given)
    assert read_options(options.text) == options
    assert options.text.isascii()
