"""The pretraining on random silhouettes: its scenes, what determines its network, and the lists drawn from it."""

from __future__ import annotations

from collections import Counter

from stores.artefacts import Recipe
from stores.plans.session import Session
from wilss.data.scenes.source import ScenesSource
from wilss.digest import ALGORITHM_VERSION, FEWSHOT_VERSION
from wilss.errors import DataError
from wilss.fewshot.episodes.lists import MIN_AREA, EpisodeList, build_list, read_areas
from wilss.fewshot.sections import ShapesSpec
from wilss.fewshot.shipped import ShapesFile, shipped_shapes
from wilss.fewshot.spec import FewShotSpec

SIDE = 473
"""Pixels of the square for which `MIN_AREA` was made."""


def shapes_source(session: Session, spec: ShapesSpec) -> ScenesSource:
    """Scenes of random silhouettes."""
    drawn = (spec.world, spec.images, spec.silhouettes, spec.seed)
    return session.once(
        ("silhouettes", *drawn), lambda: ScenesSource(spec.world, spec.images, 0, (spec.silhouettes, spec.seed))
    )


def trained_recipe(spec: FewShotSpec, weights: str, data: str) -> Recipe:
    """The backbone after pretraining on random silhouettes, trained in this store; folds, heads and seeds share it.

    Args:
        weights: digest of those that it starts from. data: fingerprint of the scenes.
    """
    assert spec.shapes is not None
    facts = {
        "version": [ALGORITHM_VERSION, FEWSHOT_VERSION],
        "stage": "shapes",
        "data": data,
        "backbone": spec.backbone.plain({"weights", "train_batchnorm"}),
        "weights": weights,
        "shapes": spec.shapes.plain({"share", "weights"}),
    }
    return Recipe("heads", facts)


def shipped_for(session: Session, spec: ShapesSpec, trained: Recipe) -> ShapesFile | None:
    """The shipped network, where it is wanted and was trained by the same recipe."""
    if spec.weights == "train":
        return None
    return session.once(("shipped silhouettes", trained.digest), lambda: shipped_shapes(trained.digest))


def shipped_recipe(trained: Recipe, shipped: ShapesFile) -> Recipe:
    """The same, taken from the shipped file."""
    return Recipe("heads", {**trained.facts, "shipped": shipped.digest})


def shapes_list(session: Session, spec: ShapesSpec, shots: int) -> EpisodeList:
    """Images with a silhouette large enough for an episode; silhouettes in too few of them are not wanted.

    Raises DataError when all silhouettes are in too few.
    """
    source = shapes_source(session, spec)
    areas = session.once(("areas", id(source)), lambda: read_areas(source, source.ids("train")))
    least = round(MIN_AREA * (spec.world.image_size / SIDE) ** 2)
    counts = Counter(c for image in areas for c, area in image.areas.items() if area >= least)
    wanted = [c for c, count in counts.items() if count > shots]
    if not wanted:
        raise DataError(
            f"no silhouette is in more than {shots} of the {spec.images} images of shapes.images, which an episode "
            "takes; take more images, or shapes.share=0"
        )
    return build_list(areas, wanted, least)
