"""What all parts of a specification share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seed = Annotated[int, Field(ge=0, lt=2**62)]
"""Seed of a generator: PyTorch takes 64 bits, and some uses add a little to it."""


class Section(BaseModel):
    """A part of a specification: frozen, without unknown keys, and with finite numbers only, for it has a digest."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
