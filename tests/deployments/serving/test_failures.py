"""What goes wrong inside: told in a sentence, counted, and over with the request."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from starlette.testclient import TestClient
from torch import Tensor, nn

from deployments.serving.work import Work
from tests.deployments.serving.conftest import Asked
from tests.deployments.serving.made import blobs, encoded

IMAGE = encoded(blobs())


class Failing(nn.Module):
    """A network that does something else."""

    def __init__(self, do: Callable[[], object]) -> None:
        super().__init__()
        self.weight, self.do = nn.Parameter(torch.ones(1)), do

    def forward(self, images: Tensor) -> Tensor:
        self.do()
        return images * self.weight


def fail(error: BaseException) -> Callable[[], object]:
    def do() -> object:
        raise error

    return do


def work_of(client: TestClient) -> Work:
    found: Work = client.app.app.state.work  # type: ignore[attr-defined]
    return found


def spoil(client: TestClient, do: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    models = work_of(client).models
    loaded = models.current
    failing = replace(loaded.model, network=Failing(do))  # type: ignore[arg-type]
    monkeypatch.setattr(models, "current", replace(loaded, model=failing, alike={}))


@pytest.mark.parametrize(
    ("do", "timeout", "status", "said"),
    [
        (lambda: time.sleep(1.5), 0.5, 503, "there was no answer within 0.5 seconds; ask again"),
        (fail(torch.OutOfMemoryError("CUDA out of memory")), 30, 503, "the memory of the GPU is used up"),
        (fail(MemoryError()), 30, 503, "the server has no memory left; ask again"),
        (fail(RuntimeError("secret")), 30, 500, "the server failed at this request, its log says why"),
        (fail(KeyError("secret")), 30, 500, "the server failed at this request, its log says why"),
    ],
    ids=["slow", "GPU's memory", "memory", "RuntimeError", "KeyError"],
)
def test_one_request_fails_and_the_next_is_answered(
    serve: Asked,
    stored: Path,
    do: Callable[[], object],
    timeout: float,
    status: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = serve(stored, timeout=timeout)
    with monkeypatch.context() as patched:
        spoil(client, do, patched)
        answer = client.post("/predict", content=IMAGE)
    assert answer.status_code == status
    assert answer.json()["detail"].startswith(said)
    assert "secret" not in answer.text
    assert ("retry-after" in answer.headers) == (status == 503)
    assert answer.headers["x-wilss-model"] == work_of(client).models.current.digest
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    monkeypatch.undo()
    deadline = time.monotonic() + 30
    while (after := client.post("/predict", content=IMAGE)).status_code == 503 and time.monotonic() < deadline:
        pass  # the slow one is in the thread still
    assert after.status_code == 200
    lines = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines() if line[0] != "#")
    assert float(lines[f'wilss_serve_requests_total{{path="/predict",status="{status}"}}']) >= 1
    assert lines["wilss_serve_images_in_progress"] == lines["wilss_serve_queue_images"] == "0.0"
