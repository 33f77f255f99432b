"""A real server of S3's protocol for roots in buckets, and a proxy before it that does what networks do."""

from __future__ import annotations

import http.client
import logging
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

KEY, SECRET = "AKIATESTSTESTSTESTS1", "vErY/sEcReT+vErY/sEcReT+vErY/sEcReT12345"
CONDITIONS = ("if-match", "if-none-match")
FORBIDDEN = b"<Error><Code>AccessDenied</Code><Message>key %s may not</Message></Error>" % KEY.encode()


@dataclass
class Network:
    """What becomes of requests on their way.

    faults: share of requests that fail, are slow or are cut, one of them as often as the others. refused: methods that
    are answered by "access denied". plain: conditions of writes are dropped, as by a server that knows none.
    seen: "METHOD path" of every request. on_request: called with it before it is passed on.
    """

    faults: float = 0.0
    refused: tuple[str, ...] = ()
    plain: bool = False
    seen: list[str] = field(default_factory=list)
    on_request: Callable[[str], None] = lambda _: None
    hurt: int = 0
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self) -> str:
        """What happens to the next request, "" for nothing."""
        with self.lock:
            if self.chance.random() >= self.faults:
                return ""
            self.hurt += 1
            return self.chance.choice(["fails", "slow", "cut", "lost"])


class _Handler(BaseHTTPRequestHandler):
    """Passes requests on. Conditional writes go one at a time: moto looks and writes in two steps."""

    protocol_version = "HTTP/1.1"
    network: Network
    upstream: tuple[str, int]
    writes = threading.Lock()

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        network, said = self.network, f"{self.command} {self.path}"
        network.seen.append(said)
        network.on_request(said)
        if self.command in network.refused:
            return self._answer(403, {"content-type": "application/xml"}, FORBIDDEN)
        fault = network.fault()
        if fault == "fails":
            return self._answer(503, {}, b"<Error><Code>SlowDown</Code></Error>")
        if fault == "slow":
            time.sleep(0.3)
        status, headers, content = self._asked(body)
        if fault == "lost":  # it was done, and nobody hears of it
            self.close_connection = True
            return None
        return self._answer(status, headers, content, cut=fault == "cut")

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _pass

    def _asked(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        plain = self.network.plain and self.command == "PUT"
        headers = {k: v for k, v in self.headers.items() if not (plain and k.lower() in CONDITIONS)}
        connection = http.client.HTTPConnection(*self.upstream, timeout=60)
        with self.writes:
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), content

    def _answer(self, status: int, headers: dict[str, str], content: bytes, cut: bool = False) -> None:
        self.send_response(status)
        kept = {
            k: v for k, v in headers.items() if k.lower() not in ("connection", "transfer-encoding", "date", "server")
        }
        if self.command != "HEAD":
            kept = {k: v for k, v in kept.items() if k.lower() != "content-length"} | {
                "Content-Length": str(len(content))
            }
        for key, value in kept.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if cut else content)
        self.close_connection = self.close_connection or cut

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is none."""


@dataclass
class Bucket:
    """An empty bucket on a server behind a network. client: boto3's, which goes by no network."""

    name: str
    network: Network
    environment: dict[str, str]
    client: Any

    def address(self, prefix: str = "roots/pets") -> str:
        """As a user names a root."""
        return f"s3://{self.name}/{prefix}"

    def names(self, below: str = "") -> list[str]:
        """Names of objects."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=below)
        return [one["Key"] for page in pages for one in page.get("Contents", [])]

    def read(self, key: str) -> bytes:
        """Content of an object."""
        content: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return content

    def write(self, key: str, content: bytes) -> None:
        """Store an object, whatever was there."""
        self.client.put_object(Bucket=self.name, Key=key, Body=content)

    def remove(self, key: str) -> None:
        """Take an object away."""
        self.client.delete_object(Bucket=self.name, Key=key)

    def commits(self) -> list[str]:
        """Kind and digest of what is committed."""
        return [found[1] for key in self.names() if (found := re.search(r"/commits/(\w+/\w+)\.json$", key))]


@pytest.fixture(scope="session")
def moto() -> Iterator[tuple[str, int]]:
    """Where a server of S3's protocol listens."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()
    server.stop()


@pytest.fixture
def s3(moto: tuple[str, int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bucket]:
    """An empty bucket, which the environment tells how to reach, and a cache of this test's own."""
    import boto3

    network = Network()
    handler = type("Handler", (_Handler,), {"network": network, "upstream": moto})
    proxy = _Proxy(("127.0.0.1", 0), handler)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.server_address[1]}",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "WILSS_CACHE": str(tmp_path / "cache"),
        "WILSS_LEASE_SECONDS": "3",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=f"http://{moto[0]}:{moto[1]}", region_name="us-east-1")
    name = f"pets-{uuid4().hex[:12]}"
    client.create_bucket(Bucket=name)
    yield Bucket(name, network, environment, client)
    proxy.shutdown()
    proxy.server_close()
