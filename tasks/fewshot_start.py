"""The backbone of a few-shot model as the start of an incremental benchmark's base student."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stores.artefacts import Store
from stores.heads import BACKBONE, WEIGHTS, has_backbone, load_about
from wilss.data.folds import fold_of, may_feed
from wilss.digest import file_digest
from wilss.errors import SpecError
from wilss.fewshot.spec import FAMILIES, FewShotSpec, make_fewshot_spec
from wilss.nets.pretrained import Weights
from wilss.protocol import Benchmark, Scenario
from wilss.spec import DataSpec

MARK = "heads:"
"""``student.weights=heads:DIGEST`` takes the backbone of that few-shot model, stage-1 or silhouette network."""


def fewshot_backbone(
    name: str, model: str, store: Store, protocol: Benchmark, scenario: Scenario, data: DataSpec
) -> Weights:
    """Weights of a few-shot model's backbone.

    Args:
        name: `MARK` and (the first digits of) the digest of an artefact of kind "heads".
        model: timm name of the student's backbone.
        protocol: the benchmark that is to start from them. data: its images.

    Raises SpecError for a fold whose training saw masks of classes that the benchmark may not (the leak rule), a
    training on images that the benchmark scores, another backbone, or a head that was trained on a frozen one;
    ArtefactNotFoundError for an unknown digest.
    """
    manifest = store.get("heads", name.removeprefix(MARK))
    folder = store.path("heads", manifest.digest)
    about: dict[str, Any] = load_about(folder)
    spec = make_fewshot_spec(about["spec"])
    if manifest.recipe["stage"] != "shapes":  # random silhouettes belong to no fold
        may_feed(fold_of(spec.benchmark, spec.fold, spec.variant, spec.names), protocol)
        _require_lists(spec, str(manifest.recipe["stage"]), scenario, protocol)
        _require_untold(spec, str(manifest.recipe["stage"]), protocol)
        _require_unscored(name, spec, protocol, data)
    if spec.backbone.backbone != model:
        raise SpecError(f"'{name}' has the backbone '{spec.backbone.backbone}', the student '{model}'; set one alike")
    if not has_backbone(folder):
        advice = _its_backbone(spec, manifest.parents)
        raise SpecError(f"'{name}' was trained on a frozen backbone and holds none; {advice}")
    path = folder / WEIGHTS
    known = about["input"]
    arguments = tuple(known["arguments"].items())
    return Weights(
        model, path, False, BACKBONE, file_digest(path), tuple(known["mean"]), tuple(known["std"]), arguments
    )


def _its_backbone(spec: FewShotSpec, parents: Mapping[str, str]) -> str:
    """Where the backbone of a head is kept that was trained on a frozen one."""
    if spec.start == "base" and "stage1" in parents:
        return f"take its stage 1, {MARK}{parents['stage1'][:12]}"
    if "shapes" in parents:
        return f"take the backbone that was pretrained on silhouettes, {MARK}{parents['shapes'][:12]}"
    return "its backbone is as it was found; name its weights, or take a head that was trained with another tuning"


ADVICE = "train one with --lists filtered --set stage1.lists=filtered"


def _require_lists(spec: FewShotSpec, stage: str, scenario: Scenario, protocol: Benchmark) -> None:
    """Only images of the base step may have been seen.

    Where images with objects of later steps are hidden, none of them; in overlap none without a base class.
    """
    lists: set[str] = {spec.stage1.lists} if _uses_stage1(spec, stage) else set()
    lists |= {spec.lists} if stage == "head" else set()
    if (scenario == "disjoint" or protocol.keeps_empty) and lists - {"filtered"}:
        scenario_of = "" if protocol.keeps_empty else "the disjoint scenario of "
        raise SpecError(
            f"{scenario_of}{protocol.name} hides images with later classes, but this model, or the stage 1 that it was "
            f"trained with, saw unfiltered lists; {ADVICE}"
        )
    if "all" in lists:
        raise SpecError(
            f"the base step of {protocol.name} has no image without a base class, but stage 1 of this model saw all "
            f"images; {ADVICE}, or with --set stage1.lists=unfiltered"
        )


def _require_untold(spec: FewShotSpec, stage: str, protocol: Benchmark) -> None:
    """Nothing may have told where later classes are; a stage 1 with ``novel=ignore`` leaves out what masks show."""
    if _uses_stage1(spec, stage) and spec.stage1.novel == "ignore" and spec.stage1.lists != "filtered":
        raise SpecError(
            f"{protocol.name} lends no mask of a later class, but stage 1 of this model left their objects out of its "
            f"loss, so their masks were used; {ADVICE}, or with --set stage1.novel=background"
        )


def _require_unscored(name: str, spec: FewShotSpec, protocol: Benchmark, data: DataSpec) -> None:
    """No image that is scored may have been trained on; lists are told apart by their names."""
    kind = FAMILIES[spec.benchmark].split("-")[0]  # from COCO to VOC: trained on COCO
    lists = {
        "voc": (spec.data.train_list, data.eval_list, data.train_list),
        "coco": (spec.data.coco_train, data.coco_eval, data.coco_train),
    }
    if kind not in lists or kind not in protocol.family.split("-"):
        return  # scenes are trained on or scored, never both
    trained, scored, own = lists[kind]
    if trained == scored != own:
        raise SpecError(
            f"'{name}' was trained on images of '{trained}', which {protocol.name} scores; train one on other images"
        )


def _uses_stage1(spec: FewShotSpec, stage: str) -> bool:
    return stage == "stage 1" or spec.needs_stage1
