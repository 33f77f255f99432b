"""What is said of rows, by one and by several people, and taken back."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stores.labels.review import Change, ConflictError, Key, NothingToUndoError, Review, RowState
from wilss.errors import ArtefactNotFoundError, DamagedArtefactError, DataError, SpecError

ACCEPTED, REJECTED, NOTHING = RowState("accepted"), RowState("rejected"), RowState()


def say(review: Review, who: str, image: str, state: RowState, name: str = "cat") -> int:
    return review.act(who, "note", [Change(image, name, state, review.version(image, name))]).n


def test_what_is_said_is_read_by_another_opening(tmp_path: Path) -> None:
    review = Review.open(tmp_path, "abc")
    assert (review.last, review.seal, dict(review.states), review.who) == (0, "", {}, [])
    assert not (tmp_path / "reviews").exists(), "looking writes nothing"
    act = review.act("Ada", "reject", [Change("a", "cat", REJECTED, 0), Change("b", "cat", REJECTED, 0)])
    again = Review.open(tmp_path, "abc")
    assert again.states == {Key("a", "cat"): REJECTED, Key("b", "cat"): REJECTED}
    assert again.acts == [act]
    assert (again.version("a", "cat"), again.version("a", "dog"), again.seal, again.who) == (1, 0, act.seal, ["Ada"])
    assert [each.n for each in again.history("b")] == [1]


def test_another_opening_sees_what_came_after_a_refresh(tmp_path: Path) -> None:
    one, other = Review.open(tmp_path, "abc"), Review.open(tmp_path, "abc")
    say(one, "ada", "a", ACCEPTED)
    assert other.last == 0
    assert other.refresh()
    assert not other.refresh()
    assert other.state("a", "cat") == ACCEPTED
    assert [act.n for act in other.since(0)] == [1]


def test_a_row_that_changed_since_it_was_seen_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    one, other = Review.open(tmp_path, "abc"), Review.open(tmp_path, "abc")
    one.act("ada", "reject", [Change("a", "cat", REJECTED, 0)])
    with pytest.raises(ConflictError, match=r"'ada' changed cat of image 'a' \(reject, 2.* meanwhile; nothing") as told:
        other.act("bob", "accept", [Change("b", "cat", ACCEPTED, 0), Change("a", "cat", ACCEPTED, 0)])
    assert told.value.rows == (Key("a", "cat"),)
    assert told.value.states == (REJECTED,)
    assert pickle.loads(pickle.dumps(told.value)).acts == told.value.acts
    assert (other.last, dict(other.states)) == (1, {Key("a", "cat"): REJECTED})


def test_undo_and_redo_are_each_persons_own(tmp_path: Path) -> None:
    review = Review.open(tmp_path, "abc")
    say(review, "ada", "a", ACCEPTED)
    say(review, "bob", "b", REJECTED)
    say(review, "ada", "c", RowState(note="dark"))
    assert review.left("ada") == (2, 0)
    assert review.undo("ada").of == 3
    assert review.undo("ada").of == 1
    assert dict(review.states) == {Key("b", "cat"): REJECTED}
    with pytest.raises(NothingToUndoError, match="'ada' has nothing to undo"):
        review.undo("ada")
    assert [review.redo("ada").of, review.redo("ada").of] == [1, 3]
    with pytest.raises(NothingToUndoError, match="nothing to do again"):
        review.redo("ada")
    assert len(review.states) == 3
    review.undo("ada")
    say(review, "ada", "d", ACCEPTED)
    assert review.left("ada") == (2, 0), "a new act ends what could be done again"


def test_an_undo_over_somebody_elses_act_is_a_conflict_until_they_take_it_back(tmp_path: Path) -> None:
    review = Review.open(tmp_path, "abc")
    say(review, "ada", "a", ACCEPTED)
    say(review, "bob", "a", RowState("accepted", note="sure"))
    for _ in range(2):
        with pytest.raises(ConflictError, match="'bob' changed cat of image 'a'"):
            review.undo("ada")
    review.undo("bob")
    review.undo("ada")
    assert dict(review.states) == {}
    with pytest.raises(ConflictError, match="'ada' changed"):
        review.redo("bob")


def test_painted_masks_are_kept_by_what_they_show(tmp_path: Path) -> None:
    review, mask = Review.open(tmp_path, "abc"), np.zeros((5, 11), bool)
    mask[1:3, 2:9] = True
    digest = review.put_mask(mask)
    assert review.put_mask(mask.copy()) == digest
    assert review.put_mask(mask.reshape(11, 5)) != digest
    assert np.array_equal(Review.open(tmp_path, "abc").mask(digest), mask)
    review.act("ada", "paint", [Change("a", "cat", RowState(mask=digest), 0)])
    path = review.folder / "masks" / f"{digest}.png"
    assert path.stat().st_size < 200
    (review.folder / "masks" / f"{review.put_mask(~mask)}.png").replace(path)
    with pytest.raises(DamagedArtefactError, match="it shows another mask than was painted"):
        review.mask(digest)
    path.unlink()
    with pytest.raises(DamagedArtefactError, match="put a copy of it back, or paint the mask again"):
        review.mask(digest)


@pytest.mark.parametrize(
    "array", [np.zeros((3, 3)), np.zeros((0, 3), bool), np.zeros(3, bool), np.zeros((1, 9000), bool)]
)
def test_an_array_that_is_no_mask_is_refused(array: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected is bool"):
        Review.open(tmp_path, "abc").put_mask(array)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (Change("a", "cat", RowState("perfect"), 0), "the verdict 'perfect' is unknown; choose of accepted, rejected"),
        (Change("a", "cat", RowState(mask="../../x"), 0), "is no digest of a painted mask"),
        (Change("a", "", ACCEPTED, 0), "takes a note only"),
        (Change("", "cat", ACCEPTED, 0), "an image id has 1 to"),
        (Change("a", "cat", RowState(note="x" * 4001), 0), "the note has 4001 letters"),
        (Change("a", "cat", RowState(note="\ud800"), 0), "of plain text"),
    ],
)
def test_what_cannot_be_said_is_refused(change: Change, rule: str, tmp_path: Path) -> None:
    review = Review.open(tmp_path, "abc")
    with pytest.raises(SpecError, match=rule):
        review.act("ada", "note", [change])
    assert review.last == 0


def test_odd_calls_are_refused(tmp_path: Path) -> None:
    review, change = Review.open(tmp_path, "abc"), Change("a", "cat", ACCEPTED, 0)
    for who in ("", " \n", "x" * 101, "a\x1b[31m"):
        with pytest.raises(SpecError, match="is no name of a person"):
            review.act(who, "accept", [change])
    with pytest.raises(SpecError, match="'undo' is nothing to say"):
        review.act("ada", "undo", [change])
    with pytest.raises(SpecError, match="each once; this one has 2"):
        review.act("ada", "accept", [change, change])
    with pytest.raises(SpecError, match="this one has 0"):
        review.act("ada", "accept", [])
    with pytest.raises(ArtefactNotFoundError, match="is not kept; keep it"):
        review.act("ada", "paint", [Change("a", "cat", RowState(mask="0" * 32), 0)])
    with pytest.raises(SpecError, match="is no digest of a label set"):
        Review.open(tmp_path, "../elsewhere")


def test_names_of_files_that_are_no_text_are_kept(tmp_path: Path) -> None:
    review, image = Review.open(tmp_path, "abc"), "caf\udce9\n\u202e"
    say(review, "ada", image, ACCEPTED, "größe")
    assert Review.open(tmp_path, "abc").states == {Key(image, "größe"): ACCEPTED}


ROWS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True)
STATES = st.sampled_from([ACCEPTED, REJECTED, NOTHING, RowState(note="x")])
DEEDS = st.one_of(st.tuples(ROWS, STATES), st.sampled_from(["undo", "redo"]))


@given(st.lists(st.tuples(st.sampled_from(["ada", "bob"]), DEEDS), max_size=25))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_acts_give_the_same_when_they_are_read_again(tmp_path: Path, deeds: list) -> None:
    """Beside that: every state is the one before it with the act's changes, and undoing all ends where nothing is."""
    review = Review(Path(tmp_path, str(len(list(tmp_path.iterdir())))))
    for who, deed in deeds:
        before = dict(review.states)
        try:
            if isinstance(deed, str):
                act = review.undo(who) if deed == "undo" else review.redo(who)
            else:
                act = review.act(
                    who, "note", [Change(row, "cat", deed[1], review.version(row, "cat")) for row in deed[0]]
                )
        except (NothingToUndoError, ConflictError):
            assert dict(review.states) == before
            continue
        assert all(before.get(change.key, NOTHING) == change.before for change in act.changes)
        assert dict(review.states) == {
            key: state for key, state in (before | {c.key: c.after for c in act.changes}).items() if state
        }
    again = Review(review.folder)
    assert (again.acts, again.states) == (review.acts, review.states)
    assert [again.left(who) for who in ("ada", "bob")] == [review.left(who) for who in ("ada", "bob")]
    undo_all(again)
    assert dict(again.states) == {}


def undo_all(review: Review) -> None:
    """By turns, as long as anybody can: who acted last can always take it back."""
    while any(review.left(who)[0] for who in review.who):
        left = review.last
        for who in review.who:
            while review.left(who)[0]:
                try:
                    review.undo(who)
                except ConflictError:
                    break
        assert review.last > left
