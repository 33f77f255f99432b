"""Building the label sets of a run: the co-segmented one shard by shard, and that of the trained teacher's masks."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stores.artefacts import ArtefactRef, Manifest
from stores.labels.card import FORMAT, LabelCard, has_own_tags
from stores.labels.filling import ShardFill
from stores.labels.index import LabelIndex
from stores.labels.known import known_rows
from stores.labels.sets import LabelSet
from stores.labels.stats import mean_quality
from stores.labels.writer import LabelWriter
from stores.plans.run import Run
from wilss.data.images import TaggedImages
from wilss.errors import FormatError
from wilss.foundation.kinds import SCORERS, kind_of
from wilss.foundation.label import Labelling, batches_of, grid_of
from wilss.layout import whole
from wilss.learn.methods.contract import Method
from wilss.measure.quality import mask_quality, row_iou
from wilss.progress import Progress
from wilss.report.records import WordsUsed


def index_of(run: Run, step: int, data: TaggedImages, stages: tuple[str, ...] = ("initial", "refined")) -> LabelIndex:
    """What the rows and channels of a step's label set stand for."""
    canvas = run.spec.data.canvas
    return LabelIndex(
        ids=data.images.ids,
        classes=run.names(run.protocol.steps[step]),
        tags=data.tags.numpy(),
        canvas=canvas,
        grid=grid_of(canvas),
        stages=stages,
    )


def card_of(
    run: Run, step: int, labels: LabelSet, seconds: float | None = None, words: WordsUsed | None = None
) -> LabelCard:
    """What the manifest of a step's label set, which is written, says beside its recipe."""
    data, voc, of = run.settings.data, run.settings.voc, run.labels_of(step)
    learnt = run.store.find(of) if of else None  # whose tags a teacher's set has too
    return LabelCard(
        format=FORMAT,
        benchmark=run.protocol.name,
        step=step,
        class_ids=run.protocol.steps[step],
        spec=run.spec.model_dump(mode="json"),
        data_root=whole(data) if data else None,
        voc_root=voc.resolve() if voc else None,
        seconds=seconds,
        quality=mean_quality(labels),
        own_tags=learnt is not None and has_own_tags(learnt),
        words=words,
    )


def words_used(run: Run, step: int) -> WordsUsed:
    """What the scorer is asked for at a step."""
    old = run.names(run.protocol.seen(step - 1)) if run.foundation.old_names else ()
    classes = {name: run.prompts[name] for name in run.names(run.protocol.steps[step])}
    around = run.vocabulary.background
    reads_them = kind_of(run.foundation.scorer, SCORERS, "scorer").background
    return WordsUsed(
        classes=classes,
        old={name: run.prompts[name] for name in old},
        background=around.kept if reads_them else (),
        dropped=dict(around.dropped) if reads_them else {},
    )


def write_shard(run: Run, step: int, writer: LabelWriter, shard: int, progress: Progress) -> None:
    """Co-segment the images of one shard and write it."""
    writer.write(shard, _cosegmented(run, step, writer.index, shard, progress).content())


def _cosegmented(run: Run, step: int, index: LabelIndex, shard: int, progress: Progress) -> ShardFill:
    data, fill, labelling = run.tagged(step), ShardFill(index, shard), _labelling(run, step, index)
    fill.look_at(data.images)
    left, tell = known_rows(run, step, index).fill(fill), partial(progress, "label")
    if len(left) < len(fill.images):
        new = ", ".join(index.ids[image] for image in left[:3]) + (
            f" and {len(left) - 3} more" if len(left) > 3 else ""
        )
        run.session.say(
            f"{len(fill.images) - len(left)} of {len(fill.images)} images are labelled as before; new or changed: "
            f"{new or 'none'}"
        )
    for batch, images in batches_of(data.images, left, lambda done, total: tell(done, total, 0.0)):
        found, rows = labelling.look(data, batch, images), fill.pairs(batch)
        masks = {"initial": found.initial[rows], "refined": found.refined[rows]}
        soft, threshold = found.soft[rows], labelling.cosegment.threshold
        told = mask_quality(
            masks["refined"],
            found.agreement[rows],
            soft,
            threshold,
            masks["initial"],
            wins_R=found.wins[rows],
            apart_R=found.apart[rows],
        )
        fill.add(batch, masks, told, soft)
    return fill


def _labelling(run: Run, step: int, index: LabelIndex) -> Labelling:
    foundation = run.foundation
    old = run.words(run.protocol.seen(step - 1)) if foundation.old_names else []
    return Labelling(
        run.session.scorer(foundation),
        run.session.grouper(foundation),
        foundation.cosegment,
        run.words(run.protocol.steps[step]),
        old,
        index.canvas,
        index.grid,
        run.spec.seed,
        run.device,
    )


def require_done(writer: LabelWriter, digest: str) -> None:
    """Raise FormatError when a shard of a label set is not written."""
    missing = [shard for shard in range(writer.index.n_shards) if not writer.is_done(shard)]
    if missing:
        raise FormatError(f"shards {missing} of label set {digest[:12]} are not written; run the step again")


def keep_teacher_labels(run: Run, step: int, data: TaggedImages, method: Method) -> ArtefactRef | None:
    """Store what the trained teacher takes for the masks of a step's images; None for a method without a teacher."""
    if method.final_masks(data.images.image(0)[None].to(run.device).float() / 255) is None:
        return None
    node, start = run.node("final labels", step), time.monotonic()
    index, learnt = index_of(run, step, data, ("final",)), run.labels_of(step)
    before = LabelSet.open(run.store.folder(learnt)) if learnt else None

    def make(folder: Path) -> Manifest:
        writer = LabelWriter.begin(folder, index)
        for shard in range(index.n_shards):
            writer.write(shard, _final(run, index, shard, data, method, before).content())
        card = card_of(run, step, LabelSet.open(folder), time.monotonic() - start)
        return run.store.publish(node.recipe, folder, counts_of(index), card.notes())

    return run.session.obtain(node, make)


def _final(
    run: Run, index: LabelIndex, shard: int, data: TaggedImages, method: Method, before: LabelSet | None
) -> ShardFill:
    """A teacher's masks; their agreement is with those that it learnt from."""
    fill = ShardFill(index, shard)
    fill.look_at(data.images)
    for batch, images in batches_of(data.images, fill.images):
        found, size = method.final_masks(images.to(run.device)), images.shape[-2:]
        assert found is not None
        scores = found.cpu()[fill.pairs(batch)]
        masks = F.interpolate(scores[:, None], size, mode="bilinear")[:, 0] > 0.5
        agreement = row_iou(masks, _learnt(before, [index.ids[p] for p in batch])) if before else None
        unknown = torch.full((len(masks),), torch.nan)
        told = mask_quality(masks, unknown if agreement is None else agreement, scores, learnt=True)
        fill.add(batch, {"final": masks}, told)
    return fill


def _learnt(labels: LabelSet, ids: list[str]) -> Tensor:
    """Masks of a label set's last stage, of images of one size, bool ``(R, h, w)``."""
    masks = [labels.image_masks(labels.stage, labels.position(image_id)) for image_id in ids]
    return torch.from_numpy(np.concatenate(masks)).bool()


def counts_of(index: LabelIndex) -> dict[str, int]:
    """What the manifest of a label set counts: images, rows, shards, and images by class."""
    by_class = dict(zip(index.classes, index.tags.sum(0).tolist(), strict=True))
    return {**by_class, "images": len(index.ids), "rows": index.n_rows, "shards": index.n_shards}
