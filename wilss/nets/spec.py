"""Settings of networks. No torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from wilss.architecture import MOST_CHANNELS, Channels, Dilation, ModelName
from wilss.section import LATER, Section

Form = Literal["factor", "direct"]


class StudentSpec(Section):
    """Architecture of the student."""

    backbone: ModelName = Field("resnet101", description="timm model with features_only")
    weights: str = Field("auto", description="'auto', 'none', a safetensors file, or heads:DIGEST of a few-shot model")
    output_stride: int = Field(16, ge=1, le=64, description="8 or 16 (32 for backbones that cannot dilate)")
    aspp_channels: Channels = Field(256, description="of every branch of the ASPP, and of its output")
    aspp_rates: tuple[Dilation, ...] = Field(
        (6, 12, 18),
        min_length=1,
        max_length=16,
        description="dilations of its 3x3 branches (papers: 6, 12, 18 at output stride 16; 12, 24, 32 at 8)",
    )
    dilation: Annotated[Literal["first-plain", "every"], LATER] = Field(
        "first-plain", description="'every': the first block of the last two ResNet stages too (WILSON, verified)"
    )
    activation: Annotated[Literal["relu", "leaky_relu"], LATER] = Field(
        "relu", description="'relu': the backbone's own; 'leaky_relu' in place of its ReLUs (WILSON, verified)"
    )
    prior: float = Field(
        0.05, gt=0, lt=1, description="initial sigmoid output of a new classifier channel (WILSON: 0.5, bias zero)"
    )
    spare_rows: Annotated[int, LATER] = Field(
        0,
        ge=0,
        le=MOST_CHANNELS,
        description="rows kept ready for coming classes: the base step trains them to see nothing, a step's classes "
        "begin with them (RevisitingCSS)",
    )
