"""Building the label sets of a run: the co-segmented one shard by shard, and that of the trained teacher's masks."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor

from stores.artefacts import ArtefactRef, Manifest
from stores.labels.card import FORMAT, LabelCard
from stores.labels.sets import LabelIndex, LabelWriter, layers_of
from stores.plans.run import Run
from wilss.data.images import TaggedImages
from wilss.errors import FormatError
from wilss.foundation.label import Labelling, grid_of, in_batches, padded, sizes_of
from wilss.learn.methods.contract import Method

Progress = Callable[[str, int, int, float], None]


def index_of(run: Run, step: int, data: TaggedImages, stages: tuple[str, ...] = ("initial", "refined")) -> LabelIndex:
    """What the rows and channels of a step's label set stand for."""
    canvas = run.spec.data.canvas
    return LabelIndex(
        ids=data.images.ids,
        classes=run.names(run.protocol.steps[step]),
        tags=tuple(tuple(row) for row in data.tags.tolist()),
        canvas=canvas,
        grid=grid_of(canvas),
        stages=stages,
    )


def card_of(run: Run, step: int, seconds: float | None = None) -> LabelCard:
    """What the manifest of a step's label set says beside its recipe."""
    data, voc = run.settings.data, run.settings.voc
    return LabelCard(
        format=FORMAT,
        benchmark=run.protocol.name,
        step=step,
        class_ids=run.protocol.steps[step],
        spec=run.spec.model_dump(mode="json"),
        data_root=data.resolve() if data else None,
        voc_root=voc.resolve() if voc else None,
        seconds=seconds,
    )


def write_shard(run: Run, step: int, writer: LabelWriter, shard: int, progress: Progress) -> None:
    """Co-segment the images of one shard and write it."""
    data, rows = run.tagged(step), list(writer.index.rows(shard))
    found = _labelling(run, step, writer.index).rows(
        data, rows, lambda done, total: progress("label", done, total, 0.0)
    )
    writer.write(shard, layers_of(found), *sizes_of(data.images, rows))


def _labelling(run: Run, step: int, index: LabelIndex) -> Labelling:
    foundation = run.spec.foundation
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
    index = index_of(run, step, data, ("final",))

    def masks(batch: list[int], images: Tensor) -> tuple[Tensor, ...]:
        found = method.final_masks(images.to(run.device))
        assert found is not None
        large = F.interpolate(found.cpu(), images.shape[-2:], mode="bilinear") > 0.5
        return (padded(large & data.tags[batch][..., None, None], index.canvas),)

    def make(folder: Path) -> Manifest:
        writer = LabelWriter.begin(folder, index)
        for shard in range(index.n_shards):
            rows = list(index.rows(shard))
            (final,) = in_batches(data.images, rows, masks)
            writer.write(shard, {"final": final}, *sizes_of(data.images, rows))
        card = card_of(run, step, time.monotonic() - start)
        return run.store.publish(node.recipe, folder, {"images": len(data)}, card.notes())

    return run.session.obtain(node, make)
