"""How good the small foundation models are on scenes that no training has seen.

Shape suffixes: N images, C classes, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from wilss.data.scenes.outlines import CLASSES
from wilss.data.scenes.world import draw
from wilss.data.source import VOID
from wilss.data.spec import World
from wilss.foundation.clip import ClipScorer
from wilss.foundation.contracts import Grouper, Scorer
from wilss.foundation.cosegment import cosegment
from wilss.foundation.seeds import seed_noise
from wilss.foundation.spec import CosegmentSpec
from wilss.measure.confusion import mask_iou, mask_ratio

HELD_OUT = World(seed=20231)
"""The world in which the metrics of the model cards are measured; its split is called "held out"."""
BATCH = 25


@dataclass(frozen=True)
class LabelQuality:
    """mIoU over all classes and background of the masks made from true image-level tags, in [0, 1].

    background: IoU of "no mask here" alone, of the refined masks.
    agreement: mean IoU of the scorer's and the grouper's masks.
    """

    initial: float
    refined: float
    background: float
    agreement: float


def recall_at_n(scores_NC: Tensor, tags: Sequence[Sequence[int]]) -> float:
    """Share of all tags that are among the n highest classes of their image, n being the image's number of tags.

    Args:
        scores_NC: image-level scores.
        tags: class ids 1..C of each image.
    """
    order = (scores_NC.argsort(1, descending=True) + 1).tolist()
    hits = sum(len(set(row[: len(present)]) & set(present)) for row, present in zip(order, tags, strict=True))
    return hits / max(1, sum(len(present) for present in tags))


@torch.inference_mode()
def image_level_recall(scorer: ClipScorer, count: int = 500, world: World = HELD_OUT) -> float:
    """recall@n of CLIP's own image-text similarity (``encode_image``) on whole scenes of the model's size."""
    scenes = draw(world, "held out", 0, count)
    text = scorer.embed(tuple((name,) for name in CLASSES))
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (scorer.mean, scorer.std))
    similarity = []
    for batch in scenes.images.split(BATCH):
        images = ((batch.float() / 255 - mean) / std).to(text.device)
        similarity.append((F.normalize(scorer.model.encode_image(images), dim=-1) @ text.T).cpu())
    return recall_at_n(torch.cat(similarity), scenes.tags())


def label_quality(
    scorer: Scorer,
    grouper: Grouper,
    spec: CosegmentSpec,
    count: int = 500,
    world: World = HELD_OUT,
    progress: Callable[[int, int], None] | None = None,
    device: str = "cpu",
    old: int = 0,
) -> LabelQuality:
    """Co-segment ``count`` scenes from their true tags, all twenty classes competing, and compare with the truth.

    Args:
        old: so many of the first classes compete by name alone, as in an incremental step: they are not tagged, and
            their pixels are to have no mask.
    """
    scenes = draw(world, "held out", 0, count)
    n, tags_of_scene = len(CLASSES) - old, scenes.tags()
    sums = {"initial": torch.zeros(n + 1, 2, dtype=torch.int64), "refined": torch.zeros(n + 1, 2, dtype=torch.int64)}
    others = [[name] for name in CLASSES[:old]]
    agreement: list[Tensor] = []
    for start in range(0, count, BATCH):
        part = slice(start, min(start + BATCH, count))
        tags = torch.zeros(part.stop - part.start, n, dtype=torch.bool)
        for row, present in enumerate(tags_of_scene[part]):
            tags[row, [c - old - 1 for c in present if c > old]] = True
        noise = seed_noise([str(i) for i in range(part.start, part.stop)], n, spec.n_seeds, world.seed)
        prompts = [[name] for name in CLASSES[old:]]
        images = (scenes.images[part].float() / 255).to(device)
        labels = cosegment(images, tags, prompts, others, scorer, grouper, spec, noise)
        truth = scenes.masks[part].long() - old
        truth = torch.where(truth == VOID - old, VOID, truth.clamp(min=0))
        for stage, masks in (("initial", labels.initial), ("refined", labels.refined)):
            layers = torch.cat([~masks.any(1, keepdim=True), masks], 1).cpu()
            sums[stage] += mask_iou(layers, truth, tuple(range(n + 1)))
        agreement.append(labels.agreement[~labels.agreement.isnan()].cpu())
        if progress:
            progress(part.stop, count)
    per_class = {stage: mask_ratio(hits) for stage, hits in sums.items()}
    return LabelQuality(
        initial=float(per_class["initial"].nanmean()),
        refined=float(per_class["refined"].nanmean()),
        background=float(per_class["refined"][0]),
        agreement=float(torch.cat(agreement).mean()),
    )
