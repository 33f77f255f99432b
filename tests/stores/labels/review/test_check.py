"""Reviews are people's work: nothing takes them, damage is told, and what can be read is saved."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from stores.collect import collect, find_garbage
from stores.labels.review import Review, RowState
from stores.usage import usage
from stores.verify import repair, verify
from tests.stores.labels.review.sets import published, say, square
from wilss.errors import DamagedArtefactError

REJECTED = RowState("rejected")


@pytest.fixture
def review(tmp_path: Path) -> Review:
    _, manifest = published(tmp_path)
    review = Review.open(tmp_path, manifest.digest)
    mask = review.put_mask(square())
    say(review, {("img-0", "cat"): REJECTED})
    say(review, {("img-1", "dog"): RowState(mask=mask)}, "bob")
    say(review, {("img-2", "cat"): REJECTED})
    review.undo("ada")
    return review


def test_a_reviewed_set_and_its_review_stay(review: Review, tmp_path: Path) -> None:
    assert find_garbage(tmp_path, alone=True).items == ()
    assert list(collect(tmp_path)) == []
    assert verify(tmp_path).reviews == 1
    assert verify(tmp_path).faults == verify(tmp_path).missing == ()
    count, size = usage(tmp_path).kinds["reviews"]
    assert count == 1
    assert size == sum(path.stat().st_size for path in review.folder.rglob("*") if path.is_file())


def test_a_set_that_nobody_looked_at_goes(tmp_path: Path) -> None:
    store, manifest = published(tmp_path)
    assert [item.path for item in find_garbage(tmp_path, alone=True).items] == [store.folder(manifest.ref)]


def test_a_review_whose_set_is_gone_is_named_and_kept(review: Review, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "labels")
    (told,) = find_garbage(tmp_path, alone=True).kept
    assert f"the review of label set {review.folder.name[:12]} is kept, and the set is gone; carry it on" in told
    assert verify(tmp_path).missing == (told,)
    assert list(collect(tmp_path)) == []
    assert Review(review.folder).last == 4


def test_a_mask_that_is_being_painted_is_no_garbage(review: Review, tmp_path: Path) -> None:
    partial = review.folder / "masks" / "x.partial"
    partial.write_bytes(b"")
    assert find_garbage(tmp_path, alone=True).items == ()
    os.utime(partial, (time.time() - 7200,) * 2)
    assert [item.path for item in find_garbage(tmp_path, alone=True).items] == [partial]


def test_damaged_masks_are_told_and_left(review: Review, tmp_path: Path) -> None:
    (path,) = (review.folder / "masks").glob("*.png")
    other = review.put_mask(np.ones((3, 3), bool))
    path.write_bytes((review.folder / "masks" / f"{other}.png").read_bytes())
    (review.folder / "masks" / f"{other}.png").unlink()
    (review.folder / "masks" / "odd.png").write_bytes(b"")
    told = [str(fault) for fault in verify(tmp_path).faults]
    assert ["odd.png' is damaged (no act can name it); delete it" in told[0], "it shows another mask" in told[1]] == [
        True
    ] * 2
    assert list(repair(tmp_path)) == told
    assert path.exists()


@pytest.mark.parametrize("line", range(4))
@pytest.mark.parametrize("where", ["the act", "the seal"])
def test_what_can_be_read_of_damaged_acts_is_saved(line: int, where: str, review: Review, tmp_path: Path) -> None:
    """An undo of an act that is lost is kept as an act of its own."""
    path = review.folder / "acts.jsonl"
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    lines[line] = lines[line].replace(b'"who":"', b'"who":"x') if where == "the act" else lines[line][:-9] + b"z\n"
    path.write_bytes(b"".join(lines) + b'{"torn')
    (fault,) = verify(tmp_path).faults
    assert f"line {line + 1}" in str(fault)
    assert "'wilss store repair'" in str(fault)
    with pytest.raises(DamagedArtefactError):
        Review(review.folder)
    (said,) = repair(tmp_path)
    assert "; 3 acts were kept, 1 lines could not be read, which lie in '" in said
    (aside,) = (tmp_path / "quarantine" / "reviews").glob("*.jsonl")
    assert aside.read_bytes() == b"".join(lines) + b'{"torn'
    saved = Review(review.folder)
    expected = [act for act in review.acts if act.n != line + 1]
    assert [(act.who, act.when, act.changes) for act in saved.acts] == [(a.who, a.when, a.changes) for a in expected]
    assert (saved.acts[-1].what, saved.acts[-1].of) == {
        0: ("undo", 2),
        1: ("undo", 2),
        2: ("import", None),
        3: ("note", None),
    }[line]
    assert verify(tmp_path).faults == ()
    assert list(repair(tmp_path)) == []
