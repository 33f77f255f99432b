"""Pages of reports in a real browser: no serious violation of WCAG, nothing wider than its window, nothing moves."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.browser import THEMES, WIDTHS, Seen, browser, moved, page_of, problems, program
from tests.e2e.specimen import specimen
from tests.wilss import test_pages

pytestmark = [pytest.mark.slow, pytest.mark.skipif(program() is None, reason="there is no Chromium")]

PAGES: dict[str, Callable[[], str]] = {
    "run": test_pages.run,
    "comparison": test_pages.comparison,
    "few-shot": test_pages.few_shot,
    "svf": test_pages.singular_values,
    "specimen": specimen,
}


@pytest.fixture(scope="module")
def opened() -> Iterator[Any]:
    with browser() as found:
        yield found


@pytest.fixture(params=PAGES)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    path = tmp_path / "page.html"
    path.write_text(PAGES[request.param](), encoding="utf-8")
    return path.as_uri()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_page_can_be_read_by_everybody(opened: Any, address: str, width: int, theme: str) -> None:
    with page_of(opened, Seen("page", width, theme), address) as page:
        assert problems(page) == []
        assert moved(page) == 0
        light = sum(map(int, re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))[:3]))
        assert (light > 600) == (theme == "light")


def test_what_is_wrong_is_told(opened: Any, tmp_path: Path) -> None:
    path = tmp_path / "bad.html"
    late = "<script>setTimeout(() => document.body.prepend(document.createElement('h1'), 'late'), 100)</script>"
    path.write_text(f'<html lang="en"><title>t</title><body><p style="color:#ccc;width:2000px">words{late}')
    with page_of(opened, Seen("bad", 390, "light"), path.as_uri()) as page:
        assert moved(page) > 0
        contrast, wide = problems(page)
    assert contrast.startswith("color-contrast (serious)")
    assert "pixels wide in a window of 390" in wide


def test_a_page_is_read_by_keyboard(opened: Any, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(test_pages.run(), encoding="utf-8")
    with page_of(opened, Seen("page", 390, "light"), path.as_uri()) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        page.keyboard.press("Enter")
        assert page.url.endswith("#content")
        boxes = page.locator(".table-box")
        assert boxes.count() > 3
        boxes.first.focus()
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
