"""A root that is made once, read by most tests and copied by those that change it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.commands import Wilss, command_line
from tests.deployments import world
from tests.deployments.bucket import Bucket
from wilss.layout import INSPECTOR


@dataclass(frozen=True)
class World:
    """A root, digests of what is in it, and a browser."""

    root: Path
    digests: dict[str, str]
    browser: TestClient

    def text(self, address: str, status: int = 200) -> str:
        """A page."""
        answer = self.browser.get(address)
        assert answer.status_code == status, f"{address}: {answer.status_code} {answer.text[:500]}"
        return answer.text


@pytest.fixture(scope="session")
def seen(tmp_path_factory: pytest.TempPathFactory) -> World:
    """To be looked at, not to be changed."""
    root = tmp_path_factory.mktemp("seen")
    return World(root, world.make(root), world.client(root))


@pytest.fixture
def own(seen: World, tmp_path: Path) -> World:
    """A copy to be changed, without what others had made to look at."""
    shutil.copytree(seen.root, tmp_path / "root", ignore=shutil.ignore_patterns(INSPECTOR))
    return World(tmp_path / "root", seen.digests, world.client(tmp_path / "root"))


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket, which the environment tells how to reach."""
    bucket = Bucket.begin()
    for name, value in bucket.environment.items():
        monkeypatch.setenv(name, value)
    yield bucket
    bucket.stop()


@pytest.fixture
def wilss(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Wilss:
    """Run the command line in this process."""
    return command_line(capsys, monkeypatch)
