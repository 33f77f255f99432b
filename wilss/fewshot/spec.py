"""The specification of a few-shot run: flow parameter, command-line options and digest input at once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationError, model_validator

from wilss.architecture import MOST_PIXELS
from wilss.data.families import family_of
from wilss.data.spec import MOST_IMAGES, DataSpec
from wilss.errors import SpecError, did_you_mean
from wilss.fewshot.episodes.spec import EpisodeAugmentSpec
from wilss.fewshot.heads import HEADS, HeadEntry
from wilss.fewshot.heads.spec import AsppSpec, BamSpec, CwtSpec, IpmtSpec, PfenetSpec
from wilss.fewshot.presets import FEWSHOT_PRESETS
from wilss.fewshot.sections import BackboneSpec, EpisodicTrainSpec, PspSpec, ShapesSpec, Stage1Spec, require_stride
from wilss.own import Extensible
from wilss.section import LATER, OneOf, Section, Seed
from wilss.words import explain, merge, with_section_defaults

HeadName = Annotated[str, OneOf(lambda: HEADS)]
FAMILIES = {"scenes-5i": "scenes", "pascal-5i": "voc", "coco-20i": "coco", "coco-to-pascal": "coco-voc"}
"""Whose data a benchmark uses."""
UNREAD = {"scenes-5i": ("variant", "names"), "pascal-5i": ("variant", "names"), "coco-20i": ("names",)}
"""Keys that a benchmark has no use for."""


def _preset(name: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """A preset with its parts for the tuning and for the head and, of the latter, for the benchmark and the tuning."""
    named = dict(FEWSHOT_PRESETS[name])
    by_head = dict(named.pop("heads", {}).get(content.get("head", "aspp"), {}))
    train = content.get("train")
    tuning = str(train.get("tuning")) if isinstance(train, Mapping) else None
    of_tuning = named.pop("tunings", {}).get(tuning, {})
    own = [by_head.pop("benchmarks", {}).get(str(content["benchmark"]), {}), by_head.pop("tunings", {}).get(tuning, {})]
    return reduce(merge, [of_tuning, by_head, *own], named)


class FewShotSpec(Extensible):
    """Everything that determines a few-shot model and its score."""

    prefilled: ClassVar = frozenset({"preset", "head", "shots", "seed"})
    filled_by: ClassVar = FEWSHOT_PRESETS

    benchmark: str = Field(description="scenes-5i, pascal-5i, coco-20i or coco-to-pascal")
    fold: int = Field(ge=0, le=3, description="which quarter of the classes is novel")
    head: HeadName = Field("aspp", description="what segments a query by its supports; prior and prototype never train")
    shots: int = Field(1, ge=1, le=20, description="supports of an episode, in training and evaluation")
    seed: Seed = Field(0, description="of the trainings: initial weights, crops, and the episodes that they draw")
    preset: str | None = Field(None, description="named settings that fill every key not given")
    variant: Literal["stride", "contiguous"] = Field("stride", description="how COCO's classes are divided into folds")
    names: Literal["correct", "legacy"] = Field(
        "correct", description="name table of coco-to-pascal; 'legacy' swaps car and cat as the published one does"
    )
    lists: Literal["filtered", "unfiltered"] = Field(
        "filtered", description="filtered: no training image with any pixel of a novel class (BAM)"
    )
    rule: Literal["image", "class"] = Field(
        "image", description="of frozen episodes: draw the query first (PFENet) or the class (HSNet)"
    )
    min_area: int = Field(2048, ge=1, description="pixels of a class that an image needs to be listed for it")
    size: int = Field(
        473, ge=33, le=MOST_PIXELS, description="side of the square that networks see; (size - 1) / 8 is whole"
    )
    crop1: int = Field(417, ge=33, le=MOST_PIXELS, description="side of the crops of stage 1")
    start: Literal["pretrained", "base"] = Field(
        "base", description="the backbone starts as it is before stage 1 (see weights, shapes), or as stage 1 left it"
    )
    resolution: Literal["original", "legacy", "canvas"] = Field(
        "original", description="where predictions are scored: at the image's size, as released (a square), or at size"
    )
    episodes: int = Field(1000, ge=1, le=MOST_IMAGES, description="over the novel classes, the same for every model")
    base_episodes: int = Field(
        300, ge=1, le=MOST_IMAGES, description="over base classes in training images, to show the gap"
    )
    episode_seed: Seed = Field(0, description="of the frozen episodes, the same for every model")
    data: DataSpec = DataSpec()
    backbone: BackboneSpec = BackboneSpec()
    augment: EpisodeAugmentSpec = EpisodeAugmentSpec()
    augment1: EpisodeAugmentSpec = Field(
        EpisodeAugmentSpec(scale=(0.5, 2.0), keep=0.0), description="of stage 1; its crops need no foreground"
    )
    shapes: ShapesSpec | None = Field(None, description="pretraining before everything else; none when left out")
    train: EpisodicTrainSpec = EpisodicTrainSpec(tuning="frozen")
    stage1: Stage1Spec = Stage1Spec()
    psp: PspSpec = PspSpec()
    aspp: AsppSpec = AsppSpec()
    pfenet: PfenetSpec = PfenetSpec()
    bam: BamSpec = BamSpec()
    cwt: CwtSpec = CwtSpec()
    ipmt: IpmtSpec = IpmtSpec()
    own: Annotated[dict[str, dict[str, Any]], LATER] = Field({}, description="settings of heads of one's own")

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, content: Any) -> Any:
        """Fill what is not given from the preset and its part for the head."""
        if not isinstance(content, Mapping) or str(content.get("benchmark")) not in FAMILIES:
            return content
        if not all(isinstance(content.get(key, ""), str | None) for key in ("benchmark", "preset", "head")):
            return content
        name = content.get("preset") or family_of(FAMILIES[content["benchmark"]]).fewshot_preset
        if name not in FEWSHOT_PRESETS:
            raise ValueError(f"unknown preset '{name}'.{did_you_mean(str(name), FEWSHOT_PRESETS)}")
        return with_section_defaults(cls, merge(_preset(name, content), {**content, "preset": name}))

    @model_validator(mode="after")
    def _sound(self) -> FewShotSpec:
        if self.benchmark not in FAMILIES:
            raise ValueError(f"unknown few-shot benchmark '{self.benchmark}'.{did_you_mean(self.benchmark, FAMILIES)}")
        self._require_effect()
        stride = self.backbone.output_stride
        sides = {"size": self.size, "crop1": self.crop1}
        if self.shapes is not None:
            sides["shapes.world.image_size"] = self.shapes.world.image_size
        for name, side in sides.items():
            if (side - 1) % stride:
                raise ValueError(
                    f"'{name}' is {side}, but one less must be a multiple of {stride}, the output stride: the corners "
                    f"of maps and images lie on each other then; take {side - (side - 1) % stride}"
                )
        require_stride("stage1", self.stage1, self.crop1)
        if self.head == "cwt" and self.start != "base":
            raise ValueError("cwt reads the bottleneck of stage 1, which knows no other backbone; use start=base")
        if self.backbone.train_batchnorm and self.train.tuning != "full":
            raise ValueError("backbone.train_batchnorm needs train.tuning=full; otherwise BatchNorm stays as it is")
        if not self.is_trained and self.train.tuning != "frozen":
            raise ValueError(f"'{self.head}' is not trained, and no part of its backbone is; leave it frozen")
        return self

    def _require_effect(self) -> None:
        """A key that this benchmark does not read would name other runs of the same results."""
        reads = family_of(FAMILIES[self.benchmark]).reads
        fields = ("train_list", "eval_list", "void", "eval_crop", "shuffle_buffer")
        of_data = [name for name in fields if name not in reads]
        own = UNREAD.get(self.benchmark, ())
        for section, name in [*((self, name) for name in own), *((self.data, name) for name in of_data)]:
            if getattr(section, name) != type(section).model_fields[name].default:
                raise ValueError(f"{self.benchmark} has no use for '{name}'; leave it out")
        if self.backbone.backbone.startswith("vgg") and self.backbone.output_stride != 8:
            raise ValueError(
                f"backbone.output_stride is {self.backbone.output_stride}, but {self.backbone.backbone} always has 8; "
                "leave it out"
            )

    @property
    def entry(self) -> HeadEntry:
        """What is known of the head."""
        return HEADS[self.head]

    @property
    def head_settings(self) -> Section | None:
        """The section of the head; None for one without settings."""
        return self.section_of(self.head) if self.entry.settings else None

    @classmethod
    def own_kinds(cls) -> Mapping[str, type[Section]]:
        """Settings of registered heads."""
        sections = {entry.name: entry.settings for entry in HEADS.values() if entry.settings}
        return {name: settings for name, settings in sections.items() if name not in cls.model_fields}

    @property
    def own_sections(self) -> Mapping[str, Section]:
        """The section of a registered head."""
        return {self.head: self.section_of(self.head)} if self.head in self.own_kinds() else {}

    @property
    def needs_stage1(self) -> bool:
        """Whether a PSPNet is trained first."""
        return self.start == "base" or self.entry.stage1

    @property
    def is_trained(self) -> bool:
        """Whether the head learns anything; the baselines do not."""
        return self.entry.trained

    @property
    def silhouette_share(self) -> float:
        """Share of the head's training batches that are about silhouettes; 0 for a head that is not trained."""
        return self.shapes.share if self.shapes and self.is_trained else 0.0

    @property
    def keeps_decoder(self) -> bool:
        """Whether stage 1 goes on from a decoder that pretraining on silhouettes has trained."""
        other = self.shapes.psp if self.shapes and self.stage1.decoder == "pretrained" else None
        return other is not None and (other.bins, other.channels) == (self.psp.bins, self.psp.channels)

    @property
    def idle(self) -> frozenset[str]:
        """Fields that this run does not read."""
        heads = {"own", *(entry.name for entry in HEADS.values() if entry.settings)}
        of_stage1 = set() if self.needs_stage1 else {"stage1", "crop1", "augment1", "psp"}
        of_training = set() if self.is_trained else {"train"}
        return frozenset((heads - {self.head}) | of_stage1 | of_training)

    def facts(self) -> dict[str, Any]:
        """Plain data that determine the results: everything but the preset's name, and a file of one's own."""
        return {**self.plain({"preset"}), **({"files": [self.entry.source]} if self.entry.source else {})}


def make_fewshot_spec(content: Mapping[str, Any]) -> FewShotSpec:
    """Validate a specification; keys that are not given come from the preset. Raises SpecError, in words."""
    try:
        return FewShotSpec.model_validate(dict(content))
    except ValidationError as error:
        raise SpecError(explain(error, FewShotSpec)) from error
