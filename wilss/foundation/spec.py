"""Which foundation models make the pseudo-labels, and how. Imports no torch, so that the command line starts fast."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from wilss.architecture import MOST_PIXELS, Dilation
from wilss.section import LATER, Section

AUTO = "auto"
"""In place of a scorer's name: the one at hand that knows most of the classes, see `wilss.foundation.choose`."""
Block = Literal["auto", "value", "sclip", "clearclip", "naclip", "proxy"]
"""See `wilss.foundation.last_block`."""
Scale = Annotated[float, Field(gt=0, le=4)]


def split_text(value: Any) -> Any:
    """Lists may come as text from the command line: ``foundation.background=sky,grass``."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


class CosegmentSpec(Section):
    """How the two foundation models are combined. UNKNOWN and RECALLED items of the paper are fields."""

    threshold: float = Field(0.5, gt=0, lt=1, description="initial mask: min-max normalised score above this (unknown)")
    n_seeds: int = Field(10, ge=1, le=10_000, description="N seed points per labelled class (unknown in the paper)")
    seed_sampling: Literal["uniform", "weighted", "confident", "farthest"] = Field(
        "uniform",
        description="uniform in the initial mask (recalled), in proportion to the score, the highest cells, or "
        "farthest from each other",
    )
    keep: float = Field(0.7, gt=0, le=1, description="K of the seed mask (recalled 70 %)")
    keep_by: Literal["mass", "area"] = Field("mass", description="K as share of attention mass or of cells (ambiguous)")
    propagate: int = Field(
        0, ge=0, le=10, description="rounds in which scores spread along the grouper's affinity before the second mask"
    )
    refine: Literal["none", "guided", "pamr"] = Field(
        "none", description="what fits the masks to the image: nothing (recalled), a guided filter, or PAMR"
    )
    refine_what: Literal["scores", "fused"] = Field(
        "scores", description="the scorer's soft map before the fusion, or the fused mask"
    )
    refine_threshold: float | None = Field(
        None, gt=0, lt=1, description="threshold of the spread and fitted scores; None takes that of the initial mask"
    )
    guided_radius: int = Field(32, ge=1, le=MOST_PIXELS, description="radius of the guided filter in pixels")
    guided_eps: float = Field(1e-3, gt=0, description="smoothness of the guided filter")
    guided_subsample: int = Field(
        4, ge=1, le=256, description="the filter's coefficients are computed on every k-th pixel (fast guided filter)"
    )
    pamr_iterations: int = Field(10, ge=1, le=100, description="rounds of PAMR, as WILSON sets them")
    pamr_dilations: tuple[Dilation, ...] = Field(
        (1, 2, 4, 8, 12), min_length=1, max_length=16, description="as WILSON sets them"
    )
    pamr_side: int = Field(160, ge=16, le=MOST_PIXELS, description="longer side at which PAMR works")
    fusion: Literal["union", "intersection", "scores", "seeds"] = Field(
        "union", description="of the scorer's (spread, fitted) mask and the seeds' mask; recalled: union"
    )

    _lists = field_validator("pamr_dilations", mode="before")(split_text)

    @property
    def refined_level(self) -> float:
        """Threshold of the fitted scores."""
        return self.refine_threshold or self.threshold


class FoundationSpec(Section):
    """Names and input settings of scorer and grouper."""

    scorer: str = Field(
        "clip:scenes",
        description="clip:scenes, clip:MODEL/TAG, clip:MODEL/FILE, clip:FOLDER or classifier:TIMM_MODEL, of which "
        "several are averaged (classifier:A+B); auto: of those in the folder of weights the one that knows most of the "
        "classes",
    )
    grouper: str = Field("dino:scenes", description="dino:TIMM_VIT, dino:scenes or features:TIMM_MODEL")
    scorer_scales: tuple[Scale, ...] = Field(
        (1.0,),
        min_length=1,
        max_length=16,
        description="factors on the image size; the score maps of all of them are averaged",
    )
    scorer_flip: bool = Field(False, description="average with the scores of the mirrored image")
    scorer_stride: Literal[8, 16, 32] | None = Field(
        None, description="output stride of a convolutional classifier; None keeps its own"
    )
    evidence: Literal["probability", "margin"] = Field(
        "probability", description="classifier: softmax, or matched logit minus background evidence"
    )
    competition: float = Field(0.3, ge=0, description="classifier: weight of all other classes against the margin")
    scorer_temperature: float | None = Field(
        None, gt=0, description="factor on the logits (CLIP's logit scale); None takes the scorer's own default"
    )
    normalise: Literal["cell", "image"] = Field("cell", description="CLIP: cosine per cell, or parts of the image's")
    templates: Literal["auto", "scenes", "simple", "imagenet"] = Field(
        "auto", description="CLIP's prompt templates; auto takes those of the model's captions"
    )
    background: tuple[str, ...] = Field(
        ("background", "texture"),
        max_length=1000,
        description="words that compete without a map; 'photographs' stands for a list of what is around things in "
        "photographs, without words that name a class of the benchmark",
    )
    block: Annotated[Block, LATER] = Field(
        "auto",
        description="CLIP's ViT: what its last block does, of MaskCLIP (value, recalled), SCLIP, ClearCLIP, NACLIP or "
        "ProxyCLIP, whose proxy is the grouper; auto: the value path of open_clip's ViT, timm's towers as they are",
    )
    window: Annotated[int | None, Field(ge=16, le=MOST_PIXELS), LATER] = Field(
        None,
        description="CLIP sees an image that is larger, at its scale, in windows of this side in px, and their cosines "
        "are averaged (SCLIP's, NACLIP's and ProxyCLIP's evaluation); None: as a whole (recalled)",
    )
    stride: Annotated[int | None, Field(ge=1, le=MOST_PIXELS), LATER] = Field(
        None, description="px from one window to the next; None takes half of the window"
    )
    words: Annotated[Literal["mean", "max"], LATER] = Field(
        "mean",
        description="CLIP: several words of a class are averaged (ours), or compete one by one, the best counting "
        "(SCLIP's, NACLIP's and ProxyCLIP's evaluation)",
    )
    synonyms: Annotated[Literal["few", "many"], LATER] = Field(
        "few", description="VOC, COCO: words of each class, or further ones (ours; some of CLIP-ES)"
    )
    compete: Annotated[Literal["all", "tagged"], LATER] = Field(
        "all",
        description="CLIP: all new classes compete for an image's pixels (recalled), or only those of its tags "
        "(FreeCP, CLIP-ES); old names and background words always do",
    )
    old_names: bool = Field(True, description="names of old classes compete for pixels (names are no labels)")
    key_smoothing: float = Field(
        0.0, ge=0, le=1, description="CLIP: cells less certain than this are averaged by the cosine of keys; 0 is off"
    )
    denoise: float = Field(
        0.0, ge=0, lt=1, description="CLIP: classes that reach this probability nowhere do not compete; 0 is off"
    )
    grouper_scale: float = Field(1.0, gt=0, le=4, description="factor on the image size before the grouper sees it")
    grouper_temperature: float | None = Field(None, gt=0, description="None takes the grouper's own default")
    grouper_heads: int | None = Field(
        None, ge=1, description="attention: average of each seed's sharpest heads; None averages all (recalled)"
    )
    grouper_centred: bool = Field(False, description="features: take the image's mean feature away first")
    affinity: Literal["attention", "keys"] = Field(
        "attention", description="of a dino: grouper: seed rows of the attention (recalled), or cosine of the keys"
    )
    precision: Literal["auto", "bf16", "fp32"] = Field(
        "auto", description="of both networks; auto takes bf16 where the hardware has it"
    )
    cosegment: CosegmentSpec = CosegmentSpec()

    _lists = field_validator("scorer_scales", "background", mode="before")(split_text)

    @model_validator(mode="after")
    def _windows_that_meet(self) -> FoundationSpec:
        if self.stride and not self.window:
            raise ValueError(f"stride is {self.stride} px without a window; give window too, or leave stride out")
        if self.stride and self.window and self.stride > self.window:
            raise ValueError(f"stride {self.stride} leaves gaps between windows of {self.window} px; take at most that")
        return self
