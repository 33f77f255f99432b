"""What a label set becomes by its review."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stores.labels.card import read_card
from stores.labels.children import make_child
from stores.labels.review import Review, RowState
from stores.labels.review.apply import apply_review
from stores.labels.review.outcome import outcome_of, read_applied, reviewed_child
from stores.labels.stats import row_score
from stores.plans.reviewed import with_chosen_labels
from tests.stores.labels.review.sets import opened, published, say, square
from wilss.errors import ArtefactNotFoundError, DamagedArtefactError, DataError, FormatError, SpecError
from wilss.spec import make_spec

ACCEPTED, REJECTED, ABSENT, MISSING = (RowState(v) for v in ("accepted", "rejected", "absent", "missing"))


def test_every_verdict_has_its_effect(tmp_path: Path) -> None:
    """img-0 and -4 have a cat, -1 and -5 a dog, -2 and -6 both, -3 and -7 neither, -8 a cat."""
    store, parent = published(tmp_path)
    review = Review.open(tmp_path, parent.digest)
    mask = review.put_mask(square())
    said = {
        ("img-0", "cat"): REJECTED,
        ("img-1", "dog"): ABSENT,
        ("img-2", "cat"): RowState("rejected", mask),
        ("img-2", "dog"): ACCEPTED,
        ("img-3", "dog"): RowState("missing", mask),
        ("img-4", "dog"): MISSING,
        ("img-5", "cat"): RowState("absent", mask, "no cat, as the tags say"),
        ("img-6", "dog"): ABSENT,
        ("img-8", ""): RowState(note="dark"),
        ("gone", "cat"): REJECTED,
        ("img-8", "cow"): REJECTED,
    }
    say(review, said)
    child, outcome = apply_review(store, parent.digest[:8])
    before, after = opened(store, parent), opened(store, child)
    assert after.index.ids == ("img-2", "img-3", "img-5", "img-6", "img-7", "img-8")
    assert after.index.tags.tolist() == [
        [True, True],
        [False, True],
        [False, True],
        [True, False],
        [False] * 2,
        [True, False],
    ]
    assert after.index.stages == ("refined",)
    assert np.array_equal(after.image_masks("refined", 0)[0], square())
    assert np.array_equal(after.image_masks("refined", 0)[1], before.image_masks("refined", 2)[1])
    assert np.array_equal(after.image_masks("refined", 1)[0], square())
    assert np.array_equal(after.image_masks("refined", 3)[0], before.image_masks("refined", 6)[0])
    assert np.array_equal(after.sizes, before.sizes[[2, 3, 5, 6, 7, 8]])
    assert np.array_equal(after.pixels, before.pixels[[2, 3, 5, 6, 7, 8]])
    notes = outcome.notes
    assert notes.model_dump(include={*type(notes).model_fields} - {"seal"}) == {
        **{"accepted": 1, "rejected": 1, "removed": 2, "corrected": 1, "added": 1, "missed": 1},
        **{"images_left_out": 3, "n": 1},
    }
    assert notes.sentence == (
        "1 rejected, 2 classes removed, 1 corrected, 1 added, 1 class missed, 1 accepted; 3 images left out"
    )
    assert outcome.unknown == 2
    card = read_card(child, store.folder(child.ref), 2)
    assert (card.review, card.own_tags, card.step, child.parents) == (notes, True, 1, {"parent": parent.digest})
    assert opened(store, parent).index.ids == before.index.ids, "the parent stays as it is"


def test_numbers_of_masks_that_stay_are_the_parents(tmp_path: Path) -> None:
    store, parent = published(tmp_path)
    review = Review.open(tmp_path, parent.digest)
    mask = review.put_mask(square())
    say(review, {("img-2", "cat"): RowState(mask=mask), ("img-3", "cat"): RowState("missing", mask)})
    child, _ = apply_review(store, parent.digest)
    before, after = opened(store, parent), opened(store, child)
    rows = [row for row in range(before.index.n_rows) if row != before.index.starts[2]]
    kept = [row for row in range(after.index.n_rows) if row not in (after.index.starts[2], after.index.starts[3])]
    for name in before.columns:
        assert np.array_equal(before.quality[name][rows], after.quality[name][kept])
    painted, added = after.index.starts[2], after.index.starts[3]
    old, new = before.image_masks("refined", 2)[0].astype(bool), square()
    assert after.quality["agreement"][painted] == pytest.approx((old & new).sum() / (old | new).sum())
    assert np.isnan(after.quality["agreement"][added])
    assert after.quality["area"][added] == pytest.approx(square().mean())
    assert not np.isnan(row_score(after)).any()


def test_the_same_review_gives_the_same_child(tmp_path: Path) -> None:
    store, parent = published(tmp_path)
    review = Review.open(tmp_path, parent.digest)
    say(review, {("img-0", "cat"): REJECTED})
    first, _ = apply_review(store, parent.digest)
    say(review, {("img-1", "dog"): REJECTED}, "bob")
    second, _ = apply_review(store, parent.digest)
    assert second.digest != first.digest
    review.refresh()
    review.undo("bob")
    third, _ = apply_review(store, parent.digest)
    assert (third.digest, third.created) == (first.digest, first.created)
    applied = read_applied(tmp_path, parent.digest)
    assert applied
    assert (applied.child, applied.n, applied.seal) == (first.digest, 3, Review.open(tmp_path, parent.digest).seal)
    assert reviewed_child(store, parent.digest) == first, "the last one that was applied, not the last one made"


def test_a_damaged_child_is_made_anew(tmp_path: Path) -> None:
    store, parent = published(tmp_path)
    say(Review.open(tmp_path, parent.digest), {("img-0", "cat"): REJECTED})
    child, _ = apply_review(store, parent.digest)
    next(store.folder(child.ref).rglob("quality/c/0/0")).write_bytes(b"")
    with pytest.raises(DamagedArtefactError):
        store.find(child.ref)
    again, _ = apply_review(store, parent.digest)
    assert again.digest == child.digest
    assert len(opened(store, again).quality["area"]) == 8


def test_a_child_of_a_child_says_what_it_learnt_from_whom(tmp_path: Path) -> None:
    store, parent = published(tmp_path)
    say(Review.open(tmp_path, parent.digest), {("img-0", "cat"): ABSENT, ("img-2", "cat"): ABSENT})
    child, _ = apply_review(store, parent.digest)
    assert reviewed_child(store, parent.digest) == child
    say(Review.open(tmp_path, child.digest), {("img-1", "dog"): REJECTED})
    grandchild, _ = apply_review(store, child.digest)
    assert reviewed_child(store, parent.digest) == grandchild
    card = read_card(grandchild, store.folder(grandchild.ref), 2)
    assert card.review
    assert (card.review.rejected, card.review.removed) == (1, 0)
    taken = make_child(store, child.ref, ["img-2"])
    card = read_card(taken, store.folder(taken.ref), 2)
    assert (card.review, card.own_tags) == (None, True), "other hands changed it, but its tags are people's still"


def test_what_cannot_be_applied_is_told(tmp_path: Path) -> None:
    store, parent = published(tmp_path)
    with pytest.raises(SpecError, match="nobody said anything of label set"):
        apply_review(store, parent.digest)
    review = Review.open(tmp_path, parent.digest)
    say(review, {("img-0", "cat"): RowState(mask=review.put_mask(square((5, 5))))})
    with pytest.raises(
        DataError, match="for image 'img-0' is 5 x 5, the image is 12 x 16 on the canvas; paint it again"
    ):
        apply_review(store, parent.digest)
    of = opened(store, parent).index
    everything = {(of.ids[i], of.classes[c]): REJECTED for i, c in zip(*of.pairs, strict=True)}
    say(review, everything | {(f"img-{k}", "cat"): MISSING for k in (3, 7)})
    with pytest.raises(DataError, match=r"leaves no image \(9 rejected, 2 classes missed; 9 images left out\)"):
        apply_review(store, parent.digest)
    assert read_applied(tmp_path, parent.digest) is None
    assert len(outcome_of(of, review).positions) == 0


def test_notes_of_what_was_applied_are_looked_at(tmp_path: Path) -> None:
    store, parent = published(tmp_path)
    review = Review.open(tmp_path, parent.digest)
    assert reviewed_child(store, parent.digest) is None
    say(review, {("img-0", "cat"): REJECTED})
    apply_review(store, parent.digest)
    path = review.folder / "applied.json"
    note = path.read_text()
    path.write_text("{")
    with pytest.raises(FormatError, match=r"applied.json' is damaged .*; apply the review again: wilss labels apply"):
        reviewed_child(store, parent.digest)
    child = read_applied_child(note)
    path.write_text(note.replace(child, parent.digest))
    with pytest.raises(DataError, match="go round in a circle"):
        reviewed_child(store, parent.digest)
    path.write_text(note.replace(child, "f" * 32))
    with pytest.raises(ArtefactNotFoundError, match="apply the review again"):
        reviewed_child(store, parent.digest)


def read_applied_child(note: str) -> str:
    import json

    child: str = json.loads(note)["child"]
    return child


def test_who_learns_from_what_was_applied_is_told_what_was_said_since(tmp_path: Path) -> None:
    store, parent = published(tmp_path)
    review, told = Review.open(tmp_path, parent.digest), list[str]()
    plan: Any = {"labels 1": SimpleNamespace(recipe=SimpleNamespace(digest=parent.digest))}
    spec = make_spec({"benchmark": "scenes-15-5", "preset": "tiny", "labels": "reviewed"})
    say(review, {("img-0", "cat"): REJECTED})
    child, _ = apply_review(store, parent.digest)
    assert with_chosen_labels(spec, store, lambda: plan, told.append).label_sets == {1: child.digest}
    say(review, {("img-4", "cat"): REJECTED})
    assert with_chosen_labels(spec, store, lambda: plan, told.append).label_sets == {1: child.digest}
    named = parent.digest[:12]
    assert told[0].endswith(f"as people reviewed {named}")
    assert told[1] == f"{told[0]}; 1 acts since are not in it (wilss labels apply {named})"
