"""The pretraining on random silhouettes: its scenes, what determines its network, and what starts from it."""

from __future__ import annotations

from functools import lru_cache

from stores.artefacts import Recipe, Store
from stores.models.heads import shapes_weights
from wilss.data.scenes.source import ScenesSource
from wilss.digest import ALGORITHM_VERSION, FEWSHOT_VERSION
from wilss.fewshot.sections import ShapesSpec
from wilss.fewshot.shipped import ShapesFile, shipped_shapes
from wilss.fewshot.spec import FewShotSpec
from wilss.nets.pretrained import Weights


@lru_cache(maxsize=2)
def shapes_source(spec: ShapesSpec) -> ScenesSource:
    """Scenes of random silhouettes."""
    return ScenesSource(spec.world, spec.images, 0, (spec.silhouettes, spec.seed))


def shapes_recipe(spec: FewShotSpec, own: Weights) -> Recipe:
    """The backbone after pretraining on random silhouettes, shipped or trained; folds, heads and seeds share it."""
    trained, shipped = trained_shapes_recipe(spec, own), shipped_for(spec, own)
    return Recipe("heads", {**trained.facts, "shipped": shipped.digest}, {}) if shipped else trained


def shipped_for(spec: FewShotSpec, own: Weights) -> ShapesFile | None:
    """The shipped network, where it is wanted and of the same settings."""
    assert spec.shapes is not None
    if spec.shapes.weights == "train":
        return None
    return shipped_shapes(trained_shapes_recipe(spec, own).digest)


def trained_shapes_recipe(spec: FewShotSpec, own: Weights) -> Recipe:
    """The same, trained in this store."""
    assert spec.shapes is not None
    facts = {
        "version": [ALGORITHM_VERSION, FEWSHOT_VERSION],
        "stage": "shapes",
        "data": shapes_source(spec.shapes).fingerprint,
        "backbone": spec.backbone.plain({"weights", "train_batchnorm"}),
        "weights": own.digest,
        "shapes": spec.shapes.plain({"share", "weights"}),
    }
    return Recipe("heads", facts, {})


def pretrained_weights(spec: FewShotSpec, own: Weights, store: Store) -> Weights:
    """What stage 1 and heads start from: ``own``, or what pretraining on silhouettes makes of them."""
    if spec.shapes is None:
        return own
    return shapes_weights(own, shapes_recipe(spec, own).digest, store)
