"""Two label sets compared, and a review applied."""

from __future__ import annotations

import io
import json
import re
import sys
from threading import Event

import numpy as np
import pytest
from PIL import Image

from deployments.inspector import against, applying
from deployments.inspector.against import Comparer, Joined, Progress, class_lines
from stores.labels.view import LabelView
from tests.deployments import world
from tests.deployments.conftest import World
from wilss.errors import SpecError


def joined(own: World, first: str, second: str) -> Joined:
    comparer = Comparer(own.root)
    views = (LabelView.open(own.root, own.digests.get(name, name)) for name in (first, second))
    found = comparer.joined(*views)
    comparer.close()
    assert isinstance(found, Joined)
    return found


def test_rows_are_joined_by_image_and_class_and_differ_as_their_masks_do(own: World) -> None:
    found = joined(own, "first", "teacher")
    assert np.allclose(found.iou, [(1 + row) / (3 + row) for row in range(8)])
    assert found.differing.tolist() == list(range(8))
    assert len(found.only_here) == len(found.only_there) == 0


def test_rows_in_another_order_and_of_one_set_alone(own: World) -> None:
    masks = world.masks_of(4)
    other = world.label_set(own.root, masks, ids=("new", "plain"), made="other")
    found = joined(own, "first", other.digest)
    assert found.there[:2].tolist() == [2, 3]
    assert np.allclose(found.iou[:2], [1 / 3, 2 / 4]), "1 and 2 lines against 3 and 4"
    assert found.only_here.tolist() == [2, 3, 4, 5, 6, 7]
    assert found.only_there.tolist() == [0, 1]
    views = [LabelView.open(own.root, digest) for digest in (own.digests["first"], other.digest)]
    lines = class_lines(*views, found)
    assert [(line.both, line.only_here, line.only_there) for line in lines] == [(1, 3, 1), (1, 3, 1)]


def test_two_empty_masks_are_equal(own: World) -> None:
    one, two = (world.label_set(own.root, np.zeros((2, 16, 16), bool), ids=("a",), made=n) for n in "ab")
    assert joined(own, one.digest, two.digest).iou.tolist() == [1, 1]


def test_a_comparison_is_kept_and_a_broken_file_of_it_is_made_again(
    own: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = joined(own, "first", "teacher")
    path = next((own.root / "inspector").rglob("against-*.npy"))
    path.write_bytes(path.read_bytes()[:-3])
    assert np.array_equal(joined(own, "first", "teacher").iou, first.iou)
    monkeypatch.setattr(against, "row_overlaps", None)
    assert np.array_equal(joined(own, "first", "teacher").iou, first.iou), "not computed again"


def test_a_long_comparison_says_how_far_it_is_and_blocks_nothing(own: World, monkeypatch: pytest.MonkeyPatch) -> None:
    going, real = Event(), against.row_overlaps
    monkeypatch.setattr(against, "GLANCE_SECONDS", 0.01)
    monkeypatch.setattr(against, "row_overlaps", lambda *given: going.wait(20) and real(*given))
    pair = "labels/{first}/against/{teacher}".format(**own.digests)
    assert "0 of 1 shards" in own.text(f"/{pair}").replace('<span class="number" id="done">0</span>', "0")
    assert own.browser.get(f"/api/{pair}").json() == {"finished": False, "done": 0, "total": 1}
    assert "Label sets" in own.text("/labels")
    going.set()
    monkeypatch.setattr(against, "GLANCE_SECONDS", 20)
    assert own.browser.get(f"/api/{pair}").json() == {"finished": True}


def test_what_nobody_waits_for_is_given_up() -> None:
    progress = Progress(total=2)
    progress.stopped.set()
    with pytest.raises(against.CancelledError):
        progress.step()


def test_the_difference_is_a_picture_of_three_colours(own: World) -> None:
    answer = own.browser.get("/labels/{first}/against/{teacher}/difference/0".format(**own.digests))
    shown = np.array(Image.open(io.BytesIO(answer.content)))
    assert shown[0, 0] == 3, "both"
    assert shown[2, 0] == 2, "only the second"
    assert shown[5, 0] == 0
    assert own.browser.get("/labels/{first}/against/{teacher}/difference/99".format(**own.digests)).status_code == 404


def test_sets_that_have_nothing_in_common_are_refused(own: World, monkeypatch: pytest.MonkeyPatch) -> None:
    views = [LabelView.open(own.root, own.digests[name]) for name in ("first", "teacher")]
    with monkeypatch.context() as patch:
        patch.setattr(world, "CLASSES", ("fox", "owl"))
        views[1] = LabelView.open(own.root, world.label_set(own.root, world.masks_of(8), made="foxes").digest)
    with pytest.raises(SpecError, match="no class in common"):
        against.require_comparable(*views)
    assert "no class in common" in own.text(
        f"/labels/{views[0].manifest.digest}/against/{views[1].manifest.digest}", 422
    )


@pytest.mark.parametrize(
    ("part", "title"),
    [
        ("both", "Masks that differ"),
        ("first", "Masks only in the first"),
        ("second", "Masks only in the second"),
        ("odd", "Masks that differ"),
    ],
)
def test_parts_classes_and_pages_of_a_comparison(own: World, part: str, title: str) -> None:
    address = "/labels/{first}/against/{teacher}".format(**own.digests)
    text = own.text(f"{address}?part={part}&class=cat&page=7")
    assert f'<h2 id="rows-title">{title}</h2>' in text
    shown = re.findall('strip-caption"><a [^>]*>[^<]*</a> <span>([^<]*)</span>', text)
    assert set(shown) <= {"cat"}
    everything = own.text(f"{address}?part={part}")
    of_all = re.findall('strip-caption"><a [^>]*>[^<]*</a> <span>([^<]*)</span>', everything)
    assert shown == [name for name in of_all if name == "cat"]
    assert ("There is no such mask" in text) == (not shown)
    if title == "Masks that differ":
        assert shown


def test_a_review_is_applied_in_a_process_of_its_own(own: World, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, str]] = []

    async def applied(root: object, digest: str) -> str:
        said.append((str(root), digest))
        return "c" * 32

    monkeypatch.setattr("deployments.inspector.pages.about.applied", applied)
    answer = own.browser.post(f"/api/labels/{own.digests['first'][:12]}/apply", json={})
    assert answer.json() == {"digest": "c" * 32}
    assert said == [(str(own.root), own.digests["first"])]


def test_the_process_applies_and_says_what_it_cannot(own: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert applying.main(str(own.root), own.digests["first"]) == 0
    child = json.loads(capsys.readouterr().out)["digest"]
    text = own.text(f"/labels/{child}/about")
    assert "The review of its parent did: 1 rejected" in text
    assert applying.main(str(own.root), own.digests["teacher"]) == 1
    assert "nobody said anything" in json.loads(capsys.readouterr().out)["problem"]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('print(\'{"problem": "no image is left; take something back"}\')', "no image is left"),
        ("import os; os.kill(os.getpid(), 9)", "its process ended with -9"),
        ("print('noise')", "its process ended with 0"),
    ],
)
def test_what_the_process_says_is_passed_on(
    own: World, tmp_path: object, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    fake = own.root / "python"
    fake.write_text(f"#!{sys.executable}\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    answer = own.browser.post(f"/api/labels/{own.digests['first']}/apply", json={})
    assert answer.status_code == 422
    assert said in answer.json()["problem"]


def test_a_review_that_holds_for_another_set_is_named_there(own: World) -> None:
    about = f"/labels/{own.digests['teacher']}/about"
    assert "hold for this one too" in own.text(about), "a note"
    words = f"wilss labels review {own.digests['teacher'][:12]} --from {own.digests['first'][:12]}"
    assert words in own.text(about)
    world.say(own.root, own.digests["first"], "plain", "cat", world.RowState(), "ada")
    assert words not in own.text(about)


def test_a_comparison_that_fails_later_is_told_and_then_tried_again(
    own: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks how far it is must not be answered for ever by one more comparison that has just begun."""

    def broken(*_: object) -> None:
        raise SpecError("a shard is broken; mend it")

    pair = "labels/{first}/against/{teacher}".format(**own.digests)
    begun = Event()
    monkeypatch.setattr(against, "GLANCE_SECONDS", 0)
    monkeypatch.setattr(against, "row_overlaps", lambda *given: begun.wait(20) and broken(*given))
    assert own.browser.get(f"/api/{pair}").json()["finished"] is False
    comparer = own.browser.app.app.state.desk.against  # type: ignore[attr-defined]
    (job, _), *_ = comparer._jobs.values()
    begun.set()
    assert "a shard is broken" in str(job.exception(20))
    assert "a shard is broken" in own.text(f"/{pair}", 422)
    monkeypatch.undo()
    assert own.browser.get(f"/api/{pair}").json() == {"finished": True}


def test_masks_of_a_set_are_not_kept_for_ever_as_it_may_be_made_anew(seen: World) -> None:
    base = "/labels/{first}".format(**seen.digests)
    for address in (f"{base}/masks/0", f"{base}/against/{seen.digests['teacher']}/difference/0"):
        answer = seen.browser.get(address)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "private, max-age=60", address
