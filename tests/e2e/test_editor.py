"""Masks corrected by hand in a real browser: every tool, strokes taken back, two people, a server that is gone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stores.labels.review import Change, Review
from tests.deployments.painting import Drawn, desk_over, publish, served, state
from tests.e2e.browser import browser, problems, program

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(program() is None, reason="there is no Chromium"),
]
SIZE = (40, 60)
Point = tuple[float, float]


@dataclass
class Paper:
    """The page of one image, with the editor open."""

    page: Any
    root: Path
    digest: str

    def at(self, point: Point) -> Point:
        """A place on the screen, of a pixel (x, y)."""
        box = self.page.locator(".editor-stage").bounding_box()
        return box["x"] + point[0] * box["width"] / SIZE[1], box["y"] + point[1] * box["height"] / SIZE[0]

    def drag(self, *points: Point, button: str = "left") -> None:
        self.page.mouse.move(*self.at(points[0]))
        self.page.mouse.down(button=button)
        for point in points[1:]:
            self.page.mouse.move(*self.at(point), steps=5)
        self.page.mouse.up(button=button)

    def click(self, *points: Point) -> None:
        for point in points:
            self.page.mouse.click(*self.at(point))

    def touch(self, *steps: Sequence[Point]) -> None:
        """Fingers at these pixels, step by step; then they are lifted."""
        screen, fingers = self.page.context.new_cdp_session(self.page), 0
        for points in steps:
            places = [dict(zip("xy", self.at(point), strict=True), id=place) for place, point in enumerate(points)]
            kind = "touchStart" if len(points) > fingers else "touchMove"
            screen.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})
            fingers = len(points)
        screen.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def kept(self, acts: int, name: str = "cat") -> np.ndarray:
        """The painted mask, once the review has this many acts; of no pixels where nothing is painted."""
        review = Review.open(self.root, self.digest)
        for _ in range(100):
            self.page.wait_for_timeout(50)
            review.refresh()
            if review.last >= acts:
                break
        assert review.last == acts
        self.page.wait_for_selector('.editor-status:text-is("Saved")')
        mask = review.state("both", name).mask
        return review.mask(mask) if mask else np.zeros((0, 0), bool)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as opened:
        yield opened


@pytest.fixture
def paper(chromium: Any, tmp_path: Path) -> Iterator[Paper]:
    digest = publish(tmp_path, 64, SIZE)
    with served(desk_over(tmp_path, Drawn(tmp_path, SIZE))) as address:
        context = chromium.new_context(viewport={"width": 1280, "height": 900}, has_touch=True)
        page, wrong = context.new_page(), []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(f"{address}/labels/{digest}/images/0", wait_until="networkidle")
        page.keyboard.press("e")
        page.wait_for_selector('.editor-status:text-is("Saved")')
        yield Paper(page, tmp_path, digest)
        context.close()
        assert wrong == []


def test_brush_and_eraser_change_what_they_pass_over_and_nothing_else(paper: Paper) -> None:
    paper.page.locator("#brush-size").fill("4")
    paper.drag((10, 20), (50, 20))
    mask = paper.kept(1)
    assert mask[0].all(), "the row's own mask is where it begins"
    assert mask[18:22, 10:50].all()
    assert not mask[23:].any()
    assert not mask[2:17].any()
    paper.press("d")
    paper.drag((30, 10), (30, 30))
    erased = paper.kept(2)
    assert not erased[10:30, 28:32].any()
    assert np.array_equal(erased[:, :27], mask[:, :27])
    assert paper.kept(2, "dog").size == 0, "another class is not touched"


def test_strokes_are_undone_and_done_again(paper: Paper) -> None:
    paper.drag((10, 20), (20, 20))
    first = paper.kept(1)
    paper.drag((40, 30), (50, 30))
    second = paper.kept(2)
    paper.press("Control+z")
    assert np.array_equal(paper.kept(3), first)
    paper.press("u")
    assert paper.kept(4).size == 0, "nothing is said of the row, as before"
    paper.press("Control+Shift+Z", "U", "U")
    assert np.array_equal(paper.kept(6), second)


def test_a_polygon_is_dropped_closed_and_subtracted(paper: Paper) -> None:
    corners = ((10, 10), (50, 10), (50, 30), (10, 30))
    paper.press("p")
    paper.click(*corners)
    paper.press("Escape")
    paper.click(*corners)
    paper.press("Enter")
    mask = paper.kept(1)
    assert mask[11:29, 11:49].all()
    assert mask[2:].sum() == 20 * 40
    paper.press("s")
    paper.click((20, 15), (40, 15), (40, 25))
    paper.page.mouse.dblclick(*paper.at((20, 25)))
    assert mask.sum() - paper.kept(2).sum() == 10 * 20


def test_one_click_marks_what_is_like_it(paper: Paper) -> None:
    """The affinity falls by 8 of 255 with each column."""
    paper.press("g")
    paper.page.locator("#threshold").fill("80")  # 204 of 255: columns 0 to 6
    paper.click((3, 20))
    paper.page.wait_for_selector('[data-edit="apply"]:not([disabled])')
    paper.page.locator("#threshold").fill("90")  # 230: columns 0 to 3
    paper.press("Enter")
    mask = paper.kept(1)
    assert mask[1:, :4].all()
    assert not mask[1:, 4:].any()


def test_holes_are_filled(paper: Paper) -> None:
    paper.page.locator("#brush-size").fill("2")
    paper.drag((10, 10), (40, 10), (40, 30), (10, 30), (10, 10))
    paper.kept(1)
    paper.press("m")
    assert paper.kept(2)[9:31, 10:40].all()


def test_what_is_zoomed_is_drawn_where_it_is_seen(paper: Paper) -> None:
    paper.page.mouse.move(*paper.at((30, 20)))
    for _ in range(3):
        paper.page.mouse.wheel(0, -200)
    paper.drag((30, 20), (20, 20), button="middle")
    paper.page.locator("#brush-size").fill("1")
    paper.click((30, 20))
    scale = 1.15**3
    x = 30 + 10 / scale
    assert np.argwhere(paper.kept(1)[1:])[:, 1].mean() == pytest.approx(x - 0.5, abs=1)


def test_one_finger_draws_and_two_move_what_is_seen(paper: Paper) -> None:
    paper.touch([(30, 10)], [(30, 20)], [(30, 30)])
    mask = paper.kept(1)
    assert mask[10:30, 30].all()
    apart = [[(28.0 - k, 20.0 - k), (32.0 + k, 20.0 + k)] for k in range(9)]
    paper.touch([(28, 20)], *apart)
    moved = paper.page.locator(".editor-stage .pane-stack").evaluate("stack => stack.style.transform")
    begun, ended = (np.hypot(*(np.subtract(b, a) * 10)) for a, b in (apart[0], apart[-1]))
    assert float(moved.split("(")[1].split(")")[0]) == pytest.approx(float(ended / begun), rel=0.1)
    assert np.array_equal(paper.kept(1), mask), "what the first finger began is dropped"


def test_a_class_that_the_image_lacks_is_painted(paper: Paper, chromium: Any) -> None:
    paper.page.goto(paper.page.url.replace("/images/0", "/images/1"), wait_until="networkidle")
    paper.page.locator("#missing button").click()
    paper.page.wait_for_selector("#rows li:nth-child(2)")
    paper.press("2", "e")
    paper.page.wait_for_selector('.editor-title:text-is("dog")')
    paper.drag((10, 20), (50, 20))
    paper.kept(2)
    said, _ = state(paper.root, paper.digest, "one cat", "dog")
    assert (said.verdict, bool(said.mask)) == ("missing", True)


def test_what_somebody_else_did_is_told_before_it_is_painted_over(paper: Paper) -> None:
    review = Review.open(paper.root, paper.digest)
    painted = np.zeros(SIZE, bool)
    painted[30:] = True
    said, version = state(paper.root, paper.digest, "both", "cat")
    other = review.put_mask(painted)
    review.act("bob", "paint", [Change("both", "cat", type(said)(mask=other), version)])
    paper.drag((10, 20), (50, 20))
    paper.page.wait_for_selector(".editor-notice:has-text(\"'bob' changed cat\")")
    assert state(paper.root, paper.digest, "both", "cat")[0].mask == other
    paper.page.locator('[data-edit="mine"]').click()
    mine = paper.kept(2)
    assert mine[20, 10:50].all()
    assert not mine[30:].any()


def test_nothing_drawn_is_lost_when_the_server_is_gone(paper: Paper) -> None:
    paper.page.route("**/api/**", lambda route: route.abort())
    paper.drag((10, 20), (50, 20))
    paper.page.wait_for_selector(".editor-notice:has-text('not saved')")
    asked: list[str] = []

    def stay(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    paper.page.once("dialog", stay)
    paper.press("j")
    for _ in range(100):
        paper.page.wait_for_timeout(50)
        if asked:
            break
    assert asked == ["beforeunload"]
    paper.page.once("dialog", lambda dialog: dialog.accept())
    paper.page.unroute("**/api/**")
    paper.page.reload(wait_until="networkidle")
    paper.press("e")
    assert paper.kept(1)[20, 10:50].all(), "it is put back when the editor is opened again"


def test_the_next_image_waits_until_all_is_kept(paper: Paper) -> None:
    paper.page.route("**/api/**", lambda route: (paper.page.wait_for_timeout(400), route.continue_()))
    paper.drag((10, 20), (50, 20))
    paper.press("j")
    paper.page.wait_for_url("**/images/1")
    assert state(paper.root, paper.digest, "both", "cat")[1] == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_can_be_used_on_a_telephone(paper: Paper, theme: str) -> None:
    paper.page.emulate_media(color_scheme=theme)
    paper.page.set_viewport_size({"width": 390, "height": 844})
    assert problems(paper.page) == []
    paper.page.locator(".editor-stage").scroll_into_view_if_needed()
    paper.page.touchscreen.tap(*paper.at((30, 20)))
    assert paper.kept(1)[18:22, 28:32].all()
