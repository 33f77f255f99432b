"""Links of a built site, and what its pages load."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "object": "data"}
"""Elements that load something as soon as a page is opened; those of <link> all do, but for these kinds."""
NOT_LOADED = {"canonical", "prev", "next", "alternate"}


class Page(HTMLParser):
    """One page: links, what it loads, and the anchors that it has."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links, self.loads, self.anchors = list[str](), list[str](), {""}
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in LOADED and LOADED[tag] in given:
            self.loads.append(given[LOADED[tag]])
        if tag == "link" and not set(given.get("rel", "").split()) & NOT_LOADED:
            self.loads.append(given["href"])


def pages_of(site: Path) -> dict[Path, Page]:
    """Every page of a site by its path."""
    return {path.resolve(): Page(path) for path in sorted(site.rglob("*.html"))}


def dead_links(site: Path) -> Iterator[str]:
    """Links within the site, and files that pages load, that lead nowhere; a sentence each."""
    pages = pages_of(site)
    for path, page in pages.items():
        if path.name == "404.html":  # its links are those of the site's root, wherever it is shown
            continue
        for link in (*page.links, *page.loads):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target not in pages and not target.is_file():
                yield f"{path.name}: '{link}' leads to no file"
            elif target in pages and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{path.name}: '{link}' leads to no place on its page"


def loads_from_elsewhere(site: Path) -> Iterator[str]:
    """What pages load from other hosts; a sentence each."""
    for path, page in pages_of(site).items():
        for load in page.loads:
            parts = urlsplit(load)
            if (parts.scheme or parts.netloc) and parts.scheme != "data":
                yield f"{path.name} loads '{load}'"
    for path in site.rglob("*.css"):
        text = path.read_text()
        yield from (f"{path.name} loads from '{mark}'" for mark in ("url(http", "url(//", "@import") if mark in text)
