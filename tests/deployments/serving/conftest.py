"""Applications with everything but a socket, over students in a store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from deployments.access import Access
from deployments.serving.app import create_app
from deployments.serving.gate import Rules
from deployments.serving.metrics import Metrics
from deployments.serving.models import Models
from deployments.serving.options import Options
from deployments.serving.work import Work
from stores.registry import promote
from tests.deployments.serving import made

ADDRESS = "http://127.0.0.1:8470"
ADA = {"who": "ada", "why": "a test"}
Asked = Callable[..., TestClient]


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root whose champion knows cats and dogs; not to be changed."""
    root = tmp_path_factory.mktemp("stored")
    promote(root, made.publish(root, 0), expected=None, **ADA)
    return root


@pytest.fixture(scope="module")
def serve() -> Iterator[Asked]:
    """Make a client of an application: of a root, with options; closed at the end of the module."""
    with ExitStack() as stack:

        def client(root: Path, model: str = "champion", rules: Rules | None = None, **options: Any) -> TestClient:
            metrics = Metrics()
            work = Work(
                Options(model=model, root=root, device="cpu", **{"poll": 0.05, **options}),
                metrics,
                Models(model, root, "cpu", metrics.loaded),
            )
            app = create_app(work, rules or Rules(Access(), is_closed=False))
            found = TestClient(app, ADDRESS, raise_server_exceptions=False, follow_redirects=False)  # type: ignore[arg-type]
            return stack.enter_context(found)

        yield client


@pytest.fixture(scope="module")
def client(serve: Asked, stored: Path) -> TestClient:
    """Of the champion, with the usual limits."""
    return serve(stored)
