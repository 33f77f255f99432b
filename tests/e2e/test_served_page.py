"""The page of a served model in a real browser: an image is chosen, sent, and its classes stand beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stores.registry import promote
from tests.deployments.serving.made import Server, blobs, publish, served
from tests.e2e.browser import THEMES, WIDTHS, Seen, browser, page_of, problems, program

pytestmark = [pytest.mark.slow, pytest.mark.skipif(program() is None, reason="there is no Chromium")]
NAMES = ("person", "a class with quite a long name, as people give them", "<b>dog</b>")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("served")
    promote(root, publish(root, 5, NAMES), expected=None, who="ada", why="a test")
    blobs(60, 80, 3).resize((640, 480)).save(root / "a photo of blobs.jpg")
    (root / "no-image.jpg").write_bytes(b"hello")
    return root


@pytest.fixture(scope="module", params=["127.0.0.1", "0.0.0.0"])
def server(root: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    with served(root, "champion", "--host", request.param) as server:
        yield server


@pytest.fixture(scope="module")
def opened() -> Iterator[Any]:
    with browser() as found:
        yield found


def address(server: Server) -> str:
    """As it was printed, asked on this machine."""
    found = re.search(r"http://[^: ]+(:\d+\S*)", server.line)
    assert found
    return f"http://127.0.0.1{found[1]}"


def send(page: Any, path: Path) -> None:
    page.set_input_files("#image", path)
    with page.expect_navigation():
        page.click("button[type=submit]")


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("script", [True, False], ids=["with script", "without"])
def test_an_image_and_its_classes(
    opened: Any, server: Server, root: Path, width: int, theme: str, script: bool, tmp_path: Path
) -> None:
    asked: list[str] = []
    with page_of(opened, Seen("served", width, theme), address(server), script) as page:
        page.on("request", lambda request: asked.append(request.url))
        assert page.locator("h1").inner_text() == "Segment an image"
        assert page.locator("[aria-label=Classes] li").all_inner_texts() == list(NAMES)
        if script:
            assert problems(page) == []
        send(page, root / "a photo of blobs.jpg")
        assert page.locator("h1").inner_text() == "a photo of blobs.jpg"
        if script:
            assert problems(page) == []
            sizes = page.eval_on_selector_all(
                "figure img", "found => found.map(e => [e.naturalWidth, e.naturalHeight])"
            )
            assert len(sizes) == 2
            assert all(w * 480 == h * 640 > 0 for w, h in sizes)
        shares = page.locator("[aria-label='Classes of the image'] li").all_inner_texts()
        assert shares
        assert all(re.search(r" \d+\.\d %$", text) for text in shares)
        with page.expect_download() as mask:
            page.click("a[download]")
        mask.value.save_as(tmp_path / "mask.png")
        assert (tmp_path / "mask.png").read_bytes()[:4] == b"\x89PNG"
    assert all(url.startswith((f"http://127.0.0.1:{server.port}/", "data:")) for url in asked), asked


def test_what_is_no_image_is_said_on_a_page(opened: Any, server: Server, root: Path) -> None:
    with page_of(opened, Seen("served", 390, "light"), address(server)) as page:
        send(page, root / "no-image.jpg")
        assert "'no-image.jpg' cannot be decoded as an image" in page.locator(".problem").inner_text()
        assert problems(page) == []
        page.click("text=Another image")
        assert page.locator("h1").inner_text() == "Segment an image"
