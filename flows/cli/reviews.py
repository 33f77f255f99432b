"""``wilss labels review`` and ``wilss labels apply``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from flows.cli.options import RootFolder
from flows.cli.printing import print_table, show
from flows.events import tell_review
from wilss.layout import default_root
from wilss.words import counted

if TYPE_CHECKING:
    from stores.labels.review import Key, Review
    from stores.labels.review.rows import SetRows

SHOWN = 5
"""Rows that cannot be carried on or merged, and are named."""


def labels_review(
    label_set: str,
    *,
    who: str = "",
    verdict: str | None = None,
    image: str | None = None,
    class_name: Annotated[str, Parameter(name="--class")] = "",
    note: str | None = None,
    accept_above: float | None = None,
    from_set: Annotated[str | None, Parameter(name="--from")] = None,
    export: Path | None = None,
    import_file: Annotated[Path | None, Parameter(name="--import")] = None,
    last: int = 10,
    root: RootFolder = None,
) -> None:
    """Say what people said of a label set, and say more from a script; nothing changes the set itself.

    Args:
        label_set: its digest, or the first digits of it
        who: in whose name; that of this machine's user when left out
        verdict: accept, reject, absent (the tag is wrong), missing (the tag lacks) or clear; of --image and --class
        image: image id
        class_name: name of the class
        note: free text on the row, or on the image where no class is named
        accept_above: accept every row with a higher score of which nobody said anything
        from_set: carry on what was said of another label set: wrong tags, painted masks and notes
        export: write the review with its masks into this file, for another machine
        import_file: take a review that was exported, also from several machines, one after the other
        last: how many of the last acts to list
    """
    from stores.labels.review.scripts import user_name

    root, name = root or default_root(), who or user_name()
    digest, review, rows = _opened(label_set, root)
    if import_file is not None:
        _import(digest, review, rows, import_file)
    if from_set is not None:
        _carry(digest, from_set, name, root)
    if accept_above is not None:
        _accept(review, rows, name, accept_above)
    if verdict is not None or note is not None:
        _say(review, rows, name, verdict, image, class_name, note)
    if export is not None:
        from stores.labels.review.exchange import export_review

        done = export_review(review, digest, export)
        show(f"{done.acts} acts and {done.masks} painted masks written to {export}")
    _print(digest, root, rows, last)


def labels_apply(label_set: str, *, root: RootFolder = None) -> None:
    """Make what a label set becomes by its review, as a child of it; prints how a run learns from it.

    Args:
        label_set: its digest, or the first digits of it
    """
    from stores.artefacts import Store
    from stores.labels.review.apply import apply_review

    store = Store(root or default_root())
    child, outcome = apply_review(store, label_set)
    show(f"label set {child.digest[:12]}: {child.counts['images']} images, {child.counts['rows']} masks")
    show(outcome.notes.sentence)
    if outcome.unknown:
        show(f"{outcome.unknown} rows of the review are not in the set; nothing came of them")
    show(f"learn from it with --labels reviewed, or from it alone with --labels {child.digest[:12]}")
    if tell_review(store.root, store.get("labels", label_set).digest, child):
        show("the service was told; what 'wilss deploy' attached to a review begins")


def _opened(label_set: str, root: Path) -> tuple[str, Review, SetRows]:
    from stores.artefacts import Store
    from stores.labels.review import Review
    from stores.labels.review.rows import SetRows
    from stores.labels.sets import LabelSet

    store = Store(root)
    digest = store.get("labels", label_set).digest
    return digest, Review.open(root, digest), SetRows(LabelSet.open(store.path("labels", digest)))


def _say(
    review: Review, rows: SetRows, who: str, verdict: str | None, image: str | None, class_name: str, note: str | None
) -> None:
    from stores.labels.review import Key
    from stores.labels.review.scripts import say_of_row
    from wilss.errors import SpecError

    if image is None or (verdict is not None and not class_name):
        raise SpecError("a verdict is of one row: name --image and --class; a note needs --image alone")
    say_of_row(review, rows, who, verdict or "note", Key(image, class_name), note)


def _accept(review: Review, rows: SetRows, who: str, score: float) -> None:
    from stores.labels.review.scripts import accept_above

    act = accept_above(review, rows, who, score)
    show(f"{len(act.changes) if act else 0} rows accepted, as their score is above {score}")


def _import(digest: str, review: Review, rows: SetRows, path: Path) -> None:
    from stores.labels.review.exchange import import_review

    merged = import_review(review, digest, rows, path)
    show(f"{merged.taken} acts taken, {merged.known} were here already")
    reason = "something else is said of it here"
    _tell_left(dict.fromkeys(merged.left, reason), "left as they are")


def _carry(digest: str, other: str, who: str, root: Path) -> None:
    from stores.artefacts import Store
    from stores.labels.review.carry import carry, reviewed_digest

    found, act = carry(Store(root), digest, reviewed_digest(root, other), who)
    show(f"{len(act.changes) if act else 0} rows carried on")
    _tell_left(found.left, "could not be carried on")


def _tell_left(left: dict[Key, str], what: str) -> None:
    if left:
        show(f"{len(left)} rows {what}:")
    for key, why in list(left.items())[:SHOWN]:
        show(f"  {key.class_name or 'note'} of {key.image}: {why}")
    if len(left) > SHOWN:
        show(f"  and {len(left) - SHOWN} more")


def _print(digest: str, root: Path, rows: SetRows, last: int) -> None:
    from stores.labels.review import Review
    from stores.labels.review.carry import carry_hint
    from stores.labels.review.outcome import outcome_of, read_applied

    review = Review.open(root, digest)
    if not review.last:
        show(f"nobody said anything of label set {digest[:12]} yet")
        if hint := carry_hint(root, digest):
            show(hint)
        return
    columns = ["act", "when", "who", "what", "rows", "of"]
    print_table(f"last acts on label set {digest[:12]}", columns, _acts(review, last), left=True)
    outcome = outcome_of(rows.labels.index, review)
    notes = sum(bool(state.note) for state in review.states.values())
    show(
        f"{outcome.notes.sentence}; {counted(notes, 'note')}; {counted(review.last, 'act')} by {', '.join(review.who)}"
    )
    applied = read_applied(root, digest)
    if applied is None:
        show(f"not applied yet: wilss labels apply {digest[:12]}")
    elif applied.seal != review.seal:
        show(f"{review.last - applied.n} acts since it was applied: wilss labels apply {digest[:12]}")
    else:
        show(f"applied: label set {applied.child[:12]}")


def _acts(review: Review, last: int) -> list[list[str]]:
    shown = []
    for act in list(review.acts)[-last:] if last > 0 else ():
        first = act.changes[0]
        row = f"{first.class_name or 'note'} of {first.image}"
        more = f" and {len(act.changes) - 1} more" if len(act.changes) > 1 else ""
        what = f"{act.what} act {act.of}" if act.of else act.what
        shown.append([str(act.n), act.when[:19].replace("T", " "), act.who, what, str(len(act.changes)), row + more])
    return shown
