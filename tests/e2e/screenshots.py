"""Pictures of pages in two widths and two themes, and what is wrong with them.

``python -m tests.e2e.screenshots --to FOLDER FILE-OR-URL...`` writes NAME-WIDTH-THEME.png, and ends with 1 where
something is wrong. Needs ``pip install .[test]`` and a Chromium.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.browser import THEMES, WIDTHS, Seen, address_of, browser, page_of, problems


def take(targets: Sequence[str], to: Path, widths: Sequence[int], themes: Sequence[str], whole: bool) -> list[str]:
    """Write the pictures; returns what is wrong, a line each.

    Args:
        targets: files or URLs. whole: the whole page, not what fits the window.
    """
    to.mkdir(parents=True, exist_ok=True)
    wrong = []
    with browser() as opened:
        for number, target in enumerate(targets, start=1):
            for seen in (Seen(f"{number:02}-{name_of(target)}", w, t) for w in widths for t in themes):
                with page_of(opened, seen, address_of(target)) as page:
                    page.screenshot(path=to / f"{seen}.png", full_page=whole)
                    wrong += [f"{seen}: {problem}" for problem in problems(page)]
    return wrong


def name_of(target: str) -> str:
    """A name for the pictures of a file or a URL."""
    path = Path(target.split("?")[0].rstrip("/"))
    return f"{path.parent.name}-{path.stem}"[-60:].replace(":", "-") or "page"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="+", metavar="FILE-OR-URL")
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS)
    parser.add_argument("--themes", nargs="+", default=THEMES, choices=THEMES)
    parser.add_argument("--window", action="store_true", help="what fits the window instead of the whole page")
    given = parser.parse_args()
    wrong = take(given.targets, given.to, given.widths, given.themes, not given.window)
    print("\n".join([*wrong, f"{len(wrong)} problems; pictures: {given.to}"]))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
