"""Which label sets a run learns from when it asks for reviewed ones: resolved to digests before anything is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stores.artefacts import Manifest, Store
from stores.labels.review import Review
from stores.labels.review.outcome import read_applied, reviewed_child
from stores.plans.plan import Plan
from wilss.errors import ArtefactNotFoundError, SpecError
from wilss.spec import RunSpec

REVIEWED = "reviewed"


def with_chosen_labels(spec: RunSpec, store: Store, plan: Callable[[], Plan], say: Callable[[str], None]) -> RunSpec:
    """The specification with digests in ``label_sets`` in place of its ``labels``.

    Args:
        plan: of the run as it would be without them.

    Raises ArtefactNotFoundError where no step has what is asked for, and SpecError for a set of another benchmark's
    step.
    """
    if not spec.labels:
        return spec
    chosen = _reviewed(spec, store, plan(), say) if spec.labels == REVIEWED else _named(spec, store)
    sets = {**spec.label_sets, **{step: manifest.digest for step, manifest in chosen.items()}}
    return spec.model_copy(update={"labels": "", "label_sets": sets})


def _named(spec: RunSpec, store: Store) -> Mapping[int, Manifest]:
    manifest, last = store.get("labels", spec.labels), len(spec.protocol.steps) - 1
    step = manifest.notes.get("step")
    if not isinstance(step, int) or not 1 <= step <= last:
        raise SpecError(
            f"label set {manifest.digest[:12]} is of step {step} of {manifest.notes.get('benchmark')}; steps of "
            f"{spec.benchmark} that learn from labels are 1 to {last}. Name the step with --set label_sets.1="
            f"{manifest.digest[:12]}"
        )
    return {step: manifest}


def _reviewed(spec: RunSpec, store: Store, plan: Plan, say: Callable[[str], None]) -> Mapping[int, Manifest]:
    used = {step: store.get("labels", named).digest for step, named in spec.label_sets.items()}
    for step in range(1, len(spec.protocol.steps)):
        if (node := plan.get(f"labels {step}")) is not None:  # none for a step whose student is given
            used.setdefault(step, node.recipe.digest)
    found = {step: child for step, digest in used.items() if (child := reviewed_child(store, digest))}
    if not found:
        raise ArtefactNotFoundError(_nothing(spec, store, used))
    for step, digest in sorted(used.items()):
        if step in found:
            since = _since(store, digest)
            say(f"labels of step {step}: {found[step].digest[:12]}, as people reviewed {digest[:12]}{since}")
        else:
            say(f"labels of step {step}: no review of {digest[:12]} was applied, so they are taken as they are")
    return found


def _since(store: Store, digest: str) -> str:
    """What was said of a set after its review was applied, as the end of a sentence; "" for nothing."""
    applied, review = read_applied(store.root, digest), Review.open(store.root, digest)
    if applied is None or applied.seal == review.seal:
        return ""
    return f"; {review.last - applied.n} acts since are not in it (wilss labels apply {digest[:12]})"


def _nothing(spec: RunSpec, store: Store, used: Mapping[int, str]) -> str:
    there = [digest for digest in used.values() if store.path("labels", digest).is_dir()]
    if not there:
        return (
            f"the label sets of {spec.benchmark} are not made yet, so nobody reviewed them; run it without --labels, "
            "then look them over with 'wilss inspect'"
        )
    one = there[0][:12]
    return (
        f"no review of label set {one} was applied; look it over with 'wilss inspect {one}', apply what was said with "
        f"'wilss labels apply {one}', then run again, or leave --labels out"
    )
