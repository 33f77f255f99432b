"""Which foundation models make the pseudo-labels, and how. Imports no torch, so that the command line starts fast."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class CosegmentSpec(BaseModel):
    """How the two foundation models are combined. UNKNOWN and RECALLED items of the paper are fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float = Field(0.5, gt=0, lt=1, description="initial mask: min-max normalised score above this (unknown)")
    n_seeds: int = Field(10, ge=1, description="N seed points per labelled class (unknown in the paper)")
    seed_sampling: Literal["uniform", "confident"] = Field(
        "uniform", description="uniform in the initial mask (recalled), or in proportion to the score"
    )
    keep: float = Field(0.7, gt=0, le=1, description="K of the seed mask (recalled 70 %)")
    keep_by: Literal["mass", "area"] = Field("mass", description="K as share of attention mass or of cells (ambiguous)")
    guided_radius: int = Field(
        0, ge=0, description="radius in pixels of the guided filter that fits the scores to the image; 0 leaves it out"
    )
    guided_eps: float = Field(1e-3, gt=0, description="smoothness of the guided filter")
    guided_subsample: int = Field(
        4, ge=1, description="the filter's coefficients are computed on every k-th pixel (fast guided filter)"
    )
    fusion: Literal["union", "intersection", "initial", "seeds"] = Field("union", description="recalled: union")


class FoundationSpec(BaseModel):
    """Names and input settings of scorer and grouper."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scorer: str = Field("clip:scenes", description="clip:MODEL/PRETRAINED, clip:scenes or classifier:TIMM_MODEL")
    grouper: str = Field("dino:scenes", description="dino:TIMM_VIT, dino:scenes or features:TIMM_MODEL")
    scorer_scale: float = Field(1.0, gt=0, le=4, description="factor on the image size before the scorer sees it")
    grouper_scale: float = Field(1.0, gt=0, le=4)
    scorer_temperature: float | None = Field(None, gt=0, description="None takes the scorer's own default")
    grouper_temperature: float | None = Field(None, gt=0, description="None takes the grouper's own default")
    affinity: Literal["attention", "keys"] = Field(
        "attention", description="of a dino: grouper: seed rows of the attention (recalled), or cosine of the keys"
    )
    normalise: Literal["cell", "image"] = Field("cell", description="CLIP: cosine per cell, or parts of the image's")
    background: tuple[str, ...] = Field(("background", "texture"), description="words that compete without a map")
    old_names: bool = Field(True, description="names of old classes compete for pixels (names are no labels)")
    cosegment: CosegmentSpec = CosegmentSpec()
