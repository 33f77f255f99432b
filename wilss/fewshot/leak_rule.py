"""What a few-shot model may have seen whose backbone starts an incremental benchmark."""

from __future__ import annotations

from wilss.data.spec import DataSpec
from wilss.errors import SpecError
from wilss.fewshot.episodes.folds import fold_of, may_feed
from wilss.fewshot.spec import FewShotSpec
from wilss.protocol import Benchmark, Scenario

ADVICE = "train one with --lists filtered --set stage1.lists=filtered"


def require_no_leak(spec: FewShotSpec, stage: str, scenario: Scenario, protocol: Benchmark, data: DataSpec) -> None:
    """Refuse a model that saw masks of later classes, hidden images, or images that are scored.

    Args:
        spec: of the few-shot model. stage: "head" or "stage 1", whichever the backbone is of.
        protocol: the benchmark that is to start from it. data: its images.

    Raises SpecError with what it saw and what to train instead.
    """
    may_feed(fold_of(spec.benchmark, spec.fold, spec.variant, spec.names), protocol)
    _require_lists(spec, stage, scenario, protocol)
    _require_untold(spec, stage, protocol)
    _require_unscored(spec, protocol, data)


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


def _require_unscored(spec: FewShotSpec, protocol: Benchmark, data: DataSpec) -> None:
    """No image that is scored may have been trained on; VOC's lists are told apart by their names.

    Scenes are trained on or scored, never both, and no fold of COCO may start anything.
    """
    trained = spec.data.train_list
    if protocol.family == "voc" and trained == data.eval_list != data.train_list:
        raise SpecError(
            f"this model was trained on images of '{trained}', which {protocol.name} scores; train one on other images"
        )


def _uses_stage1(spec: FewShotSpec, stage: str) -> bool:
    return stage == "stage 1" or spec.needs_stage1
