"""Parts of a few-shot specification: backbone, trainings, the PSPNet of stage 1, silhouettes. No torch."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from wilss.architecture import Channels, ModelName
from wilss.data.scenes.outlines import LEAST, MOST
from wilss.data.spec import MOST_IMAGES, World
from wilss.fewshot.episodes.spec import EpisodeAugmentSpec, Novel
from wilss.learn.spec import BackboneRate, BatchSize, Epochs, HeadRate, TrainSpec
from wilss.nets.spec import Form
from wilss.section import Section, Seed
from wilss.words import with_section_defaults

Schedule = Annotated[
    Literal["poly", "cosine", "constant"], Field(description="of the learning rates; poly and cosine end at 0")
]
Side = Annotated[int, Field(ge=1, le=256)]


class BackboneSpec(Section):
    """Backbone of few-shot heads."""

    backbone: ModelName = Field("resnet50s", description="timm ResNet, MobileNet or EfficientNet, or vgg16_bn")
    weights: str = Field("auto", description="'auto', 'none' or a safetensors file")
    output_stride: int = Field(8, ge=1, le=64, description="of all but vgg16_bn, which has 8 and 16")
    dilation: Literal["first-plain", "every"] = Field(
        "first-plain",
        description="'every': the first block of the last two ResNet stages too (PFENet, BAM, CWT)",
    )
    train_batchnorm: bool = Field(False, description="BatchNorm learns with the heads (PFENet's code lets it)")


class PspSpec(Section):
    """Settings of the stage-1 network above its backbone."""

    bins: tuple[Side, ...] = Field((1, 2, 3, 6), min_length=1, max_length=16, description="sides of the pooled maps")
    channels: Channels = Field(512, description="of the bottleneck")
    classifier_bias: bool = Field(True, description="BAM; False for CWT")
    dropout: float = Field(0.1, ge=0, lt=1, description="of whole channels of the bottleneck")
    aux_weight: float = Field(
        0.0, ge=0, description="weight of the loss of a second classifier, on c4 (PSPNet: 0.4; BAM and CWT: none)"
    )


class NetTrainSpec(TrainSpec):
    """What trainings over episodes and of stage 1 share; an epoch meets every image once."""

    constant_epochs: Literal[0] = Field(0, description="these schedules have no constant part")
    use_nesterov: bool = Field(False, description="CWT's stages use it, the others do not")
    schedule: Schedule = "cosine"

    @model_validator(mode="after")
    def _no_stages(self) -> Self:
        if self.tuned_stages:
            raise ValueError("tuned_stages is for base and step of incremental runs; leave it out")
        return self

    @property
    def nesterov(self) -> bool:
        """Whether momentum looks ahead."""
        return self.use_nesterov


class EpisodicTrainSpec(NetTrainSpec):
    """One training over episodes; an epoch meets every query image once.

    The defaults are the effective values of SVF's released code with singular values tuned: batch 8, SGD 0.9, heads
    0.015, singular values a tenth of it, with the cosine schedule that it creates but never steps.
    """

    epochs: Epochs = Field(200, description="passes over the query images")
    batch_size: BatchSize = Field(8, description="episodes of an iteration")
    lr_backbone: BackboneRate = Field(0.0015, description="singular values, or the weights when all are tuned")
    lr_head: HeadRate = 0.015
    svf_stages: int = Field(3, ge=1, le=4, description="stages whose singular values are tuned, from the last")
    svf_form: Form = Field("factor", description="factor on the values (paper), or the values themselves (its code)")
    svf_decay: float = Field(0.0, ge=0, description="weight decay of the trained vectors (released code: 1e-4)")
    lr_transformer: float = Field(1e-4, gt=0, description="AdamW at constant rate, IPMT's transformer only")
    decay_transformer: float = Field(1e-2, ge=0, description="of its matrices; biases and LayerNorm have none")


class PspTrainSpec(NetTrainSpec):
    """Training of a PSPNet on masks, always as a whole. Defaults are BAM's for PASCAL."""

    tuning: Literal["full"] = Field("full", description="the whole backbone is trained")

    epochs: Epochs = 100
    batch_size: BatchSize = 12
    lr_backbone: BackboneRate = 2.5e-4
    lr_head: HeadRate = 2.5e-3
    schedule: Schedule = "poly"
    smoothing: float = Field(0.0, ge=0, le=0.9, description="label smoothing (CWT: 0.1)")
    loss_stride: int = Field(
        1, ge=1, description="the loss looks at every n-th pixel of the labels, the last one included"
    )


class Stage1Spec(PspTrainSpec):
    """Training of the PSPNet that BAM and CWT build upon."""

    lists: Literal["filtered", "unfiltered", "all"] = Field(
        "unfiltered",
        description="images it sees: those that episodes may have; or all, also those with no large base object (BAM)",
    )
    novel: Novel = Field("background", description="novel objects in base images (CWT: ignore)")
    decoder: Literal["pretrained", "new"] = Field(
        "pretrained",
        description="it goes on from the decoder of the pretraining on silhouettes, if that is of its size",
    )


class ShapesSpec(Section):
    """Scenes of random silhouettes: backbones are pretrained on them, as others are on ImageNet; heads may meet some.

    It is ours. Without it a backbone for the built-in world knows twenty silhouettes only, and a head fifteen.
    """

    silhouettes: int = Field(250, ge=LEAST, le=MOST, description="its classes, unlike the world's twenty")
    seed: Seed = Field(0, description="of the silhouettes, and of the training")
    images: int = Field(6400, ge=64, le=MOST_IMAGES, description="scenes to train on")
    world: World = World(image_size=97, seed=7)
    augment: EpisodeAugmentSpec = EpisodeAugmentSpec(scale=(0.8, 1.25), keep=0.0, blur=0.0)
    psp: PspSpec = PspSpec(channels=128, aux_weight=0.4)
    train: PspTrainSpec = PspTrainSpec()
    weights: Literal["auto", "train"] = Field(
        "auto", description='shipped ones where they are of these very settings, else trained; or "train"'
    )
    share: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="of a head's training batches that are episodes about silhouettes, in place of base classes",
    )

    @model_validator(mode="before")
    @classmethod
    def _keep_siblings(cls, content: Any) -> Any:
        return with_section_defaults(cls, content)

    @model_validator(mode="after")
    def _sound(self) -> ShapesSpec:
        require_stride("shapes.train", self.train, self.world.image_size)
        return self


def require_stride(name: str, train: PspTrainSpec, crop: int) -> None:
    """Raise ValueError for a loss that would miss the last pixel of crops."""
    if (crop - 1) % train.loss_stride:
        raise ValueError(f"{name}.loss_stride {train.loss_stride} misses the last pixel of crops of {crop}; take 1")
