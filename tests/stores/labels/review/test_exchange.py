"""Reviews between machines, and from one label set to another."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stores.artefacts import Manifest, Store
from stores.labels.review import Change, Key, Review, RowState
from stores.labels.review.carry import carry, carry_hint, carryable, reviewed_digest
from stores.labels.review.exchange import export_review, import_review
from stores.labels.review.log import sealed
from stores.labels.review.masks import mask_digest
from stores.labels.review.merge import Merged
from stores.labels.review.rows import SetRows
from stores.labels.review.scripts import accept_above, say_of_row
from stores.labels.review.state import Act, Changed
from tests.stores.labels.review.sets import opened, published, say, square
from wilss.errors import ArtefactNotFoundError, DataError, FormatError, SpecError

ACCEPTED, REJECTED, ABSENT = (RowState(verdict) for verdict in ("accepted", "rejected", "absent"))
CAT0, DOG1, CAT2 = ("img-0", "cat"), ("img-1", "dog"), ("img-2", "cat")


class Machine:
    """A store with the label set that all machines have, and its review."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store, self.set = published(root)
        self.review = Review.open(root, self.set.digest)

    def write(self, name: str = "review.jsonl") -> Path:
        export_review(self.review, self.set.digest, self.root / name, replace=True)
        return self.root / name

    def take(self, path: Path) -> Merged:
        return import_review(self.review, self.set.digest, SetRows(opened(self.store, self.set)), path)


@pytest.fixture
def here(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "here")


@pytest.fixture
def there(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "there")


def test_a_review_goes_to_another_machine_with_its_masks_and_what_can_be_undone(here: Machine, there: Machine) -> None:
    mask = here.review.put_mask(square())
    say(here.review, {CAT0: RowState(mask=mask), DOG1: REJECTED})
    say(here.review, {CAT2: ACCEPTED}, "bob")
    here.review.undo("ada")
    here.review.redo("ada")
    assert there.take(here.write()) == Merged(taken=4, known=0, left=())
    assert there.review.acts == here.review.acts
    assert np.array_equal(Review.open(there.root, there.set.digest).mask(mask), square())
    there.review.undo("ada")
    assert there.review.states == {Key(*CAT2): ACCEPTED}
    assert there.take(here.write()) == Merged(0, 4, ())


def test_several_machines_come_together(here: Machine, there: Machine) -> None:
    say(here.review, {CAT0: ACCEPTED})
    there.take(here.write())
    say(here.review, {DOG1: REJECTED, CAT2: REJECTED})
    say(here.review, {CAT2: ABSENT})
    say(there.review, {CAT2: ACCEPTED, ("img-4", "cat"): ACCEPTED}, "bob")
    say(there.review, {DOG1: REJECTED}, "bob")
    merged = here.take(there.write())
    assert merged == Merged(taken=1, known=1, left=(Key(*CAT2),)), "the same was said of the dog on both sides"
    assert here.review.state("img-4", "cat") == ACCEPTED
    assert here.review.state(*CAT2) == ABSENT
    assert here.review.who == ["ada", "bob"]
    assert here.take(there.write()) == Merged(0, 2, (Key(*CAT2),)), "what was left is told again"
    merged = there.take(here.write())
    assert merged.left == (Key(*CAT2),)
    assert {key: state for key, state in there.review.states.items() if key != CAT2} == {
        key: state for key, state in here.review.states.items() if key != CAT2
    }


def test_an_undo_of_an_act_that_was_not_taken_undoes_nothing(here: Machine, there: Machine) -> None:
    say(there.review, {CAT0: ACCEPTED})
    there.review.undo("ada")
    say(here.review, {CAT0: ACCEPTED}, "bob")
    assert here.take(there.write()).left == (Key(*CAT0),)
    assert here.review.states == {Key(*CAT0): ACCEPTED}


def lines_of(machine: Machine) -> list[bytes]:
    mask = machine.review.put_mask(square())
    say(machine.review, {CAT0: RowState(mask=mask)})
    say(machine.review, {DOG1: REJECTED})
    return machine.write().read_bytes().splitlines(keepends=True)


def act_line(seal: str = "", n: int = 1, image: str = "img-0", when: str = "2026-01-31T10:00:00.000000+00:00") -> bytes:
    return sealed(Act(n, "eve", when, "accept", (Changed(image, "cat", RowState(), ACCEPTED),)), seal)[0]


def mask_line(array: np.ndarray, name: str = "", form: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.fromarray(array).save(content, format=form)
    told = {"mask": name or mask_digest(array), "png": base64.b64encode(content.getvalue()).decode()}
    return json.dumps(told).encode() + b"\n"


def header(digest: str, **changes: object) -> bytes:
    return json.dumps({"wilss": "review", "format": 1, "label_set": digest, **changes}).encode() + b"\n"


def hostile(good: list[bytes]) -> dict[str, tuple[list[bytes], str]]:
    head, mask, *acts = good
    large = np.zeros((17, 3), bool)
    return {
        "empty": ([], "it is empty"),
        "no text": ([b"\x80\x04\x95pickle\n"], "line 1: it is no JSON"),
        "no review": ([b"{}\n"], "line 1: it is no header"),
        "newer": ([head.replace(b'"format": 1', b'"format": 2')], "has format 2; .* Upgrade wilss"),
        "more in the header": ([head.replace(b"}", b', "x": 1}')], "line 1: it is no header"),
        "no set": ([head.replace(b'"label_set": "', b'"label_set": "../')], "line 1: it is no header"),
        "deep": ([b"[" * 100_000 + b"\n"], "line 1: it is no JSON"),
        "an act is cut": ([head, mask, acts[0][:-9]], "line 3: it is not what was written"),
        "an act is gone": ([head, mask, acts[1]], "line 3: it is not what was written"),
        "another number": ([head, act_line(n=2)], "line 2: it is act 2, expected is act 1"),
        "to come": ([head, act_line(when="9999-12-31T23:59:59.999999+00:00")], "which is to come"),
        "a mask is missing": ([head, *acts], "it lacks the mask"),
        "a mask of another name": ([head, mask_line(square(), "0" * 32), *acts], "line 2: it shows another mask"),
        "a mask with a path": ([head, mask_line(square(), "../../../etc/x"), *acts], "line 2: it is no mask"),
        "a grey mask": ([head, mask_line(np.zeros((3, 3), np.uint8), "0" * 32)], "line 2: it is .* of mode L"),
        "a large mask": ([head, mask_line(large)], r"line 2: it is \(3, 17\) of mode 1; .* 16 a side"),
        "another format": ([head, mask_line(square(), "0" * 32, "TIFF")], "line 2: it is no PNG file"),
        "no base64": ([head, b'{"mask": "' + b"0" * 32 + b'", "png": "?"}\n'], "line 2: it is no mask"),
        "no png": ([head, b'{"mask": "' + b"0" * 32 + b'", "png": 5}\n'], "line 2: it is no mask"),
        "another image": (
            [head, act_line(image="img-99")],
            "speaks of cat of image 'img-99', which the label set lacks",
        ),
        "a path": ([head, act_line(image="../../x")], "which the label set lacks"),
    }


@pytest.mark.parametrize("case", list(hostile([b"", b"", b"", b""])))
def test_files_of_others_are_refused_before_anything_is_written(case: str, here: Machine, there: Machine) -> None:
    lines, message = hostile(lines_of(there))[case]
    path = here.root / "file.jsonl"
    path.write_bytes(b"".join(lines))
    before = sorted(here.root.rglob("*"))
    with pytest.raises((FormatError, DataError), match=message):
        here.take(path)
    assert sorted(here.root.rglob("*")) == before


def test_a_mask_of_another_size_is_refused(here: Machine, there: Machine) -> None:
    mask = there.review.put_mask(square((5, 5)))
    say(there.review, {CAT0: RowState(mask=mask)})
    with pytest.raises(DataError, match="has a mask of 5 x 5 for cat of image 'img-0', which is 12 x 16"):
        here.take(there.write())


def test_a_review_of_another_set_is_refused_and_carrying_is_named(here: Machine, tmp_path: Path) -> None:
    store, other = published(tmp_path / "other", "b")
    review = Review.open(store.root, other.digest)
    say(review, {CAT0: REJECTED})
    path = tmp_path / "file"
    export_review(review, other.digest, path)
    with pytest.raises(DataError, match=f"labels review {here.set.digest[:12]} --from {other.digest[:12]}"):
        here.take(path)
    with pytest.raises(SpecError, match="is there already"):
        export_review(review, other.digest, path)
    with pytest.raises(FormatError, match="cannot be read"):
        here.take(tmp_path / "none")


def two_sets(root: Path, **changes: object) -> tuple[Store, Manifest, Manifest]:
    store, old = published(root)
    _, new = published(root, "b", **changes)
    return store, old, new


def test_tags_masks_and_notes_are_carried_on(tmp_path: Path) -> None:
    ids = (*(f"img-{k}" for k in range(8)), "img-new")
    tags = np.array(
        [[True, False], [False, True], [True, True], [False, True], [True, False], [False, True]] + [[True] * 2] * 3
    )
    store, old, new = two_sets(tmp_path, ids=ids, tags=tags)
    review = Review.open(tmp_path, old.digest)
    mask = review.put_mask(square())
    said = {
        CAT0: ACCEPTED,
        DOG1: RowState("rejected", mask, "blurred"),
        CAT2: ABSENT,
        ("img-3", "dog"): RowState("missing", mask),
        ("img-4", "dog"): RowState("missing"),
        ("img-5", ""): RowState(note="dark"),
        ("img-8", "cat"): ABSENT,
    }
    say(review, said)
    assert [(each.digest, each.rows) for each in carryable(tmp_path, new.digest)] == [(old.digest, 5)]
    assert carryable(tmp_path, old.digest) == []
    assert f"5 corrections of label set {old.digest[:12]} hold" in carry_hint(tmp_path, new.digest)
    target = Review.open(tmp_path, new.digest)
    say(target, {CAT2: REJECTED})
    found, act = carry(store, new.digest, old.digest, "bob")
    assert act
    assert (act.who, act.what) == ("bob", "carry")
    target.refresh()
    assert target.states == {
        Key(*DOG1): RowState("", mask, "blurred"),
        Key(*CAT2): REJECTED,
        Key("img-3", "dog"): RowState("", mask),
        Key("img-4", "dog"): RowState("missing"),
        Key("img-5", ""): RowState(note="dark"),
    }
    assert found.left == {
        Key(*CAT2): "something else is said of it here",
        Key("img-8", "cat"): "the image is not in this set",
    }
    assert np.array_equal(target.mask(mask), square())
    assert carryable(tmp_path, new.digest) == []
    assert carry(store, new.digest, old.digest, "bob")[1] is None
    target.undo("bob")
    assert target.states == {Key(*CAT2): REJECTED}


def test_what_does_not_hold_for_the_other_set_is_told(tmp_path: Path) -> None:
    store, old, new = two_sets(tmp_path, classes=("cat", "cow"))
    review = Review.open(tmp_path, old.digest)
    mask = review.put_mask(square((5, 5)))
    say(review, {DOG1: ABSENT, CAT0: RowState(mask=mask)})
    found, act = carry(store, new.digest, old.digest, "ada")
    assert act is None
    assert found.left == {
        Key(*DOG1): "this set has no such class",
        Key(*CAT0): "the image has another size on the canvas",
    }
    with pytest.raises(ArtefactNotFoundError, match="nobody said anything"):
        carry(store, old.digest, new.digest, "ada")


def test_a_review_whose_set_is_gone_is_carried_still(tmp_path: Path) -> None:
    import shutil

    store, old, new = two_sets(tmp_path)
    say(Review.open(tmp_path, old.digest), {CAT0: ABSENT})
    shutil.rmtree(store.folder(old.ref))
    assert reviewed_digest(tmp_path, old.digest[:6]) == old.digest
    with pytest.raises(ArtefactNotFoundError, match="does not exist among the reviews"):
        reviewed_digest(tmp_path, new.digest[:6])
    assert carry(store, new.digest, old.digest, "ada")[0].rows == {Key(*CAT0): ABSENT}


def test_another_photograph_of_the_same_name_takes_nothing(tmp_path: Path) -> None:
    store, old, new = two_sets(tmp_path, shard_images=9)
    review = Review.open(tmp_path, old.digest)
    say(review, {("img-5", "dog"): ABSENT})  # whose pixels the test's sets tell by the number of the shard
    assert carry(store, new.digest, old.digest, "ada")[0].left == {Key("img-5", "dog"): "the photograph is another one"}


def test_scripts_say_one_of_few_words_of_rows_that_there_are(here: Machine) -> None:
    rows, review = SetRows(opened(here.store, here.set)), here.review
    say_of_row(review, rows, "ada", "reject", Key(*CAT0), "blurred")
    say_of_row(review, rows, "ada", "accept", Key(*CAT0))
    assert review.state(*CAT0) == RowState("accepted", "", "blurred")
    say_of_row(review, rows, "ada", "note", Key("img-0", ""), "dark")
    say(review, {CAT0: RowState(mask=review.put_mask(square()))})
    say_of_row(review, rows, "ada", "accept", Key(*CAT0))
    assert review.state(*CAT0).mask
    say_of_row(review, rows, "ada", "reject", Key(*CAT0))
    assert review.state(*CAT0) == RowState("rejected"), "of the painted mask, which does not count any more"
    say_of_row(review, rows, "ada", "clear", Key(*CAT0))
    assert review.states == {Key("img-0", ""): RowState(note="dark")}
    for what, key, message in (
        ("perfect", CAT0, "unknown verdict 'perfect'"),
        ("reject", ("img-0", "dog"), "dog of image 'img-0' has no mask to be rejected: .* say missing"),
        ("missing", CAT0, "cat of image 'img-0' is not missing"),
        ("reject", ("img-0", "cow"), "no class 'cow'"),
        ("reject", ("img-77", "cat"), "image 'img-77' is not in this label set"),
    ):
        with pytest.raises((SpecError, DataError), match=message):
            say_of_row(review, rows, "ada", what, Key(*key))


def test_rows_that_look_sound_are_accepted_at_once(here: Machine) -> None:
    from stores.labels.stats import row_score

    labels, review = opened(here.store, here.set), here.review
    scores, (images, channels) = row_score(labels), labels.index.pairs
    best = np.argsort(-scores)[:3]
    keys = [Key(labels.index.ids[images[row]], labels.index.classes[channels[row]]) for row in best]
    review.act("bob", "reject", [Change(*keys[0], REJECTED, 0)])
    review.act("bob", "note", [Change(*keys[1], RowState(note="good"), 0)])
    act = accept_above(review, SetRows(labels), "ada", float((scores[best[2]] + np.sort(scores)[-4]) / 2))
    assert act
    assert review.states == {
        keys[0]: REJECTED,
        keys[1]: RowState("accepted", "", "good"),
        keys[2]: ACCEPTED,
    }
    assert accept_above(review, SetRows(labels), "ada", 2.0) is None
