"""A reviewer at work in a real browser: label set, images, keys, brush, apply, and a student that learns from it."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from stores.labels.review import Review
from stores.labels.view import LabelView
from tests.e2e.browser import Seen, browser, page_of, problems, program
from tests.e2e.inspected import Server, Watched, served, start, wilss
from tests.pace import wait_for

RUN = ("scenes-15-5", "--preset", "tiny")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("inspector"),
    pytest.mark.skipif(program() is None, reason="no Chromium on this machine: install it to test the pages"),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with one small run."""
    root = tmp_path_factory.mktemp("inspected")
    wilss("run", *RUN, "--root", root)
    return root


@pytest.fixture(scope="module")
def digest(root: Path) -> str:
    """The co-segmented label set of the run."""
    (report,) = (root / "runs").glob("*/report.json")
    found: str = json.loads(report.read_text())["artefacts"]["labels 1"]
    return found


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[Server]:
    with served(root, "--who", "ada") as server:
        yield server


@pytest.fixture(scope="module")
def opened() -> Iterator[Any]:
    with browser() as opened:
        yield opened


@pytest.fixture
def page(opened: Any, server: Server) -> Iterator[Watched]:
    """A page of a browser; nothing may have gone wrong on it by the end."""
    context = opened.new_context(viewport={"width": 1280, "height": 900})
    watched = Watched(context.new_page(), server.address)
    yield watched
    context.close()
    assert watched.wrong == []


def shown(page: Watched, name: str) -> list[str]:
    return [tile.get_attribute(f"data-{name}") for tile in page.page.locator("#tiles > li").all()]


def test_browse_filter_sort_and_open(page: Watched, root: Path, digest: str) -> None:
    view = LabelView.open(root, digest)
    page.open("/")
    page.page.locator(f'a[href="/labels/{digest}"]').first.click()
    page.ready()
    score = view.columns["score"]
    rows = [int(row) for row in shown(page, "row")]
    assert rows == [int(row) for row in score.argsort(kind="stable")[: len(rows)]]
    first = page.page.locator("#tiles li:first-child img")
    wait_for(lambda: all(image.evaluate("e => e.naturalWidth") for image in first.all()), 60, "pictures")
    name = view.labels.index.classes[0]
    with page.page.expect_navigation():
        page.page.locator(f'input[name="class"][value="{name}"]').check()
    assert set(shown(page, "channel")) == {"0"}
    with page.page.expect_navigation():
        page.page.locator("#sort").select_option("coverage")
    area = [float(view.columns["coverage"][int(row)]) for row in shown(page, "row")]
    assert area == sorted(area)
    page.page.locator("#tiles a").first.click()
    page.page.wait_for_selector("#viewer")
    page.ready()
    assert page.page.locator('[data-pane="refined"] .pane-layer').count() >= 1
    wait_for(
        lambda: page.page.locator('[data-pane="truth"] .pane-layer').first.evaluate("e => e.naturalWidth"),
        60,
        "pictures",
    )


def test_ten_images_by_keys_alone_and_back_again(page: Watched, root: Path, digest: str) -> None:
    page.open(f"/labels/{digest}")
    keyboard = page.page.keyboard
    for _ in range(60):  # to the first tile by Tab alone
        keyboard.press("Tab")
        if page.page.evaluate("document.activeElement.classList.contains('tile-link')"):
            break
    keyboard.press("Enter")
    page.page.wait_for_selector("#viewer")
    page.ready()
    verdicts = ["a", "r", "x", "a", "a", "r", "a", "x", "a", "a"]
    before = Review.open(root, digest).last
    for number, key in enumerate(verdicts):
        page.saved(lambda key=key: keyboard.press(key), "/acts")
        if number + 1 < len(verdicts):
            with page.page.expect_navigation():
                keyboard.press("j")
    review = Review.open(root, digest)
    words = {"a": "accept", "r": "reject", "x": "absent"}
    assert [act.what for act in review.since(before)] == [words[key] for key in verdicts]
    assert {act.who for act in review.since(before)} == {"ada"}
    assert len({act.changes[0].image for act in review.since(before)}) == 10
    states = dict(review.states)
    for _ in range(3):
        page.saved(lambda: keyboard.press("u"), "/undo")
    for _ in range(3):
        page.saved(lambda: keyboard.press("Shift+U"), "/redo")
    review.refresh()
    assert dict(review.states) == states
    assert [act.what for act in review.since(before + 10)] == ["undo"] * 3 + ["redo"] * 3


def test_zoom_and_hidden_classes_stay_at_the_next_image(page: Watched, digest: str) -> None:
    page.open(f"/labels/{digest}/images/0")
    for _ in range(4):
        page.page.keyboard.press("+")
    page.page.locator("#opacity").fill("30")
    sight = page.page.evaluate("document.querySelector('.panes .pane-stack').style.transform")
    assert "scale(2.4" in sight
    page.open(f"/labels/{digest}/images/1")
    assert page.page.evaluate("document.querySelector('.panes .pane-stack').style.transform") == sight
    assert page.page.locator("#opacity").input_value() == "30"


def test_a_stroke_of_the_brush_is_kept_and_taken_back(page: Watched, root: Path, digest: str) -> None:
    view = LabelView.open(root, digest)
    page.open(f"/labels/{digest}/images/3")
    item = page.page.locator("#rows > li").first
    channel = int(item.get_attribute("data-channel") or -1)
    box = page.editor()
    page.page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.5)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.5, steps=8)
    answer = page.saved(page.page.mouse.up, "/paint/")
    mask = view.review.mask(answer["rows"][0]["mask"])
    before = view.mask(view.row_of(3, channel))
    assert mask.shape == before.shape
    added = mask & ~before
    height, width = mask.shape
    assert mask[height // 2, round(width * 0.35) : round(width * 0.65)].all()
    assert not (before & ~mask).any()
    assert added.sum() < 0.5 * mask.size
    undone = page.saved(lambda: page.page.keyboard.press("Control+z"))
    assert undone["rows"][0]["mask"] != answer["rows"][0]["mask"]


def test_a_click_marks_a_region(page: Watched, root: Path, digest: str) -> None:
    view = LabelView.open(root, digest)
    row = int(view.columns["coverage"].argmax())
    image, _ = view.at(row)
    before = view.mask(row)
    height, width = before.shape
    (y, x) = (~before).nonzero()[0][0], (~before).nonzero()[1][0]
    page.open(f"/labels/{digest}/images/{image}")
    box = page.editor()
    page.page.keyboard.press("g")
    page.page.mouse.click(box["x"] + box["width"] * (x + 0.5) / width, box["y"] + box["height"] * (y + 0.5) / height)
    page.page.wait_for_selector('#editor [data-edit="apply"]:enabled')
    answer = page.saved(lambda: page.page.keyboard.press("Enter"), "/paint/")
    mask = view.review.mask(answer["rows"][0]["mask"])
    assert mask[y, x]
    assert not (before & ~mask).any()
    page.saved(lambda: page.page.keyboard.press("Control+z"))


def test_a_set_is_sorted_by_its_iou_with_the_truth(page: Watched, root: Path, digest: str) -> None:
    page.open(f"/labels/{digest}")
    with page.page.expect_navigation(url="**sort=iou", timeout=60_000):
        page.page.locator('[data-do="truth"]').click()
    iou = LabelView.open(root, digest).columns["iou"]
    assert not any(iou != iou)
    rows = [int(row) for row in shown(page, "row")]
    assert [float(iou[row]) for row in rows] == sorted(float(value) for value in iou)[: len(rows)]


def test_the_chosen_look_stays_on_the_next_page(page: Watched) -> None:
    page.open("/")
    before = page.page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.page.locator("#theme").click()
    chosen = page.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert chosen != before
    page.open("/labels")
    assert page.page.evaluate("getComputedStyle(document.body).backgroundColor") == chosen


def test_reading_works_without_scripts(opened: Any, server: Server, digest: str) -> None:
    for path in ("/", "/labels", f"/labels/{digest}", f"/labels/{digest}/images/0", "/runs", f"/labels/{digest}/about"):
        with page_of(opened, Seen("plain", 1280, "light"), server.address + path, script=False) as plain:
            assert plain.locator("h1").inner_text()
            assert not plain.locator("button[data-act]:visible").count(), path
    sorted_by_area = f"{server.address}/labels/{digest}?sort=coverage"
    with page_of(opened, Seen("plain", 1280, "light"), sorted_by_area, script=False) as plain:
        assert plain.locator("#tiles > li").count()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_can_be_read_by_everybody(opened: Any, server: Server, digest: str, width: int, theme: str) -> None:
    run = httpx.get(f"{server.address}/runs").text.split('href="/runs/')[1].split('"')[0]
    of_set = [f"/labels/{digest}{rest}" for rest in ("", "/images/0", "/about")]
    wrong = []
    for path in ["/", "/labels", *of_set, f"/runs/{run}", "/models", "/nothing"]:
        with page_of(opened, Seen("page", width, theme), server.address + path) as page:
            wrong += [f"{path}: {problem}" for problem in problems(page)]
    assert wrong == []


def test_apply_and_learn_from_it(page: Watched, root: Path, digest: str) -> None:
    page.open(f"/labels/{digest}/images/5")
    page.saved(lambda: page.page.keyboard.press("r"), "/acts")
    page.open(f"/labels/{digest}")
    with page.page.expect_navigation(timeout=60_000):
        page.page.locator('[data-do="apply"]').click(timeout=60_000)
    child = page.page.url.split("/labels/")[1].split("/")[0]
    assert child != digest
    printed = wilss("step", "scenes-15-5", "--step", "1", "--preset", "tiny", "--labels", "reviewed", "--root", root)
    assert "report: " in printed
    reports = [json.loads(path.read_text()) for path in (root / "runs").glob("*/report.json")]
    (run,) = [r["run"] for r in reports if child in [entry["digest"] for entry in r["label_sets"]]]
    states = Review.open(root, digest).states.values()
    rejected = sum(state.verdict == "rejected" and not state.mask for state in states)
    assert rejected
    page.open("/runs")
    page.page.locator(f'a[href="/runs/{run}"]').first.click()
    page.page.wait_for_load_state()
    assert f"{rejected} rejected" in page.page.content()


@pytest.mark.parametrize("kills", [6, pytest.param(50, marks=pytest.mark.whole)])
def test_kills_lose_nothing_that_was_acknowledged(root: Path, digest: str, kills: int) -> None:
    chance, acknowledged = random.Random(kills), 0
    view = LabelView.open(root, digest)
    for _ in range(kills):
        said = _act_until_killed(start(root, "--who", "bob"), digest, chance)
        by_number = {act.n: act for act in Review.open(root, digest).acts}
        for n, image, what in said:
            assert by_number[n].what == what
            assert by_number[n].changes[0].image == view.labels.index.ids[image]
        acknowledged += len(said)
    assert acknowledged >= kills


def _act_until_killed(server: Server, digest: str, chance: random.Random) -> list[tuple[int, int, str]]:
    """Verdicts one after the other, until the server is gone: number, image and verdict of each that it answered."""
    view = LabelView.open(server.root, digest)
    token = httpx.get(f"{server.address}/labels").text.split('name="wilss-token" content="')[1].split('"')[0]
    said: list[tuple[int, int, str]] = []
    before, seen = chance.randrange(1, 6), dict[tuple[int, int], int]()
    with httpx.Client(base_url=server.address, headers={"x-wilss-token": token}, timeout=60) as client:
        while True:
            if len(said) == before:  # in the middle of the next one, or of what comes behind it
                threading.Timer(chance.uniform(0, 0.02), server.kill).start()
            image, channel = view.at(chance.randrange(len(view)))
            key = view.labels.index.ids[image], view.labels.index.classes[channel]
            version = seen.get((image, channel), view.review.version(*key))
            what = chance.choice(["accept", "reject", "clear"])
            try:
                body = {"what": what, "rows": [[image, channel, version]]}
                answer = client.post(f"/api/labels/{digest}/acts", json=body)
            except httpx.TransportError:
                server.process.wait(30)
                return said
            assert answer.status_code == 200, answer.text
            seen[image, channel] = answer.json()["n"]
            said.append((answer.json()["n"], image, what))
