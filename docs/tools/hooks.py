"""Hooks of mkdocs, begun as ``python -m mkdocs`` in the repository: generated pages, links into it, equations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docs.tools import maths, outside
from docs.tools.commands import commands_page
from docs.tools.settings import fewshot_settings_page, settings_page

GENERATED = {
    "reference/commands.md": commands_page,
    "reference/settings.md": settings_page,
    "reference/settings-few-shot.md": fewshot_settings_page,
}
_homes: dict[str, str] = {}
"""Place on the site -> the file that the page is made from."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Equations, as a kind of fence and within a line; and pages that the navigation does not name, as guides."""
    fences: dict[str, Any] = config.mdx_configs.setdefault("pymdownx.superfences", {})
    fences["custom_fences"] = [{"name": "math", "class": "equation", "format": maths.block}]
    config.markdown_extensions.append(maths.InlineMaths())  # type: ignore[arg-type]
    guides = next(part["Guides"] for part in config.nav or () if "Guides" in part)
    guides += unlisted(config.nav, sorted(path.name for path in Path(config.docs_dir).glob("*.md")))
    return config


def unlisted(nav: object, pages: list[str]) -> list[str]:
    """Pages that the navigation does not name: a new guide is found without a word in mkdocs.yml."""
    named = str(nav)
    return [name for name in pages if f"'{name}'" not in named]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is generated, and what pages link to outside of docs/."""
    _homes.clear()
    _homes.update({file.src_uri: f"docs/{file.src_uri}" for file in files.documentation_pages()})
    for path, place in outside.outside_of(list(_homes.values())).items():
        _homes[place] = path
        files.append(File.generated(config, place, content=outside.page_of(path)))
    for place, make in GENERATED.items():
        _homes[place] = f"docs/{place}"
        files.append(File.generated(config, place, content=make()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links lead to where things stand on the site."""
    place = page.file.src_uri
    places = {home: place for place, home in _homes.items()}
    return outside.rewritten(markdown, _homes[place], place, places)
