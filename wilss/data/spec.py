"""Settings of the data: which images are used, how they are cropped, and how the built-in world looks. No torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from wilss.architecture import MOST_PIXELS
from wilss.data.scenes.outlines import MAX_OBJECTS, N_CLUTTER
from wilss.section import LATER, Section, Seed

MOST_IMAGES = 10_000_000


class World(Section):
    """How scenes look. Sizes are fractions of the image side, angles are degrees."""

    image_size: int = Field(96, ge=32, le=512, description="side of the square images in pixels")
    seed: Seed = Field(0, description="of the scenes")
    min_scale: float = Field(0.25, gt=0, le=1.5, description="smallest object size, fraction of the image side")
    max_scale: float = Field(0.6, gt=0, le=1.5, description="largest object size, fraction of the image side")
    max_objects: int = Field(MAX_OBJECTS, ge=1, le=MAX_OBJECTS, description="one to this many objects a scene")
    clutter: int = Field(N_CLUTTER, ge=0, le=N_CLUTTER, description="shapes of no class behind the objects")
    rotation: float = Field(30.0, ge=0, le=180, description="largest rotation to either side, degrees")
    min_visible: float = Field(0.45, ge=0, le=1, description="objects hidden further than this are not drawn")
    typical_texture: float = Field(0.5, ge=0, le=1, description="probability of the texture that a class prefers")
    rim: float = Field(0.6, ge=0, le=1, description="how much darker an object is along its outline")
    style: str = Field("plain", pattern="^(plain|faded)$", description="rendering style; 'faded' is a second domain")


class DataSpec(Section):
    """Which images are used, and at what size."""

    canvas: int = Field(512, ge=32, le=MOST_PIXELS, description="longer sides above this are shrunk to it")
    train_list: str = Field("train_aug", description="split file of the training images (VOC folders)")
    eval_list: str = Field("val", description="split file of the evaluation images (VOC folders)")
    coco_train: str = Field("train2017", description="COCO split of the base images")
    coco_eval: str = Field("val2017", description="COCO split of the evaluation images")
    world: World = World()
    n_train: int = Field(1600, ge=1, le=MOST_IMAGES, description="training scenes (built-in world)")
    n_eval: int = Field(240, ge=1, le=MOST_IMAGES, description="evaluation scenes (built-in world)")
    eval_crop: int | None = Field(
        512,
        ge=16,
        le=MOST_PIXELS,
        description="also score on centre crops of this side, as WILSON's code does; None: full images only",
    )
    fit: Annotated[bool, LATER] = Field(
        False,
        description="canvas, crop and batch sizes follow step 0's photographs and what is marked on them (ours); not "
        "where canvas or crop is given",
    )
    masks: Annotated[Literal["raw", "upright"] | None, LATER] = Field(
        None,
        description="of images turned by EXIF: whether masks lie on pixels as stored or as shown, where both fit",
    )
    shuffle_buffer: Annotated[int, LATER] = Field(
        0,
        ge=0,
        le=MOST_IMAGES,
        description="images that a training draws from at random while shards come one after the other, the shards in "
        "random order (ours); 0: from all",
    )
    void: Literal["background", "ignore"] = Field(
        "background", description="void pixels in training: background as in WILSON's code, or left out"
    )


class AugmentSpec(Section):
    """Random resized crop and horizontal flip; colour jitter is off, as in the paper."""

    crop: int = Field(512, ge=16, le=MOST_PIXELS, description="side of the square training crop in pixels")
    min_area: float = Field(0.5, gt=0, le=1, description="smallest crop, share of the image area")
    max_ratio: float = Field(4 / 3, ge=1, description="aspect ratios are drawn from 1/max_ratio to max_ratio")
    flip: float = Field(0.5, ge=0, le=1, description="probability of a horizontal flip")
    brightness: float = Field(0.0, ge=0, le=1, description="gain is drawn from 1 - b to 1 + b (0 in the paper)")
    saturation: float = Field(0.0, ge=0, le=1, description="factor is drawn from 1 - s to 1 + s (0 in the paper)")
    hue: float = Field(0.0, ge=0, le=0.5, description="shift in turns is drawn from -h to h (0 in the paper; slow)")
