"""The command, its process and its socket: what no client in the same process can try."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from deployments.serving.gate import ENDING
from tests.deployments.serving.made import Server, blobs, command, encoded, environment, served
from tests.pace import wait_for, within

MIB = 1 << 20
IMAGE = encoded(blobs(200, 300))


@pytest.fixture(scope="module")
def server(stored: Path) -> Iterator[Server]:
    """With narrow limits; that it said nothing of its own is looked at in the end."""
    with served(stored, "champion", "--queue", 2, "--timeout", 8, "--max-bytes", MIB) as server:
        yield server
        code, said = server.end()
    assert (code, said) == (0, "wilss serve: ended\n"), "no traceback, whatever was sent"


def raw(server: Server, *parts: bytes, end: bool = False) -> bytes:
    """What comes back for bytes of one connection."""
    with socket.create_connection(("127.0.0.1", server.port), 60) as line:
        with suppress(BrokenPipeError):  # it answers and ends before it has heard all
            for part in parts:
                line.sendall(part)
        if end:
            line.shutdown(socket.SHUT_WR)
        found = b""
        while not _is_whole(found) and (more := line.recv(65536)):
            found += more
    return found


def _is_whole(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return bool(found and length and len(body) >= int(length[1]))


def head(length: int | str, more: str = "") -> bytes:
    return f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n{more}\r\n".encode()


def status_and_detail(answer: bytes) -> tuple[int, str]:
    first, _, body = answer.partition(b"\r\n\r\n")
    return int(first.split()[1]), json.loads(body)["detail"]


def works(server: Server) -> None:
    answer = httpx.post(f"{server.address}/predict?format=png", content=IMAGE, timeout=60)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")


def test_the_line_tells_address_model_and_device(server: Server) -> None:
    assert re.fullmatch(
        r"wilss serve: http://127\.0\.0\.1:\d+/  champion \([0-9a-f]{12}\) on cpu  \(Ctrl-C ends it\)\n", server.line
    )
    works(server)


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"y" * 300_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nX y\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300) + b"\r\n\r\n",
        head("-1"),
        head("1e3"),
        head("1\r\nContent-Length: 2"),
        b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
    ],
    ids=["no HTTP", "huge header", "odd header", "no host", "TLS", "negative", "no number", "two", "chunks"],
)
def test_what_is_no_http_is_told_in_json(server: Server, sent: bytes) -> None:
    answer = raw(server, sent)
    status, said = status_and_detail(answer)
    assert status == 400
    assert said.startswith("the request cannot be read as HTTP, or its headers are too long")
    assert b"x-wilss-model: " in answer.lower()
    works(server)


@pytest.mark.parametrize("length", [200 * MIB, 10**30])
def test_a_large_body_is_refused_before_it_comes(server: Server, length: int) -> None:
    assert status_and_detail(raw(server, head(length)))[0] in (400, 413)
    assert status_and_detail(raw(server, head(2 * MIB)))[1].startswith(f"a request has at most {MIB} bytes")
    works(server)


def test_a_body_without_an_end_takes_no_memory(server: Server) -> None:
    works(server)
    before = server.memory
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    begin = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    for _ in range(4):
        answer = raw(server, begin, *[chunk] * 320)
        assert status_and_detail(answer) == (413, f"a request has at most {MIB} bytes; send a smaller image, or fewer")
    assert server.memory - before < 16 * MIB, "80 MiB were sent"
    works(server)


def test_who_hangs_up_harms_nobody(server: Server) -> None:
    for sent in (head(5000) + IMAGE[:2000], head(len(IMAGE)) + IMAGE, head(10)[:30]):
        with socket.create_connection(("127.0.0.1", server.port), 60) as line:
            line.sendall(sent)
    assert raw(server, head(5000), IMAGE[:2000], end=True) == b""
    works(server)


def test_past_the_bound_of_the_queue_it_is_429_and_a_body_that_does_not_come_is_408(server: Server) -> None:
    with ThreadPoolExecutor(2) as pool:
        slow = [pool.submit(raw, server, head(5000), b"abc") for _ in range(2)]
        health = f"{server.address}/metrics"
        wait_for(lambda: "in_progress 2.0" in httpx.get(health, timeout=60).text, 8, "two that hold the places")
        full = httpx.post(f"{server.address}/predict", content=IMAGE, timeout=60)
        assert (full.status_code, full.headers["retry-after"]) == (429, "1")
        assert (
            full.json()["detail"] == "2 images are being read or wait, there is no room for more; ask again in a second"
        )
        for one in slow:
            assert status_and_detail(one.result()) == (408, "the request did not come within 8 seconds; send it again")
    works(server)


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_who_waits_is_answered_when_it_ends(stored: Path, number: int) -> None:
    """And what stands open without a request is not waited for."""
    with served(stored, "champion", "--host", "0.0.0.0", "--name", "here.example") as server:
        token = re.search(r"\?token=(\S+)", server.line)
        assert token, server.line
        address = f"http://127.0.0.1:{server.port}"
        assert httpx.get(f"{address}/healthz", timeout=60).status_code == 401
        headers = {"authorization": f"Bearer {token[1]}"}
        assert httpx.get(f"{address}/healthz", headers=headers, timeout=60).json()["status"] == "ok"
        large = encoded(blobs(1500, 1600))

        def ask() -> int:
            return httpx.post(f"{address}/predict", content=large, headers=headers, timeout=120).status_code

        with socket.create_connection(("127.0.0.1", server.port)), ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(ask) for _ in range(4)]
            metrics = f"{address}/metrics"
            wait_for(lambda: "in_progress 4.0" in httpx.get(metrics, headers=headers, timeout=60).text, 20, "requests")
            with within(25, "to end"):
                code, said = server.end(number, 100)
            assert [one.result() for one in asked] == [200] * 4
        assert (code, said) == (0, "wilss serve: ended\n")
        with pytest.raises(httpx.ConnectError):
            httpx.get(address, timeout=5)


@pytest.mark.slow
def test_a_request_that_does_not_end_is_not_waited_for_longer_than_it_was_said(stored: Path) -> None:
    with served(stored, "champion", "--grace", 1, WILSS_SERVE_TOKEN="given-by-me") as server:
        assert "given-by-me" not in server.line
        assert httpx.get(f"{server.address}/model", timeout=60).status_code == 401
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(raw, server, head(5000, "Authorization: Bearer given-by-me\r\n"), b"abc")
            metrics, headers = f"{server.address}/metrics", {"authorization": "Bearer given-by-me"}
            wait_for(lambda: "in_progress 1.0" in httpx.get(metrics, headers=headers, timeout=60).text, 20, "the body")
            with within(15, "to end"):
                code, said = server.end(seconds=100)
            assert status_and_detail(slow.result()) == (503, ENDING)
        assert code == 0
        assert "Traceback" not in said


def test_a_port_in_use_and_a_model_that_is_not_there_are_one_sentence(stored: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for model, said in (
            (
                "champion",
                f"wilss: 127.0.0.1:{port} cannot be served (Address already in use); choose another with --host",
            ),
            ("champion --port 70000", "wilss: 'port' is 70000: input should be less than or equal to 65535"),
        ):
            words = [*command(), *model.split(), *(["--port", str(port)] if "--port" not in model else [])]
            done = subprocess.run(
                [*words, "--root", str(stored)], env=environment(), capture_output=True, text=True, check=False
            )
            assert (done.returncode, done.stdout) == (2, ""), done.stderr
            assert done.stderr.startswith(said)
            assert len(done.stderr.splitlines()) == 1
