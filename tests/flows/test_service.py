"""Where commands find the service of a root, and what they say where it cannot be used."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from pathlib import Path

import pytest

from flows.service import CARD, LOCK, Service, fits, require_service, service_folder, service_of
from stores.locks import held_now
from wilss.errors import FormatError, ServerNotFoundError


def card_of(root: Path, **other: str) -> Service:
    told = {
        "pid": 1,
        "root": root,
        "api": "http://127.0.0.1:4200/api",
        "interface": "http://127.0.0.1:4200",
        "inspector": "http://127.0.0.1:8460",
        "pools": ("cpu",),
        "started": "2026-01-01T00:00:00+00:00",
        "wilss": "0.1.0",
        "prefect": version("prefect"),
    }
    return Service.model_validate({**told, **other})


@pytest.fixture
def up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A root whose lock is held, as by a service."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")  # so that it is put back
    folder = service_folder(tmp_path)
    folder.mkdir()
    (folder / CARD).write_text(card_of(tmp_path).model_dump_json())
    with held_now(folder / LOCK) as held:
        assert held
        yield tmp_path


def test_the_service_of_the_root_goes_before_the_environment(up: Path) -> None:
    assert require_service(up) == "http://127.0.0.1:4200/api"


def test_a_card_that_a_killed_service_left_is_none(up: Path) -> None:
    other = up / "other"
    service_folder(other).mkdir(parents=True)
    (service_folder(other) / CARD).write_text(card_of(other).model_dump_json())
    (service_folder(other) / LOCK).touch()
    assert service_of(other) is None
    assert service_of(up) is not None


def test_a_damaged_card_is_one_sentence(up: Path) -> None:
    (service_folder(up) / CARD).write_text('{"pid": "no"')
    with pytest.raises(FormatError, match=r"service\.json' is damaged .*; start it with 'wilss up'"):
        service_of(up)


def test_a_service_of_another_prefect_is_one_sentence(up: Path) -> None:
    (service_folder(up) / CARD).write_text(card_of(up, prefect="3.1.0").model_dump_json())
    with pytest.raises(ServerNotFoundError, match=r"runs Prefect 3\.1\.0 .*, this command has 3\.\d+\.\d+; end it"):
        require_service(up)


def test_which_versions_fit() -> None:
    major, minor, *_ = version("prefect").split(".")
    assert fits(f"{major}.{minor}.77")
    assert fits(f"{major}.{int(minor) + 1}.0")
    assert not fits(f"{major}.{int(minor) - 1}.9")
    assert not fits(f"{int(major) + 1}.{minor}.0")


def test_without_any_server_it_says_how_to_start_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(ServerNotFoundError, match=r"no service is up for .*; start it with 'wilss up', or name a"):
        require_service(tmp_path)


@pytest.mark.parametrize(
    ("answer", "said"),
    [("2.20.1", r"is Prefect 2\.20\.1, this command has"), ("<html>", "no Prefect server answers"), ("", "no Prefect")],
)
def test_a_named_server_of_another_version_is_one_sentence(
    answer: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if answer else 404)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode() if answer.startswith("2") else answer.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{server.server_port}/api")
    try:
        with pytest.raises(ServerNotFoundError, match=said):
            require_service(tmp_path)
    finally:
        server.shutdown()
        server.server_close()
