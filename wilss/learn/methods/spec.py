"""Settings of the methods. No torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from wilss.architecture import Channels, Dilation
from wilss.learn.spec import MemorySpec, MethodSettings, PasteSpec, TrainSpec
from wilss.packages import require_packages
from wilss.section import LATER


class FmwissSpec(MethodSettings):
    """Every weight and switch of FMWISS. The descriptions say what the paper is known to use."""

    alpha: float = Field(0.5, ge=0, le=1, description="share of the hard label in q (recalled 0.5)")
    contrastive_weight: float = Field(0.1, ge=0, description="lambda of L_DCL (recalled 0.1); 0 switches it off")
    contrastive_temperature: float = Field(0.1, gt=0, description="tau (recalled 0.1)")
    contrastive_points: int = Field(10, ge=2, le=10_000, description="points per class in the mini-batch (recalled 10)")
    encoder_weight: float = Field(1.0, ge=0, description="weight of WILSON's encoder loss (kept: inferred)")
    warmup_epochs: int = Field(5, ge=0, description="epochs with the teacher's losses only (recalled 5)")
    teacher: bool = Field(True, description="False: the student learns from the refined masks directly (ablation)")
    teacher_channels: Channels = Field(256, description="width of the plug-in ASPP (inferred 256)")
    teacher_start: Literal["random", "old"] = Field(
        "random",
        description="the teacher's ASPP and old outputs start at random, or as a copy of the old model's (ours: in a "
        "short schedule a random one stays behind its labels)",
    )
    teacher_to_backbone: bool = Field(True, description="the teacher's gradient reaches the backbone (as in WILSON)")
    teacher_background: Literal["masked", "distilled"] = Field(
        "masked",
        description="teacher's background target: the old model's, but zero inside new masks (ours), or as it is",
    )
    teacher_average: Annotated[float, LATER] = Field(
        0.0,
        ge=0,
        lt=1,
        description="the student learns from the exponential average of the teacher, of which each batch (each part of "
        "one that is accumulated) keeps this share (ours, after mean teachers); 0: from the teacher as it is",
    )
    teacher_sure: Annotated[float, LATER] = Field(
        0.0,
        ge=0,
        lt=0.5,
        description="cells of which a pseudo-mask covers more than this share, and leaves more than this, teach the "
        "teacher nothing of its class (ours): borders are where masks are wrong",
    )
    compete: Literal["all", "tagged"] = Field(
        "tagged",
        description="who may win the argmax of q: all (recalled equation), or only tagged ones of the new classes",
    )
    old_in_mix: bool = Field(
        True, description="old classes take part in that argmax (recalled equation; WILSON's code removes them)"
    )
    student_background: Annotated[Literal["both", "old", "later"], LATER] = Field(
        "both",
        description="whose background the student learns: the lesser of the old model's and q's (recalled), the old "
        "model's where no new class is (ours: the lesser of two shrinks with every step, and old objects grow), or the "
        "lesser in step 1 and the old model's in later ones",
    )
    old_rows: Annotated[Literal["trained", "frozen"], LATER] = Field(
        "trained", description="the student's classifier rows of old classes (frozen: after RevisitingCSS)"
    )
    arbitration: Annotated[Literal["none", "cells", "regions", "superpixels"], LATER] = Field(
        "none",
        description="who owns a place in the student's target, new classes or the old model (SASA): nobody alone (the "
        "paper's target), decided cell by cell, by regions of cells whose old features are alike (ours), or by "
        "superpixels of the image (SLIC; the extra 'superpixels')",
    )
    arbitrate_labels: Annotated[bool, LATER] = Field(
        False, description="the pseudo-masks, which teach the teacher, lose what the student's target loses to the old"
    )
    region_share: Annotated[float, LATER] = Field(
        0.6, ge=0, lt=1, description="a region is new where its pseudo-mask has more of it (SASA 0.6)"
    )
    region_cosine: Annotated[float, LATER] = Field(
        0.9,
        ge=-1,
        le=1,
        description="neighbouring cells are of one region if the cosine of their features is this or more (ours)",
    )
    superpixels: Annotated[int, LATER] = Field(
        64, ge=1, le=4096, description="about how many there are in a crop, where they are what has an owner (ours)"
    )
    most_contradiction: Annotated[float, LATER] = Field(
        1.0,
        ge=0,
        le=1,
        description="pseudo-masks lose cells to which the old model gives an old class with more (Teddy); 1: none",
    )
    memory: MemorySpec = MemorySpec()
    paste: PasteSpec = PasteSpec()

    @property
    def bank(self) -> MemorySpec | None:
        """Of old classes, unless nothing is pasted."""
        return self.memory if self.paste.probability > 0 else None

    def without_bank(self) -> FmwissSpec:
        """The same without pasting."""
        return self.model_copy(update={"paste": self.paste.model_copy(update={"probability": 0.0})})

    @property
    def warmup(self) -> int:
        """Epochs with the teacher's losses only."""
        return self.warmup_epochs

    def require(self, name: str) -> None:
        """Superpixels are computed by a package that is optional."""
        if self.arbitration == "superpixels":
            require_packages(f"{name}.arbitration=superpixels", ("skimage",), "superpixels")

    def check(self, name: str, step: TrainSpec) -> None:
        """Without a teacher the encoder loss is all there is in the warm-up, and it needs a backbone that learns."""
        if not self.teacher and (self.teacher_average or self.teacher_sure):
            raise ValueError(
                f"{name}.teacher_average and {name}.teacher_sure are of a teacher, and {name}.teacher is false; leave "
                "them out"
            )
        if self.arbitrate_labels and self.arbitration == "none":
            raise ValueError(
                f"{name}.arbitrate_labels takes from pseudo-masks what {name}.arbitration decides, which is none; set "
                "that to cells, regions or superpixels, or leave this out"
            )
        trains = self.encoder_weight and step.tuning != "frozen"
        if self.warmup_epochs and not self.teacher and not trains:
            raise ValueError(
                f"with {name}.teacher=false, and no encoder loss or a frozen backbone, nothing is trained in the "
                f"{self.warmup_epochs} epochs of warm-up; add --set {name}.warmup_epochs=0"
            )
        super().check(name, step)


class WilsonSpec(MethodSettings):
    """Settings of WILSON's incremental step; the defaults are those of its released code for VOC."""

    alpha: float = Field(0.5, ge=0, le=1, description="share of the hard label in q (0.9 for COCO-to-VOC)")
    warmup_epochs: int = Field(5, ge=0, description="epochs before the localizer supervises itself and the student")
    encoder_weight: float = Field(1.0, ge=0, description="weight of the encoder loss")
    channels: Channels = Field(256, description="width of the localizer")
    pool_epsilon: float = Field(1.0, gt=0, description="epsilon of the weighted pooling")
    focal_power: float = Field(3.0, ge=0, description="power of the focal penalty")
    focal_floor: float = Field(0.01, gt=0, description="lambda of the focal penalty")
    cutoff: float = Field(0.6, gt=0, lt=1, description="share of a class's maximum that a confident pixel exceeds")
    background_cutoff: float = Field(0.7, gt=0, lt=1, description="the same for the background")
    pamr_iterations: int = Field(10, ge=1, le=100, description="rounds of PAMR over the localizer's masks")
    pamr_dilations: tuple[Dilation, ...] = Field(
        (1, 2, 4, 8, 12), min_length=1, max_length=16, description="distances of PAMR's neighbours, cells of the masks"
    )
    soft_untagged: bool = Field(
        False, description="old and untagged classes keep their soft part in q (ours; WILSON's code takes it out)"
    )

    @property
    def warmup(self) -> int:
        """Epochs before the localizer supervises the student."""
        return self.warmup_epochs
