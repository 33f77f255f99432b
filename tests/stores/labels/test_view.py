"""Label sets looked at: filters, orders, counts, and what a review says of them."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from stores.artefacts import Manifest, Recipe, Store
from stores.labels.columns import newest_teacher, rows_in, truth_path
from stores.labels.index import LabelIndex
from stores.labels.query import SIZES, STATES, Query
from stores.labels.review import Change, Review, RowState
from stores.labels.view import LabelView
from stores.labels.writer import LabelWriter, ShardRows
from wilss.errors import SpecError
from wilss.measure.columns import COLUMNS

SIDE = 16
CLASSES = ("cat", "dog", "fox")
TAGS = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [0, 1, 1]], bool)
IDS = ("Meadow/1", "house", "sky", "meadow/2")
NUMBERS = {
    "unchanged": [0.9, 0.1, np.nan, 0.5, 0.7],
    "agreement": [0.4, 0.3, np.nan, 0.2, 0.1],
    "area": [0.5, 0.01, np.nan, 0.2, np.nan],
    "fragments": [1, 4, 1, 1, 1],
}
"""Of the rows (0 cat), (0 dog), (1 cat), (3 dog), (3 fox)."""


def masks_of(rows: int) -> np.ndarray:
    """Row k has its first k + 1 lines."""
    dense = np.zeros((rows, SIDE, SIDE), np.uint8)
    for row in range(rows):
        dense[row, : row + 1] = 1
    return np.packbits(dense, axis=-1)


def published(root: Path, ids: tuple[str, ...] = IDS, tags: np.ndarray = TAGS, **recipe: object) -> str:
    """Digest of a set in a store."""
    store = Store(root)
    parents = recipe.pop("parents", {})
    made, of = Recipe("labels", recipe, parents), LabelIndex(ids, CLASSES, tags, SIDE, (4, 4), ("final",))  # type: ignore[arg-type]
    numbers = np.full((of.n_rows, len(COLUMNS)), np.nan, np.float32)
    for name, values in NUMBERS.items():
        numbers[:, COLUMNS.index(name)] = values[: of.n_rows]
    sizes = np.tile(np.array([8, SIDE, 80, 160], np.uint32), (len(ids), 1))
    with store.build(made) as folder:
        rows = ShardRows({"final": masks_of(of.n_rows)}, None, numbers, sizes, sizes)
        LabelWriter.begin(folder, of).write(0, rows)
        store.publish(made, folder, {"rows": of.n_rows}, {"format": 2, "spec": {}, "class_ids": [1, 2, 3]})
    return made.digest


@pytest.fixture
def view(tmp_path: Path) -> LabelView:
    return LabelView.open(tmp_path, published(tmp_path))


def found(view: LabelView, **asked: object) -> list[int]:
    return view.select(Query(**asked)).rows.tolist()  # type: ignore[arg-type]


def say(view: LabelView, image: str, name: str, state: RowState, who: str = "ada") -> None:
    """Somebody else says something of a row."""
    other = Review.open(view.store.root, view.manifest.digest)
    other.act(who, "note", [Change(image, name, state, other.version(image, name))])


def test_the_worst_row_comes_first_and_what_is_unknown_last(view: LabelView) -> None:
    assert found(view) == [1, 3, 4, 0, 2], "0.1 / 2, 0.5, 0.7, 0.9, unknown"
    assert found(view, descending=True) == [0, 4, 3, 1, 2]
    assert found(view, sort="coverage") == [1, 3, 0, 2, 4]
    assert found(view, sort="image", descending=True) == [4, 3, 2, 1, 0]


@pytest.mark.parametrize(
    ("asked", "rows"),
    [
        ({"classes": ("dog", "fox")}, [1, 3, 4]),
        ({"sizes": ("small",)}, [1]),
        ({"sizes": ("small", "large")}, [0, 1, 3]),
        ({"text": "MEADOW"}, [0, 1, 3, 4]),
        ({"text": "sky"}, []),
        ({"ranges": {"agreement": (0.2, 0.3)}}, [1, 3]),
        ({"ranges": {"agreement": (0.0, 0.3)}, "classes": ("dog",), "text": "/2"}, [3]),
        ({"states": STATES}, [0, 1, 2, 3, 4]),
        ({"states": ("accepted", "flagged")}, []),
    ],
)
def test_filters_are_met_together(view: LabelView, asked: dict[str, object], rows: list[int]) -> None:
    assert found(view, **asked, sort="image") == rows


def test_counts_are_those_of_each_choice_with_all_else_as_it_is(view: LabelView) -> None:
    say(view, "house", "cat", RowState("accepted"))
    assert view.refresh()
    chosen = view.select(Query(classes=("cat",), states=("unreviewed",)))
    assert (chosen.rows.tolist(), chosen.total) == ([0], 5)
    assert chosen.classes == {"cat": 1, "dog": 2, "fox": 1}
    assert chosen.states == dict.fromkeys(STATES, 0) | {"unreviewed": 1, "accepted": 1}


@pytest.mark.parametrize(
    "asked",
    [{"classes": ("cow",)}, {"states": ("seen",)}, {"sizes": ("huge",)}, {"ranges": {"iuo": (0, 1)}}, {"sort": "x"}],
)
def test_what_the_set_has_none_of_is_said(view: LabelView, asked: dict[str, object]) -> None:
    with pytest.raises(SpecError, match=r"there is no \w+ '\w+' in this label set"):
        found(view, **asked)


def test_a_row_is_found_by_image_and_channel_and_has_its_mask(view: LabelView) -> None:
    assert [view.row_of(image, channel) for image in range(4) for channel in range(3)] == [
        *(0, 1, -1),
        *(2, -1, -1),
        *(-1, -1, -1),
        *(-1, 3, 4),
    ]
    assert [view.at(row) for row in range(5)] == [(0, 0), (0, 1), (1, 0), (3, 1), (3, 2)]
    mask = view.mask(3)
    assert (mask.shape, int(mask.sum()), bool(mask[3].all())) == ((8, SIDE), 4 * SIDE, True)


def test_what_others_say_is_followed(view: LabelView) -> None:
    sha = Review.open(view.store.root, view.manifest.digest).put_mask(np.ones((8, SIDE), bool))
    said = [
        ("Meadow/1", "cat", RowState("accepted")),
        ("Meadow/1", "dog", RowState("rejected")),
        ("house", "cat", RowState("", sha)),
        ("meadow/2", "dog", RowState("absent", note="it is a fox")),
        ("meadow/2", "cat", RowState("missing")),
    ]
    for each in said:
        say(view, *each)
    assert view.select(Query()).states == dict.fromkeys(STATES, 0) | {"unreviewed": 5}, "nothing was refreshed yet"
    assert view.refresh()
    assert not view.refresh()
    assert view.verdicts.tolist() == [1, 2, 0, 3, 0]
    shown = {state: found(view, states=(state,), sort="image") for state in STATES}
    assert shown == {
        "unreviewed": [4],
        "accepted": [0],
        "rejected": [1],
        "absent": [3],
        "corrected": [2],
        "flagged": [1, 3, 4],  # 4: its image lacks the tag of the cat
    }
    Review.open(view.store.root, view.manifest.digest).undo("ada")
    view.refresh()
    assert found(view, states=("flagged",), sort="image") == [1, 3]
    say(view, "Meadow/1", "", RowState(note="dark"))
    view.refresh()
    assert found(view, states=("flagged",), sort="image") == [0, 1, 3]


def test_a_view_follows_act_by_act_as_one_that_is_opened_anew(tmp_path: Path, view: LabelView) -> None:
    states = [RowState(), RowState("accepted"), RowState("rejected", note="n"), RowState("absent"), RowState("missing")]
    gen = np.random.default_rng(0)
    for _ in range(40):
        name = CLASSES[gen.integers(3)] if gen.random() < 0.8 else ""
        state = RowState(note="x") if not name else states[gen.integers(5)]
        say(view, IDS[gen.integers(4)], name, state, ("ada", "bo")[gen.integers(2)])
        view.refresh()
    fresh = LabelView.open(tmp_path, view.manifest.digest)
    assert found(view, states=("flagged",)) == found(fresh, states=("flagged",)) != []
    assert view.select(Query()).states == fresh.select(Query()).states
    assert view.verdicts.tolist() == fresh.verdicts.tolist()


def test_a_review_that_is_replaced_is_read_anew(view: LabelView) -> None:
    say(view, "house", "cat", RowState("accepted"))
    say(view, "Meadow/1", "dog", RowState("absent"))
    view.refresh()
    acts = view.review.folder / "acts.jsonl"
    acts.rename(acts.with_suffix(".old"))
    say(view, "meadow/2", "fox", RowState("rejected"))
    assert view.refresh()
    assert view.verdicts.tolist() == [0, 0, 0, 0, 2]


def test_a_histogram_counts_by_class_and_passes_over_its_own_range(view: LabelView) -> None:
    seen = view.histogram("agreement", Query(ranges={"agreement": (0.4, 0.5), "area": (0.0, 1.0)}), bins=3)
    assert np.allclose(seen.edges, [0.1, 0.2, 0.3, 0.4])
    assert seen.counts.tolist() == [0, 1, 2], "0.2, then 0.3 and 0.4; 0.1 has no area"
    assert seen.by_class.tolist() == [[0, 0, 1], [0, 1, 1], [0, 0, 0]]
    assert seen.medians[:2].tolist() == pytest.approx([0.4, 0.25])
    assert np.isnan(seen.medians[2])


def test_a_histogram_of_one_value_and_of_none_has_room(view: LabelView) -> None:
    one = view.histogram("fragments", Query(classes=("cat",)), bins=2)
    assert one.counts.tolist() == [2, 0]
    none = view.histogram("iou", Query(), bins=2)
    assert (none.counts.tolist(), none.edges.tolist()) == ([0, 0], [0.0, 0.5, 1.0])


def teacher(store: Store, digest: str) -> Manifest:
    found = newest_teacher(store, digest)
    assert found is not None
    return store.get("labels", found[0].folder.name)


def test_teacher_differences_are_joined_by_image_and_class(tmp_path: Path) -> None:
    digest = published(tmp_path)
    store = Store(tmp_path)
    of = store.get("labels", digest).ref
    tags = np.array([[0, 1, 1], [1, 0, 0]], bool)
    for number in range(2):
        published(tmp_path, ("meadow/2", "house"), tags, parents={"teacher": of, "parent": of}, number=number)
    view = LabelView.open(tmp_path, digest)
    values = view.columns["teacher"]
    assert np.isnan(values[:3]).all(), "two rows of an image that the teacher lacks, one of which it says nothing"
    assert values[3:].tolist() == pytest.approx([0.6, 0.7])
    newest = teacher(store, digest)
    assert newest.recipe == {"number": 1}
    own = LabelView.open(tmp_path, newest.digest)
    assert own.columns["teacher"].tolist() == pytest.approx([0.6, 0.7, np.nan], nan_ok=True)
    assert rows_in(view.labels, own.labels).tolist() == [-1, -1, 2, 0, 1]
    assert rows_in(own.labels, view.labels).tolist() == [3, 4, 2]
    index = store.path("labels", newest.digest) / "index.json"
    whole = index.read_bytes()
    for damaged in (b"[" + whole[1:], None):
        index.unlink() if damaged is None else index.write_bytes(damaged)
        assert teacher(store, digest).recipe == {"number": 0}, "the newest one is damaged"


def test_iou_is_taken_up_when_it_is_computed_and_told_from_what_is_none(view: LabelView) -> None:
    assert not view.columns.known("iou")
    path = truth_path(view.store.root, view.manifest)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\x93NUMPY half of it")
    assert not view.columns.known("iou")
    np.save(path, np.array([0.5, 0.4, np.nan, 0.2, 0.9], np.float32))
    assert found(view, sort="iou") == [3, 1, 0, 4, 2]
    assert found(view, ranges={"iou": (0.4, 0.5)}, sort="image") == [0, 1]
    path.unlink()
    assert not view.columns.known("iou")


def test_sizes_cover_every_share() -> None:
    limits = sorted(SIZES.values())
    assert (limits[0][0], limits[-1][1] > 1) == (0.0, True)
    assert all(one[1] == two[0] for one, two in itertools.pairwise(limits))
