"""Settings of the few-shot heads. No torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from wilss.architecture import MOST_CHANNELS, Channels, Dilation
from wilss.section import Section, Seed

Width = Annotated[Channels, Field(description="of the reduced features and all layers above them")]


class AsppSpec(Section):
    """Settings of the ASPP head; the defaults are those of the released code at 473 pixels."""

    channels: Width = 256
    rates: tuple[Dilation, ...] = Field(
        (6, 12, 18), min_length=1, max_length=16, description="dilations of the 3x3 branches"
    )
    detach_prior: bool = Field(
        False, description="no gradient through the prior mask; then nothing tunes the last stage (SVF's code: through)"
    )


class PfenetSpec(Section):
    """Settings of PFENet.

    The released code uses the bins (60, 30, 15, 8) for PASCAL at 473 pixels and the default for COCO at 641. At 473
    pixels the default gives 60, 30, 15 and 7.
    """

    channels: Width = 256
    bins: tuple[Annotated[float, Field(le=256)], ...] = Field(
        (1.0, 0.5, 0.25, 0.125),
        min_length=1,
        max_length=16,
        description="sides of the pooled maps: up to 1 a share of the map's side, above 1 a number of positions",
    )
    aux_weight: float = Field(1.0, ge=0, description="weight of the mean loss of the bins' own predictions")
    detach_prior: bool = Field(
        False, description="no gradient through the prior mask (PFENet's code; SVF's lets it through to the last stage)"
    )

    @field_validator("bins")
    @classmethod
    def _positive_and_whole(cls, bins: tuple[float, ...]) -> tuple[float, ...]:
        for side in bins:
            if not (0 < side <= 1 or (side > 1 and side.is_integer())):
                raise ValueError(f"bin {side:g} is neither a share in (0, 1] nor a whole number of positions")
        return bins


class BamSpec(AsppSpec):
    """Settings of BAM: those of its meta learner, which is the ASPP head, and its own."""

    meta_weight: float = Field(1.0, ge=0, description="weight of the loss of the meta learner's own prediction")
    kshot_dim: int = Field(
        2, ge=0, le=1024, description="hidden units of the layers that weigh K > 1 supports; 0: a single K x K layer"
    )


class CwtSpec(Section):
    """Settings of the CWT head; the defaults are those of the released scripts; ``init_seed`` is ours."""

    inner_steps: int = Field(
        200, ge=0, le=100_000, description="full-batch gradient steps on the supports of an episode"
    )
    inner_lr: float = Field(0.1, gt=0, description="learning rate of these steps, without momentum")
    inner_resolution: Literal["image", "features"] = Field(
        "image", description="where the loss of the supports is taken; at the size of the features it is cheaper"
    )
    init_seed: Seed = Field(0, description="of the start of every fit (the released code draws a new one each time)")
    balance_fit: float = Field(
        1.0,
        ge=0,
        le=1,
        description="power of n_background / n_foreground that is the weight of a foreground pixel in the fit: 1 "
        "(published) lets both classes weigh the same, 0 every pixel",
    )
    balance_loss: float = Field(1.0, ge=0, le=1, description="the same power in the transformer's loss (published: 1)")
    mirror: bool = Field(False, description="fit to the supports and their mirror images (ours)")
    turns: tuple[float, ...] = Field(
        (),
        max_length=16,
        description="fit to the supports turned by these angles too, degrees, except while it is trained (ours)",
    )
    norm: Literal["layer", "rms"] = Field(
        "layer",
        description="of adapted classifiers; 'rms' does not centre them: with few channels, none negative, their mean "
        "is the threshold between the classes",
    )
    scale: Literal["fitted", "unit"] = Field(
        "fitted",
        description="of classifiers before the transformer; 'unit': root mean square 1, whatever the fit made of it",
    )
    temperature: float = Field(1.0, gt=0, description="factor on the attention's logits (published: 1)")
    heads: int = Field(4, ge=1, le=256, description="of the attention, each as wide as the bottleneck of stage 1")
    attention_dropout: float = Field(0.1, ge=0, lt=1, description="of the weights of the attention, in training")
    output_dropout: float = Field(
        0.5, ge=0, lt=1, description="of the change that it makes to classifiers, in training"
    )


class IpmtSpec(Section):
    """Settings of the IPMT head; the defaults are those of the released code but for the self-attention."""

    dim: int = Field(
        384, ge=8, le=MOST_CHANNELS, multiple_of=8, description="channels of tokens and prototype, a multiple of 8"
    )
    layers: int = Field(5, ge=1, le=64, description="of the transformer; each gives new masks and a new prototype")
    hidden: int = Field(
        1152, ge=1, le=4 * MOST_CHANNELS, description="width of the feed-forward branches of the transformer"
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="in the transformer")
    attention: Literal["spatial-reduction", "deformable"] = Field(
        "spatial-reduction", description="of the query to itself: VIPMT's, or that of the released code"
    )
    reduction_ratio: int = Field(4, ge=1, le=256, description="side of the blocks of spatial reduction")
    points: int = Field(9, ge=1, le=256, description="sampled positions of deformable attention")
    deep_channels: int | None = Field(
        None, ge=1, le=MOST_CHANNELS, description="channels to which c5 is averaged down for the prior mask; None: dim"
    )
    prior_masks: Literal["after", "twice"] = Field(
        "after", description="the support's mask is laid on c5 only, or, as in PFENet, on c4 before the last stage too"
    )
    detach_prior: bool = Field(
        False, description="no gradient through the prior mask (released code); then nothing tunes the last stage"
    )
    final_weight: float = Field(0.7, ge=0, description="of the Dice loss of the prediction")
    init_weight: float = Field(0.3, ge=0, description="of the Dice loss of the first guess")
    duplex_weight: float = Field(1.0, ge=0, description="of the loss of the layers' masks")
    query_masks_weight: float = Field(0.3, ge=0, description="of the query's masks therein")
    support_masks_weight: float = Field(0.7, ge=0, description="of the supports' masks therein")
