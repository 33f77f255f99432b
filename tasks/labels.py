"""Label tasks: lay a step's label set out, write its shards side by side, commit it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stores.artefacts import ArtefactRef, Manifest
from stores.labels.building import card_of, counts_of, index_of, require_done, words_used, write_shard
from stores.labels.mend import mend
from stores.labels.sets import LabelSet
from stores.labels.writer import LabelWriter
from stores.plans.run import Run
from stores.progress import stage_progress
from tasks.base import heavy_task, named
from tasks.workers import RunElsewhere, opened, require_same


@heavy_task(name="label set begun", task_run_name=named("labels of step {step}, begun"))
def begin_labels(run: Run, step: int) -> ArtefactRef:
    """Lay out the label set of a step, so that its shards can be written side by side.

    The reference counts the shards, and the images of one (``shard_images``); the last may have fewer.
    """
    node, index = run.node("labels", step), index_of(run, step, run.tagged(step))
    run.check_words(step)
    with run.session.build(node.recipe) as folder:
        if run.session.standing(node) is None:
            LabelWriter.begin(folder, index)
    counts = {"images": len(index.ids), "shards": index.n_shards, "shard_images": index.shard_images}
    return ArtefactRef(kind="labels", digest=node.recipe.digest, counts=counts)


@heavy_task(name="label shard", task_run_name=named("labels of step {step}, shard {shard}"))
def label_shard(run: Run | RunElsewhere, step: int, begun: ArtefactRef, shard: int) -> ArtefactRef:
    """Co-segment the images of one shard and write it, unless another process has."""
    with opened(run) as here:
        node = here.node("labels", step)
        require_same(run, node.title, node.recipe.digest, begun.digest)
        with here.session.build(node.recipe, f"shard {shard}") as folder:
            if here.session.standing(node) is None:  # not published by another process meanwhile
                _write(here, step, folder, shard)
        if here is not run:
            here.tagged(step).images.forget()  # its next shard has other images, and nobody learns there
    return ArtefactRef(kind="labels", digest=begun.digest, counts={"shard": shard})


def _write(run: Run, step: int, folder: Path, shard: int) -> None:
    """Write a shard that is not done, or take what another machine made of it."""
    writer, folders, digest = LabelWriter(folder), run.store.folders, run.node("labels", step).recipe.digest
    if not writer.is_done(shard):
        folders.take("labels", digest, f"shard {shard}", folder)
    if not writer.is_done(shard):
        with stage_progress(f"labels, shard {shard}") as progress:
            write_shard(run, step, writer, shard, progress)
        folders.offer("labels", digest, f"shard {shard}", folder, writer.files(shard))


@heavy_task(name="label set mended", task_run_name=named("labels of step {step}, mended"))
def mended_labels(run: Run, step: int) -> ArtefactRef:
    """Make the damaged shards of a published label set anew; the others stay."""
    node = run.node("labels", step)
    shards = mend(run, step)
    run.session.say(f"{node.title}: {shards} damaged shards made anew")
    return run.require(node)


@heavy_task(name="label set", task_run_name=named("labels of step {step}"))
def label_set(run: Run, step: int, shards: Sequence[ArtefactRef], seconds: float | None = None) -> ArtefactRef:
    """Commit the label set whose shards are written; ``seconds``: that this took."""
    node = run.node("labels", step)

    def make(folder: Path) -> Manifest:
        writer = LabelWriter(folder)
        require_done(writer, node.recipe.digest)
        card = card_of(run, step, LabelSet.open(folder), seconds, words_used(run, step))
        return run.store.publish(node.recipe, folder, counts_of(writer.index), card.notes())

    return run.session.obtain(node, make)
