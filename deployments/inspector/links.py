"""Where pages of things are, and texts that are links in the templates of static reports."""

from __future__ import annotations

from typing import Any, Self

from markupsafe import Markup, escape

from deployments.inspector.html import in_path, short

PAGES = {"labels": "/labels/", "checkpoints": "/models/", "heads": "/models/"}
NOUNS = {
    "labels": "label set",
    "checkpoints": "model",
    "heads": "few-shot model",
    "banks": "memory bank",
    "evaluations": "evaluation",
    "episodes": "episodes",
}


def address_of(kind: str, digest: str) -> str:
    """The page of an artefact."""
    return f"{PAGES.get(kind, f'/artefacts/{kind}/')}{in_path(digest)}"


class Link(str):
    """A text that a template shows as a link, also where it shows the first letters only."""

    address: str

    @classmethod
    def to(cls, text: str, address: str) -> Self:
        """The text, and where it leads; "" for nowhere."""
        made = cls(text)
        made.address = address
        return made

    def __getitem__(self, part: Any) -> Link:
        return Link.to(str.__getitem__(self, part), self.address)

    def __html__(self) -> str:
        text = escape(str(self))
        return Markup('<a href="{}">{}</a>').format(self.address, text) if self.address else text


def linked(kind: str, digest: str) -> Link:
    """A digest that leads to its artefact's page."""
    return Link.to(digest, address_of(kind, digest))


def named(kind: str, digest: str) -> str:
    """An artefact in words."""
    return f"{NOUNS.get(kind, kind)} {short(digest)}"
