"""Files of the repository that pages link to, as pages of the site: sources, examples, notebooks, the changelog."""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s#]+)(?:#[^)\s]*)?\)")
LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".css": "css", ".sh": "sh"}
NAMED = {"CHANGELOG.md": "changelog.md", "examples": "examples/index.md"}
"""Files and folders that have a name of their own on the site."""


def links_of(text: str) -> Iterator[str]:
    """Targets of a page's links within the repository, without their anchors."""
    for found in LINK.finditer(text):
        target = found["target"]
        if "://" not in target and not target.startswith(("mailto:", "<")):
            yield target


def resolved(target: str, home: str) -> str:
    """The path from the repository's root that a link of the file ``home`` leads to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(home), target))


def outside_of(pages: Iterable[str]) -> dict[str, str]:
    """Paths outside of docs/ that these pages link to -> their page on the site; what those link to as well.

    Args:
        pages: paths from the repository's root.
    """
    found = {path: place_of(path) for path in (*NAMED, *(_inside("examples")))}
    left = [*pages, *found]
    while left:
        home = left.pop()
        if not (ROOT / home).is_file() or not home.endswith(".md"):
            continue
        for target in links_of((ROOT / home).read_text()):
            path = resolved(target, home)
            if path in found or path.startswith(("docs/", "..")) or not (ROOT / path).exists():
                continue
            found[path] = place_of(path)
            left.append(path)
    return found


def place_of(path: str) -> str:
    """Where a file outside of docs/ stands on the site."""
    if path in NAMED:
        return NAMED[path]
    pure = PurePosixPath(path)
    place = pure if path.startswith("examples/") else "source" / pure
    if place.name == "README.md":  # mkdocs takes it for the index of its folder
        return f"{place.parent}.md"
    return str(place) if pure.suffix == ".md" else f"{place}.md"


def page_of(path: str) -> str:
    """Markdown that shows a file or a folder of the repository."""
    full = ROOT / path
    if full.is_dir():
        entries = (f"- [`{PurePosixPath(inner).name}`]({inner})" for inner in _inside(path))
        return f"# Files of `{path}`\n\n" + "\n".join(entries) + "\n"
    text = full.read_text()
    if full.suffix == ".md":
        return text
    if full.suffix == ".ipynb":
        return notebook_page(path)
    return f"# {full.name}\n\n`{path}`\n\n{fenced(text, LANGUAGES.get(full.suffix, 'text'))}"


def notebook_page(path: str) -> str:
    """A notebook's cells, without outputs, which are not stored."""
    cells = json.loads((ROOT / path).read_text())["cells"]
    parts = [
        fenced("".join(cell["source"]), "python") if cell["cell_type"] == "code" else "".join(cell["source"])
        for cell in cells
    ]
    return "\n\n".join([*parts, f"The notebook itself: `{path}`.\n"])


def fenced(text: str, language: str) -> str:
    """A block of code, whatever fences it holds itself."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}\n"


def rewritten(markdown: str, home: str, source_uri: str, places: dict[str, str]) -> str:
    """A page whose links lead to pages of the site.

    Args:
        home: the file that it is made from, from the repository's root. source_uri: its place on the site.
        places: path from the repository's root -> place on the site.
    """

    def lead(found: re.Match[str]) -> str:
        target = found["target"]
        if "://" in target or (place := places.get(resolved(target, home))) is None:
            return found[0]
        begin, end = (at - found.start() for at in found.span("target"))
        return found[0][:begin] + os.path.relpath(place, posixpath.dirname(source_uri) or ".") + found[0][end:]

    return LINK.sub(lead, markdown)


def _inside(path: str) -> list[str]:
    kept = (".py", ".yaml", ".ipynb")
    return sorted(f"{path}/{file.name}" for file in (ROOT / path).iterdir() if file.suffix in kept)
