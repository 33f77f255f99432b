"""Settings of episodes. No torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from wilss.section import Section

Novel = Literal["background", "ignore"]
"""What becomes of novel objects in the labels of base classes."""


class EpisodeAugmentSpec(Section):
    """Defaults are PFENet's for PASCAL; its scale for COCO is 0.8 to 1.25."""

    scale: tuple[float, float] = Field((0.9, 1.1), description="factor on the image size is drawn from first to second")
    rotation: float = Field(10.0, ge=0, le=180, description="largest rotation to either side, degrees")
    rotate: float = Field(0.5, ge=0, le=1, description="probability of a rotation")
    blur: float = Field(0.5, ge=0, le=1, description="probability of a Gaussian blur")
    flip: float = Field(0.5, ge=0, le=1, description="probability of a horizontal flip")
    keep: float = Field(0.85, ge=0, le=1, description="least share of the foreground that a crop keeps")
    draws: int = Field(30, ge=1, le=10_000, description="crops drawn at most to keep it; then the last one stays")

    @field_validator("scale")
    @classmethod
    def _ordered(cls, scale: tuple[float, float]) -> tuple[float, float]:
        if not 0 < scale[0] <= scale[1]:
            raise ValueError(f"scale is {scale}; give the smaller factor first, both above 0")
        return scale
