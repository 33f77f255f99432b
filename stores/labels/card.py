"""The card of a label set: what its manifest says beside the recipe. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from stores.artefacts import Manifest
from wilss.architecture import Count
from wilss.errors import FormatError
from wilss.layout import AGAIN, MANIFEST
from wilss.outside import checked, require_format
from wilss.report.records import ReviewCounts, WordsUsed

FORMAT = 2
"""Of the cards that are written; those of format 1 do not say so."""


class ReviewNotes(ReviewCounts):
    """What a review did to a set; ``n`` and ``seal`` are of its last act that was applied."""

    n: int = Field(ge=0)
    seal: str


class LabelCard(BaseModel):
    """Where a label set belongs, and where its images lie; other notes are passed over.

    spec: of the run that made it. class_ids: of its channels, in the classes of the data. data_root, voc_root: folders
    of the photographs. seconds: that the making took, of a teacher's masks. quality: means of the numbers of its rows.
    review: that was applied to its parent. own_tags: people changed tags of it, or of what it was made from, so that
    they may differ from those of the data. words: that the scorer was asked for.
    """

    model_config = ConfigDict(frozen=True)

    format: int = Field(1, ge=1)
    benchmark: str = ""
    step: int | None = Field(None, ge=0)
    spec: dict[str, Any]
    class_ids: tuple[Count, ...]
    data_root: Path | None = None
    voc_root: Path | None = None
    seconds: float | None = None
    quality: dict[str, float | None] = {}
    review: ReviewNotes | None = None
    own_tags: bool = False
    words: WordsUsed | None = None

    def notes(self) -> dict[str, Any]:
        """Plain data for the manifest."""
        empty = {name for name in ("seconds", "quality", "review", "own_tags", "words") if not getattr(self, name)}
        return self.model_dump(mode="json", exclude=empty)


def has_own_tags(manifest: Manifest) -> bool:
    """Whether people changed tags of a label set, so that they may differ from those of the data."""
    return manifest.notes.get("own_tags") is True


def read_card(manifest: Manifest, folder: Path, n_classes: int) -> LabelCard:
    """The card of a label set in ``folder`` with ``n_classes`` channels.

    Raises FormatError for notes that are newer, missing, or not of this label set.
    """
    path = folder / MANIFEST
    require_format(manifest.notes, path, FORMAT)
    card = checked(LabelCard, manifest.notes, path, AGAIN)
    if len(card.class_ids) != n_classes:
        raise FormatError(f"'{path}' is damaged ({len(card.class_ids)} class ids for {n_classes} classes); {AGAIN}")
    return card
