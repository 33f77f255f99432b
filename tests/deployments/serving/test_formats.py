"""Which form an answer has."""

from __future__ import annotations

import pytest
from fastapi import HTTPException

from deployments.serving.formats import Format, chosen


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, "json"),
        ("*/*", "json"),
        ("image/png", "png"),
        ("IMAGE/PNG", "png"),
        ("image/*", "png"),
        ("application/json", "json"),
        ("application/json;q=0.5, image/png", "png"),
        ("image/png;q=0.2, */*;q=0.8", "json"),
        ("text/html, image/png;q=0.9, */*;q=0.1", "png"),
        ("application/json;q=0, */*", "png"),
        ("image/png;q=nonsense, application/*", "json"),
    ],
)
def test_what_is_accepted_most_is_answered(accept: str | None, form: Format) -> None:
    assert chosen(None, accept, 1) == form


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "image/png;q=0", "", ",;,"])
def test_what_there_is_not_is_said(accept: str) -> None:
    if not accept:
        assert chosen(None, accept, 1) == "json"
        return
    with pytest.raises(HTTPException, match="406: answers are application/json or image/png"):
        chosen(None, accept, 1)


def test_the_query_wins() -> None:
    assert chosen("overlay", "application/json", 1) == "overlay"
    assert chosen("json", "image/png", 3) == "json"


@pytest.mark.parametrize("asked", ["png", "overlay", None])
def test_several_images_are_no_picture(asked: Format | None) -> None:
    with pytest.raises(HTTPException, match="406: 2 images are answered as JSON"):
        chosen(asked, "image/png", 2)
