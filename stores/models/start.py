"""The backbone of a few-shot model as the start of an incremental benchmark's base student."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from stores.artefacts import Manifest, Store
from stores.models.heads import BACKBONE, has_backbone
from wilss.damage import require_stored
from wilss.data.spec import DataSpec
from wilss.digest import file_digest
from wilss.errors import FormatError, SpecError
from wilss.fewshot.leak_rule import require_no_leak
from wilss.fewshot.spec import FewShotSpec, make_fewshot_spec
from wilss.models.card import WEIGHTS, FewShotCard, load_card
from wilss.models.files import no_weights
from wilss.nets.pretrained import Weights
from wilss.protocol import Benchmark, Scenario

STAGES = ("shapes", "stage 1", "head")
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
    card = load_card(folder, FewShotCard)
    spec = make_fewshot_spec(card.architecture)
    stage = stage_of(manifest)
    if stage != "shapes":  # random silhouettes belong to no fold
        require_no_leak(spec, stage, scenario, protocol, data)
    if spec.backbone.backbone != model:
        raise SpecError(f"'{name}' has the backbone '{spec.backbone.backbone}', the student '{model}'; set one alike")
    if not has_backbone(folder):
        advice = _its_backbone(spec, manifest.parents)
        raise SpecError(f"'{name}' was trained on a frozen backbone and holds none; {advice}")
    path = folder / WEIGHTS
    require_stored(path)
    return replace(no_weights(model, card.input), path=path, prefix=BACKBONE, digest=file_digest(path))


def stage_of(manifest: Manifest) -> str:
    """What a network of kind "heads" is: "shapes", "stage 1" or "head". Raises FormatError when that is not known."""
    stage = manifest.recipe.get("stage")
    if stage not in STAGES:
        raise FormatError(f"the manifest of heads {manifest.digest[:12]} is damaged: its stage is {stage!r:.60}")
    return str(stage)


def _its_backbone(spec: FewShotSpec, parents: Mapping[str, str]) -> str:
    """Where the backbone of a head is kept that was trained on a frozen one."""
    if spec.start == "base" and "stage1" in parents:
        return f"take its stage 1, {MARK}{parents['stage1'][:12]}"
    if "shapes" in parents:
        return f"take the backbone that was pretrained on silhouettes, {MARK}{parents['shapes'][:12]}"
    return "its backbone is as it was found; name its weights, or take a head that was trained with another tuning"
