"""Evaluations on disk: the confusion matrices of a student. Imports no torch before it reads one as a tensor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, model_validator

from wilss.damage import read_stored
from wilss.outside import Pixels

if TYPE_CHECKING:
    from torch import Tensor

FILE = "confusion.json"


class Confusions(BaseModel):
    """Stored confusion matrices: rows are true classes, columns predicted ones, background first."""

    classes: tuple[str, ...]
    tables: dict[str, list[list[Pixels]]]

    @model_validator(mode="after")
    def _square(self) -> Confusions:
        side = len(self.classes) + 1
        if any(len(rows) != side or {len(row) for row in rows} != {side} for rows in self.tables.values()):
            raise ValueError(f"a table is not of {side} rows and columns, as its {len(self.classes)} classes ask for")
        return self


def save_confusions(classes: tuple[str, ...], tables: Mapping[str, Tensor], folder: Path) -> None:
    """Write matrices into a staging folder.

    Args:
        classes: names in channel order, without background. tables: way of scoring -> int64 ``(1 + C, 1 + C)``.
    """
    content = {"classes": classes, "tables": {name: table.tolist() for name, table in tables.items()}}
    (folder / FILE).write_text(json.dumps(content))


def read_confusions(folder: Path) -> dict[str, Tensor]:
    """The matrices, int64 ``(1 + C, 1 + C)``: "full" (full-size images) and, where wanted, "crop".

    Further evaluation sets come after them, with their name before it: "voc full". Raises DamagedArtefactError.
    """
    import torch

    return {name: torch.tensor(rows) for name, rows in read_counts(folder).tables.items()}


def read_counts(folder: Path) -> Confusions:
    """The same as plain numbers, with the names of their classes. Raises DamagedArtefactError."""
    return read_stored(Confusions, folder / FILE)


def class_shares(counts: Confusions, scoring: str = "full") -> dict[str, float | None]:
    """Intersection over union of background and every class; None for one that the truth does not contain."""
    matrix = counts.tables[scoring]
    seen = [sum(column) for column in zip(*matrix, strict=True)]
    shares = [
        row[k] / (sum(row) + seen[k] - row[k]) if sum(row) else None for k, row in enumerate(matrix)
    ]  # `wilss.measure.confusion.iou`, without torch
    return dict(zip(("background", *counts.classes), shares, strict=True))
