"""A real browser over pages: pictures of them, and what is wrong with them; run, it says whether there is one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WIDTHS, THEMES = (1280, 390), ("light", "dark")
HEIGHTS = {1280: 900, 390: 844}
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
NONE = "no Chromium on this machine: tests of pages in a browser are skipped; install the system's package 'chromium'"
TOLD = ("serious", "critical")

MOVED = """() => new Promise(done => {
  let sum = 0;
  new PerformanceObserver(list => { for (const entry of list.getEntries()) sum += entry.value; })
    .observe({type: "layout-shift", buffered: true});
  setTimeout(() => done(sum), 300);
})"""


@dataclass(frozen=True)
class Seen:
    """A page as somebody sees it."""

    name: str
    width: int
    theme: str

    def __str__(self) -> str:
        return f"{self.name}-{self.width}-{self.theme}"


def program() -> str | None:
    """The system's Chromium, where there is one."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


@contextmanager
def browser() -> Iterator[Any]:
    """A browser of Playwright: the system's Chromium, else the one that Playwright fetched."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program(), args=["--no-sandbox"])
        yield opened
        opened.close()


@contextmanager
def page_of(opened: Any, seen: Seen, address: str, script: bool = True) -> Iterator[Any]:
    """A loaded page in one width and theme.

    Args:
        address: a URL. script: whether JavaScript of the page runs.
    """
    size = {"width": seen.width, "height": HEIGHTS.get(seen.width, 900)}
    context = opened.new_context(viewport=size, color_scheme=seen.theme, java_script_enabled=script)
    page = context.new_page()
    page.goto(address, wait_until="load")
    yield page
    context.close()


def address_of(target: str) -> str:
    """A URL as it is, a file as its URL."""
    return target if "://" in target else Path(target).resolve().as_uri()


def problems(page: Any) -> list[str]:
    """What is wrong with a page that is open: serious violations of WCAG, and a page wider than its window."""
    from axe_playwright_python.sync_playwright import Axe

    found = [
        f"{rule['id']} ({rule['impact']}): {node['html'][:160]} {node.get('failureSummary', '')[:300]}"
        for rule in Axe().run(page).response["violations"]
        if rule["impact"] in TOLD
        for node in rule["nodes"][:3]
    ]
    wide, window = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    return [*found, *([f"{wide} pixels wide in a window of {window}"] if wide > window else [])]


def moved(page: Any) -> float:
    """How far things moved since the page was opened, as browsers measure it (cumulative layout shift)."""
    return float(page.evaluate(MOVED))


def main() -> None:
    """Say whether there is a browser, before tests begin."""
    found = program()
    print(f"pages are tested with {found}" if found else NONE)


if __name__ == "__main__":
    main()
