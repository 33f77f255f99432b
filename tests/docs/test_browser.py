"""The site in a real browser, opened from files: nobody is asked anything, the search finds, all can read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.browser import THEMES, WIDTHS, Seen, browser, page_of, problems, program

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(program() is None, reason="there is no Chromium"),
]
PAGES = ("index", "tutorial", "papers/fmwiss", "how-to/scorer", "reference/settings", "reference/python", "results")


@pytest.fixture(scope="module")
def opened() -> Iterator[Any]:
    with browser() as found:
        yield found


def address(site: Path, name: str) -> str:
    return (site / f"{name}.html").as_uri()


def test_the_search_finds_without_a_server(opened: Any, site: Path) -> None:
    asked, wrong = list[str](), list[str]()
    with page_of(opened, Seen("search", 1280, "light"), address(site, "index")) as page:
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.reload(wait_until="load")
        page.keyboard.press("/")
        page.keyboard.type("contrastive")
        page.wait_for_selector(".md-search-result__item")
        assert "FMWISS" in page.locator(".md-search-result__list").inner_text()
    assert len(asked) > 3
    assert [url for url in asked if not url.startswith("file:")] == []
    assert wrong == []


def test_equations_are_drawn(opened: Any, site: Path) -> None:
    with page_of(opened, Seen("equations", 1280, "light"), address(site, "papers/fmwiss")) as page:
        boxes = [page.locator("mfrac").nth(k).bounding_box() for k in range(page.locator("mfrac").count())]
        assert len(boxes) >= 4
        assert all(box and box["height"] > 20 for box in boxes), "a fraction is higher than a line"


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_everybody_can_read_it(opened: Any, site: Path, name: str, width: int, theme: str) -> None:
    with page_of(opened, Seen(name, width, theme), address(site, name)) as page:
        page.wait_for_function("document.querySelector('[role=dialog]')?.getAttribute('aria-label') === 'Search'")
        assert problems(page) == []
