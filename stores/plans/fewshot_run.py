"""One opened few-shot run: specification, fold, data, plan, store and device; it lives as long as its flow."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property

from stores.artefacts import ArtefactRef, Recipe
from stores.plans.fewshot import TRAINING, FewShotIngredients, plan_fewshot
from stores.plans.plan import Plan
from stores.plans.session import Session
from stores.plans.shapes import shapes_source, shipped_for, shipped_recipe, trained_recipe
from wilss.data.families import open_source
from wilss.data.source import Source, Split
from wilss.errors import ArtefactNotFoundError, DataNotFoundError
from wilss.fewshot.episodes.areas import load_areas
from wilss.fewshot.episodes.folds import fold_of
from wilss.fewshot.episodes.lists import EpisodeList, ImageClasses, ListKind, eval_list, read_areas, train_list
from wilss.fewshot.shipped import ShapesFile
from wilss.fewshot.spec import FAMILIES, FewShotSpec
from wilss.nets.pretrained import find_weights
from wilss.parallel.ranks import require_even

AREAS = "areas.json"


class FewShotRun:
    """A few-shot run that is ready to be built.

    train, test: the same data unless the benchmark crosses two. weights: of the backbone as it was found, before any
    pretraining on silhouettes.

    Opening raises DataNotFoundError, DataError, SpecError, FormatError or WeightsNotFoundError before anything is
    computed.
    """

    def __init__(self, spec: FewShotSpec, session: Session) -> None:
        self.spec, self.session, self.settings = spec, session, session.settings
        self.store, self.device = session.store, session.device
        self.fold = fold_of(spec.benchmark, spec.fold, spec.variant, spec.names)
        self.weights = find_weights(spec.backbone.backbone, spec.backbone.weights, self.settings.weights)
        self._require_even_batches()
        self.train, self.test = self._open()

    def _require_even_batches(self) -> None:
        """Raise SpecError where a training has batches that the devices cannot share."""
        spec = self.spec
        trained = {
            "train": spec.train if spec.is_trained else None,
            "stage1": spec.stage1 if spec.needs_stage1 else None,
            "shapes.train": spec.shapes.train if spec.shapes else None,
        }
        for name, train in trained.items():
            if train is not None:
                require_even(f"{name}.batch_size", train.batch_size, len(self.session.devices))

    def _open(self) -> tuple[Source, Source]:
        spec, settings = self.spec, self.settings
        crossing = FAMILIES[spec.benchmark] == "coco-voc"
        train = self.session.source("coco" if crossing else FAMILIES[spec.benchmark], (), None, spec.data)
        if not crossing:
            return train, train
        if settings.voc is None:
            raise DataNotFoundError(f"{spec.benchmark} also needs the VOC folder (with JPEGImages) with --voc DIR")
        only_test = spec.data.model_copy(update={"train_list": spec.data.eval_list})
        of_voc = settings.model_copy(update={"data": settings.voc})
        return train, self.session.once(("tested", only_test), lambda: open_source("voc", only_test, of_voc))

    def source(self, split: Split) -> Source:
        """Data of training or of the test."""
        return self.train if split == "train" else self.test

    @cached_property
    def plan(self) -> Plan:
        """Every node of the run."""
        data: dict[Split, str] = {"train": self.train.fingerprint, "eval": self.test.fingerprint}
        shapes = self._trained
        if shapes and self.shipped:
            shapes = shipped_recipe(shapes, self.shipped)
        return plan_fewshot(FewShotIngredients(self.spec, self.fold, data, self.weights.digest, shapes))

    @cached_property
    def _trained(self) -> Recipe | None:
        """How the silhouettes would be learnt in this store."""
        if self.spec.shapes is None:
            return None
        return trained_recipe(self.spec, self.weights.digest, shapes_source(self.session, self.spec.shapes).fingerprint)

    @property
    def shipped(self) -> ShapesFile | None:
        """The shipped network over silhouettes, where the run takes it instead of training one."""
        if self.spec.shapes is None or self._trained is None:
            return None
        return shipped_for(self.session, self.spec.shapes, self._trained)

    def stands(self, stages: Collection[str]) -> bool:
        """Whether everything of these stages is there; areas serve the others, and count where they are made anew."""
        nodes = [node for node in self.plan.values() if node.stage in stages]
        asked = [node for node in nodes if node.stage != "areas" or node.is_in(self.settings.again)]
        return all(self.session.standing(node) is not None for node in asked)

    def require(self, name: str) -> ArtefactRef:
        """The reference of a node that has to be there. Raises ArtefactNotFoundError that says how to make it."""
        node = self.plan[name]
        found = self.store.find(node.recipe)
        if found is None:
            verb, command = ("train", "train") if node.stage in TRAINING else ("make", "eval")
            raise ArtefactNotFoundError(
                f"no '{node.title}' of {self.fold.describe()}, seed {self.spec.seed} is in '{self.settings.root}'; "
                f"{verb} it first, with the same options: wilss few-shot {command}"
            )
        return found.ref

    def masked_ids(self, split: Split) -> tuple[str, ...]:
        """Images of a split that have a mask, in the order of the data."""
        source = self.source(split)
        return tuple(i for i in source.ids(split) if source.has_mask(i))

    def images(self, split: Split) -> tuple[ImageClasses, ...]:
        """Classes of every image of a split, read once a session: off the masks, of photographs from the store."""
        name, source = f"areas {split}", self.source(split)
        if name not in self.plan:
            return self.session.once(("areas", id(source), split), lambda: read_areas(source, self.masked_ids(split)))
        kept = self.require(name)
        return self.session.once(("areas", kept.digest), lambda: load_areas(self.store.folder(kept) / AREAS))

    def lists(self, split: Split, kind: ListKind | None = None) -> EpisodeList:
        """Images that episodes of a split are drawn from; ``kind``: filtered or not, instead of the specification's."""
        images = self.images(split)
        if split == "eval":
            return eval_list(images, self.fold, self.spec.min_area)
        return train_list(images, self.fold, kind or self.spec.lists, self.spec.min_area)

    def stage1_ids(self) -> tuple[str, ...]:
        """Images that stage 1 is trained on."""
        kind = self.spec.stage1.lists
        images = self.images("train") if kind == "all" else self.lists("train", kind).images
        return tuple(image.image_id for image in images)
