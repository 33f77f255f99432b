"""What a real browser sends, and what it does not lose: any name, a server that was started again, notes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deployments.inspector.desk import Desk
from stores.labels.review import Review
from tests.deployments.painting import Drawn, desk_over, publish, served
from tests.e2e.browser import browser, program

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(program() is None, reason="there is no Chromium"),
]
NOTE = ".row-note input"


@dataclass
class Opened:
    """The page of an image, its server's desk, and the review."""

    page: Any
    desk: Desk
    review: Review

    def saved(self, act: Any) -> Any:
        """Do something that is answered with 200; the acts from then on."""
        with self.page.expect_response(lambda answer: "/api/" in answer.url and answer.ok):
            act()
        self.review.refresh()
        return self.review.acts

    def write(self, note: str) -> None:
        """A note of the first mask, as far as it is typed."""
        self.page.locator(NOTE).first.fill(note)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    digest, desk = publish(tmp_path), desk_over(tmp_path, Drawn(tmp_path))
    with served(desk) as address, browser() as chromium:
        page = chromium.new_page()
        page.goto(f"{address}/labels/{digest}/images/0", wait_until="networkidle")
        yield Opened(page, desk, Review.open(tmp_path, digest))


def test_a_person_may_have_any_name(opened: Opened) -> None:
    opened.desk.who = "Łukasz 王"
    opened.page.reload(wait_until="networkidle")
    acts = opened.saved(lambda: opened.page.keyboard.press("a"))
    assert [act.who for act in acts] == ["Łukasz 王"]


def test_a_page_goes_on_with_a_server_that_was_started_again(opened: Opened) -> None:
    object.__setattr__(opened.desk.access, "token", "of the next server")
    acts = opened.saved(lambda: opened.page.keyboard.press("r"))
    assert [act.what for act in acts] == ["reject"]


def test_a_note_that_is_taken_back_is_not_shown_any_more(opened: Opened) -> None:
    opened.write("blurred")
    opened.saved(lambda: opened.page.keyboard.press("Enter"))
    opened.page.keyboard.press("Escape")
    opened.saved(lambda: opened.page.keyboard.press("u"))
    assert opened.page.locator(NOTE).first.input_value() == ""


def test_a_note_that_is_not_kept_yet_is_asked_for_before_the_page_goes(opened: Opened) -> None:
    asked: list[str] = []
    opened.page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    opened.page.reload()
    assert asked == []
    opened.page.locator(NOTE).first.press("x")
    opened.page.reload()
    assert asked == ["beforeunload"]
