"""Who may ask the inspector for what, held against a small application behind the guard."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from deployments.access import Access, TooLargeError
from deployments.inspector.access import COOKIE, MOST_BYTES, TOKEN_HEADER, Guard

HOST = "http://127.0.0.1:8460"


async def answer(request: Request) -> PlainTextResponse:
    body = await request.body()
    return PlainTextResponse(f"{request.method} {len(body)}")


async def too_large(request: Request, error: Exception) -> PlainTextResponse:
    return PlainTextResponse("too large", 413)


def client(access: Access, base: str = HOST) -> TestClient:
    app = Starlette(
        routes=[Route("/page", answer, methods=["GET", "POST"])], exception_handlers={TooLargeError: too_large}
    )
    return TestClient(Guard(app, access), base, follow_redirects=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8460", "localhost", "[::1]:8460", "LOCALHOST:1"])
def test_loopback_is_read_without_a_token(host: str) -> None:
    assert client(Access()).get("/page", headers={"host": host}).text == "GET 0"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8460", "127.0.0.1.evil.example", "", "127.0.0.1@evil", "[", "a b"]
)
def test_another_host_name_is_refused(host: str) -> None:
    """A page of somebody else whose name was made to point here must not read anything."""
    assert client(Access()).get("/page", headers={"host": host}).status_code == 421


def test_a_further_name_is_known_when_it_is_given() -> None:
    assert client(Access(names=("labels.example",))).get("/page", headers={"host": "labels.example"}).status_code == 200


@pytest.mark.parametrize("given", [None, "", "wrong", "wröng"])
def test_a_change_needs_the_token(given: str | None) -> None:
    headers = {} if given is None else {TOKEN_HEADER: given.encode()}
    assert client(Access()).post("/page", headers=headers).status_code == 403


def test_a_change_with_the_token_is_let_through() -> None:
    access = Access()
    done = client(access).post("/page", content=b"abc", headers={TOKEN_HEADER: access.token, "origin": HOST})
    assert done.text == "POST 3"


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:8461", "ftp://127.0.0.1:8460", ""])
def test_a_change_from_another_origin_is_refused_even_with_the_token(origin: str) -> None:
    access = Access()
    headers = {TOKEN_HEADER: access.token, "origin": origin}
    assert client(access).post("/page", headers=headers).status_code == 403


def test_off_loopback_every_request_needs_the_token() -> None:
    access = Access("192.0.2.7")
    stranger = client(access, "http://192.0.2.7:8460")
    assert stranger.get("/page").status_code == 401
    assert stranger.get("/page?token=wrong").status_code == 401
    assert stranger.get("/page", headers={TOKEN_HEADER: access.token}).status_code == 200


def test_the_printed_address_leaves_a_cookie_and_no_token_in_the_address() -> None:
    access = Access("192.0.2.7")
    browser = client(access, "http://192.0.2.7:8460")
    first = browser.get(f"/page?a=1&token={access.token}&b=2")
    assert (first.status_code, first.headers["location"]) == (303, "/page?a=1&b=2")
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert browser.get("/page").status_code == 200
    assert browser.post("/page").status_code == 403  # a cookie is sent by any page; the header by our own alone
    browser.cookies.set(COOKIE, "wrong", domain="192.0.2.7")
    browser.cookies.clear()
    assert browser.get("/page").status_code == 401


def test_a_body_that_says_it_is_too_large_is_not_read() -> None:
    access = Access()
    headers = {TOKEN_HEADER: access.token, "content-length": str(MOST_BYTES + 1)}
    assert client(access).post("/page", headers=headers).status_code == 413


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "٣"])
def test_a_length_that_is_none_is_refused(length: str) -> None:
    access = Access()
    headers = {TOKEN_HEADER: access.token, "content-length": length.encode()}
    assert client(access).post("/page", headers=headers).status_code == 413


def test_a_body_without_a_length_is_read_up_to_the_limit() -> None:
    access = Access()

    def endless() -> Iterator[bytes]:
        for _ in range(MOST_BYTES // 65536 + 2):
            yield b"x" * 65536

    assert client(access).post("/page", content=endless(), headers={TOKEN_HEADER: access.token}).status_code == 413


@pytest.mark.parametrize("path", ["/page", "/none"])
def test_every_answer_says_what_pages_may_load(path: str) -> None:
    policy = client(Access()).get(path).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    refused = client(Access()).get(path, headers={"host": "evil.example"})
    assert refused.headers["content-security-policy"] == policy
    assert refused.headers["x-content-type-options"] == "nosniff"


def test_two_servers_have_different_tokens() -> None:
    assert Access().token != Access().token
    assert len(Access().token) >= 32
