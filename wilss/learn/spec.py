"""Settings of the trainings: schedule, memory bank, copy-paste, and what every method is asked. No torch."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from wilss.architecture import MOST_PIXELS
from wilss.section import LATER, Precision, Section

MOST_EPOCHS, MOST_BATCH = 100_000, 4096
Epochs = Annotated[int, Field(ge=1, le=MOST_EPOCHS, description="passes over the training images")]
BatchSize = Annotated[int, Field(ge=2, le=MOST_BATCH, description="images of an iteration")]
BackboneRate = Annotated[float, Field(gt=0, description="learning rate of what is trained of the backbone")]
HeadRate = Annotated[float, Field(gt=0, description="learning rate of all that is not the backbone")]


class TrainSpec(Section):
    """One training run. Defaults follow WILSON's code (SGD, Nesterov, poly 0.9)."""

    epochs: Epochs = 30
    batch_size: BatchSize = 24
    optimizer: Literal["sgd", "adamw"] = Field(
        "sgd", description="sgd (the papers') has momentum; adamw does not read it"
    )
    lr_backbone: BackboneRate = 0.01
    lr_head: HeadRate = 0.01
    momentum: float = Field(0.9, ge=0, lt=1, description="of sgd")
    weight_decay: float = Field(1e-4, ge=0, description="of weights; singular values have none, or svf_decay")
    poly_power: float = Field(0.9, ge=0, description="p of the poly decay: rate * (1 - iteration / total) ** p")
    constant_epochs: int = Field(
        0, ge=0, le=MOST_EPOCHS, description="epochs at constant rate before the poly decay sets in"
    )
    precision: Precision = Field("auto", description="auto: bf16 where the hardware has it")
    freeze_batchnorm: bool = Field(False, description="keep the backbone's BatchNorm statistics and affine fixed")
    tuning: Literal["full", "frozen", "svf"] = Field(
        "full",
        description="what of the backbone is trained; svf: singular values of its last stages (three, or svf_stages)",
    )
    tuned_stages: Annotated[int | None, Field(ge=1, le=8), LATER] = Field(
        None,
        description="tuning=full: only so many of the backbone's last stages are trained, which takes half the time; "
        "weights of the first stay, their BatchNorm statistics follow the data (ours); None: all of it",
    )
    accumulate: int = Field(
        1,
        ge=1,
        le=MOST_BATCH,
        description="parts in which a batch goes through the network, for little memory (BatchNorm sees parts)",
    )
    min_iterations: Annotated[int, LATER] = Field(
        0,
        ge=0,
        le=10_000_000,
        description="few images are passed several times an epoch, until the training has so many iterations (ours)",
    )

    @model_validator(mode="after")
    def _stages_of_a_full_tuning(self) -> Self:
        if self.tuned_stages and self.tuning != "full":
            raise ValueError(f"tuned_stages is for tuning=full; leave it out with tuning={self.tuning}")
        return self

    @property
    def nesterov(self) -> bool:
        """Whether momentum looks ahead, as in WILSON's code."""
        return True


class BaseTrainSpec(TrainSpec):
    """The training with masks, of step 0; some of its images may be kept to tell when it has learnt enough."""

    held_out: Annotated[float, LATER] = Field(
        0.0,
        ge=0,
        le=0.5,
        description="share of the images with masks that are not learnt from and scored after every epoch: the student "
        "of the best epoch is taken; no class gives more than half of its images (ours; not of method=joint)",
    )
    patience: Annotated[int, LATER] = Field(
        0,
        ge=0,
        le=MOST_EPOCHS,
        description="epochs without a better score on held-out images after which the training ends; 0: none (ours)",
    )

    @model_validator(mode="after")
    def _something_to_wait_for(self) -> Self:
        if self.patience and not self.held_out:
            raise ValueError(
                f"patience is {self.patience}, and no image is held out to be scored; set held_out too, such as 0.1"
            )
        return self


class MemorySpec(Section):
    """What the bank keeps."""

    per_class: int = Field(
        50, ge=1, le=10_000, description="B instances per old class (50: second-hand; per class: recalled)"
    )
    side: int = Field(
        256, ge=16, le=MOST_PIXELS, description="instances are shrunk to this many pixels on their longer side"
    )
    min_pixels: int = Field(
        64, ge=1, description="smaller connected components are no instances (unknown in the paper)"
    )
    whole: bool = Field(True, description="prefer instances that do not touch the image border (unknown in the paper)")
    margin: Annotated[float, LATER] = Field(
        0.0,
        ge=0,
        le=1,
        description="surroundings that come along with an instance, up to this share of its longer side away from it, "
        "labelled by the old model as any pixel (ours): what is cut out along a mask has lost its outline; they count "
        "for ``side`` too",
    )
    budget: Annotated[int, LATER] = Field(
        0, ge=0, le=10_000_000, description="instances of all classes together, class by class in rounds (SSUL); 0: any"
    )
    grows: Annotated[bool, LATER] = Field(
        False, description="after every step the bank gets instances of its classes, without masks (SSUL; here ours)"
    )
    cut_by: Annotated[Literal["labels", "student", "both"], LATER] = Field(
        "both",
        description="what cuts them out: the step's label set, what the trained student sees of the tagged classes "
        "(SSUL), or where both agree (ours); the student alone where a method learns from no label set",
    )
    min_quality: Annotated[float, LATER] = Field(
        0.7,
        ge=0,
        le=1,
        description="the student's mean probability of the class over an instance is at least this (SSUL)",
    )

    def of_masks(self) -> dict[str, Any]:
        """Plain data that determine the bank of the base classes."""
        return self.plain({"grows", "cut_by", "min_quality"})


class PasteSpec(Section):
    """How instances are pasted. Probability and count are recalled, the rest is unknown in the paper."""

    probability: float = Field(0.5, ge=0, le=1, description="share of images that get instances (recalled)")
    count: int = Field(2, ge=1, le=1000, description="instances per chosen image (recalled)")
    min_scale: float = Field(0.75, gt=0, le=16, description="size factor is drawn from min_scale to max_scale")
    max_scale: float = Field(
        1.25, gt=0, le=16, description="see min_scale; no side grows beyond 0.9 of the image's, whatever is drawn"
    )
    flip: float = Field(0.5, ge=0, le=1, description="probability that an instance is mirrored")
    by_class: Annotated[bool, LATER] = Field(
        False, description="a class is drawn before its instance, so that classes of few instances come as often (ours)"
    )
    seen_first: Annotated[bool, LATER] = Field(
        False, description="first the classes that the old model sees in the image, which nobody labels (EIR)"
    )
    on_background: Annotated[bool, LATER] = Field(
        False, description="of eight random places the one with most background (after EIR, which tries all)"
    )
    max_hidden: Annotated[float, LATER] = Field(
        1.0, ge=0, le=1, description="an instance is left out where more of a new object would be hidden (ours)"
    )
    limited_in: Annotated[Literal["every", "first"], LATER] = Field(
        "every", description="steps in which max_hidden holds: every one, or step 1 alone (ours)"
    )

    def of_step(self, step: int) -> PasteSpec:
        """What holds in this step, from 1."""
        return self.model_copy(update={"max_hidden": 1.0}) if self.limited_in == "first" and step > 1 else self

    @property
    def looks(self) -> bool:
        """Whether a rule asks what the old model sees in the images."""
        return self.seen_first or self.on_background

    @model_validator(mode="after")
    def _smaller_first(self) -> PasteSpec:
        if self.min_scale > self.max_scale:
            raise ValueError(f"paste.min_scale is {self.min_scale}, above max_scale {self.max_scale}; swap them")
        return self


class MethodSettings(Section):
    """Settings of a method, and what is asked of them; as they stand here, those of a method without settings."""

    @property
    def bank(self) -> MemorySpec | None:
        """The memory bank that the method pastes from; None where it pastes nothing."""
        return None

    def without_bank(self) -> Self:
        """The same for a run that has no base images to cut instances from: nothing is pasted."""
        return self

    @property
    def warmup(self) -> int:
        """Epochs in which the student is taught none of the new classes; their field is called ``warmup_epochs``."""
        return 0

    def require(self, name: str) -> None:
        """Raise SpecError for an optional package that these settings need and that is not here."""

    def check(self, name: str, step: TrainSpec) -> None:
        """Raise ValueError for settings that do not go together.

        Args:
            name: of the method. step: how the steps t >= 1 are trained.
        """
        if self.warmup >= step.epochs:
            key = f"{name}.warmup_epochs"
            raise ValueError(
                f"{key} is {self.warmup} and step.epochs is {step.epochs}: the student would see the new classes in no "
                f"epoch; train for longer, or add --set {key}={step.epochs - 1}"
            )
