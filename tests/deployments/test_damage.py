"""What is empty, damaged, newer, unfinished or gone: its page says what is wrong, all others work."""

from __future__ import annotations

import html
import json
import shutil
from pathlib import Path

import pytest

from stores.labels.frame import INDEX
from tests.deployments import world
from tests.deployments.conftest import World

LISTS = ("/", "/labels", "/runs", "/comparisons", "/models")


def folder(own: World, name: str, kind: str = "labels") -> Path:
    digest = own.digests[name]
    return own.root / kind / digest[:2] / digest


def said(own: World, address: str, status: int) -> str:
    return html.unescape(own.text(address, status))


def test_an_empty_root_says_what_to_do(tmp_path: Path) -> None:
    empty = World(tmp_path, {}, world.client(tmp_path))
    for address in LISTS:
        assert "empty-state" in empty.text(address), address
    assert "wilss" in empty.text("/")


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("/labels/ffff", 404, "does not exist"),
        ("/labels/ffff/about", 404, "does not exist"),
        ("/models/ffff", 404, "does not exist"),
        ("/artefacts/pies/ffff", 404, "there is no kind 'pies'"),
        ("/runs/other", 404, "there is no report 'other'"),
        ("/comparisons/other", 404, "there is no report 'other'"),
        ("/nothing", 404, "there is no such page"),
        ("/labels/{first}/about?page=0", 422, "there is no page '0'"),
        (f"/labels/{{first}}?page={'9' * 5000}", 422, "there is no page '999"),
        ("/labels/..%2F..", 404, ""),
        (f"/runs/{'x' * 4000}", 404, "there is no report"),
        ("/runs/%ff%00", 404, "there is no report"),
    ],
)
def test_what_is_not_there(seen: World, address: str, status: int, words: str) -> None:
    text = html.unescape(seen.text(address.format(**seen.digests), status))
    assert words in text


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def lose_shard(own: World) -> None:
    next(path for path in folder(own, "first").rglob("*") if path.is_file() and "final" in str(path)).unlink()


def flip_numbers(own: World) -> None:
    flip(next(path for path in folder(own, "first").rglob("*") if path.is_file() and "quality" in str(path.parent)))


def flip_manifest(own: World) -> None:
    flip(folder(own, "first") / "manifest.json")


def newer(own: World) -> None:
    from wilss.damage import seal_of

    path = folder(own, "first") / "manifest.json"
    content = {**json.loads(path.read_text()), "format": 99}
    path.write_text(json.dumps({**content, "seal": seal_of(content)}))


def cut_review(own: World) -> None:
    path = own.root / "reviews" / own.digests["first"] / "acts.jsonl"
    flip(path)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lose_shard, "is damaged"),
        (flip_numbers, "is damaged"),
        (flip_manifest, "is damaged"),
        (newer, "format"),
        (cut_review, "acts.jsonl"),
    ],
)
def test_a_damaged_label_set_says_so_and_the_rest_works(own: World, damage: object, words: str) -> None:
    damage(own)  # type: ignore[operator]
    answers = [own.browser.get(f"/labels/{own.digests['first']}{end}") for end in ("", "/about")]
    assert {answer.status_code for answer in answers} <= {422, 500}
    for answer in answers:
        text = html.unescape(answer.text)
        assert 'class="problem"' in text
        assert words in text
        assert "; " in text.split('class="problem">')[1].split("</p>")[0], "what is wrong; what to do"
    for address in (
        *LISTS,
        f"/labels/{own.digests['teacher']}",
        f"/labels/{own.digests['teacher']}/about",
        "/runs/mine",
    ):
        own.text(address)


def test_a_label_set_that_is_not_finished_says_so(own: World) -> None:
    (own.root / "labels" / f".staging-{'ab' * 16}").mkdir()
    assert "is not finished" in own.text("/labels")
    assert "start the same run again" in said(own, f"/labels/{'ab' * 16}", 404)


def test_photographs_that_were_moved_leave_the_masks(own: World) -> None:
    address = f"/labels/{own.digests['first']}"
    assert "/masks/0" in own.text(f"{address}/images/0")
    assert own.browser.get(f"{address}/pictures/image/0").status_code == 404
    assert own.browser.get(f"{address}/masks/0").status_code == 200


@pytest.mark.parametrize(
    "record", ["runs/mine/report.json", "fewshot/few/fewshot.json", "comparisons/both/compare.json"]
)
def test_a_damaged_report_says_so_and_the_rest_works(own: World, record: str) -> None:
    path = own.root / record
    flip(path)
    address = f"/{'comparisons' if 'comparisons' in record else 'runs'}/{path.parent.name}"
    text = said(own, address, 500)
    assert "run again to write it anew" in text
    for other in {*LISTS, "/runs/mine", "/comparisons/models"} - {address}:
        own.text(other)
    assert "is damaged" in own.text("/")


def test_a_report_that_is_gone_is_told_by_its_page(own: World) -> None:
    (own.root / "runs/mine/report.json").unlink()
    assert "it is gone" in said(own, "/runs/mine", 500)
    assert "it is gone" in html.unescape(own.text("/runs"))


def test_a_record_without_scores_is_refused_in_words(own: World) -> None:
    record = world.run_report("bare").model_copy(update={"steps": ()})
    world.write(own.root, "runs/bare/report.json", record)
    assert "tells no scores of its steps" in said(own, "/runs/bare", 422)
    own.text("/runs")


def test_a_model_whose_card_is_damaged_shows_the_rest(own: World) -> None:
    flip(folder(own, "checkpoint 1", "checkpoints") / "card.json")
    text = html.unescape(own.text(f"/models/{own.digests['checkpoint 1']}"))
    assert "is damaged" in text
    assert "Recipe" in text
    assert "is damaged" in html.unescape(own.text("/runs/mine"))


def test_an_artefact_that_was_removed_disappears_and_a_new_one_comes(own: World) -> None:
    assert own.digests["teacher"][:12] in own.text("/labels")
    shutil.rmtree(folder(own, "teacher"))
    assert own.digests["teacher"][:12] not in own.text("/labels")
    made = world.label_set(own.root, world.masks_of(8), made="new")
    assert made.digest[:12] in own.text("/labels")


def test_an_image_is_shown_without_the_masks_of_a_teachers_set_that_is_damaged(own: World) -> None:
    flip(folder(own, "teacher") / INDEX)
    own.text("/labels/{teacher}".format(**own.digests), 500)
    assert 'data-pane="teacher"' not in own.text("/labels/{first}/images/1".format(**own.digests))
