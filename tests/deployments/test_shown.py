"""Pictures of a report's page are taken out of it as data."""

from __future__ import annotations

import base64
from pathlib import Path

from PIL import Image

from deployments.inspector.shown import Served, galleries_of, served
from tests.deployments import world
from tests.deployments.conftest import World
from wilss.data.palette import ClassLook, class_look
from wilss.report.charts import Confused
from wilss.report.gallery import Gallery, Strip, Tile, tile
from wilss.report.records import LabelEntry
from wilss.report.run import Drawn, run_page

LOOKS = (*(class_look(number, f"class {number}") for number in range(1, 30)), ClassLook(world.EVIL, (1, 2, 3), ""))
PICTURES = tuple(tile(f"view {n} {world.EVIL}", Image.new("RGB", (30, 20), (n, 9, 9))) for n in range(3))
LABELS = Gallery(
    "Pseudo-labels of step 1", (Strip("first", PICTURES), Strip("b & c", (PICTURES[0], Tile("none")))), LOOKS
)
PREDICTIONS = Gallery("Predictions", (Strip("last", PICTURES),), LOOKS[:3], "a note")


def page_of(path: Path) -> Path:
    entry = LabelEntry(digest="ab", step=1, iou={"final": 0.5})
    drawn = Drawn(LABELS, PREDICTIONS, {"base": [{"loss": 1.0}]}, Confused(("background", "cat"), ((1, 0), (0, 1))))
    report = world.run_report("mine", {}, (entry,)).model_copy(update={"spec": {"data": {"eval_crop": None}}})
    path.write_text(run_page(report, drawn, []))
    return path


def test_galleries_come_back_as_they_were_drawn(tmp_path: Path) -> None:
    labels, predictions = galleries_of(page_of(tmp_path / "report.html"))
    assert labels == LABELS
    assert predictions == Gallery("Predictions", PREDICTIONS.strips, LOOKS[:3])


def test_a_runs_page_shows_them_at_addresses_of_their_own(own: World) -> None:
    page_of(own.root / "runs/mine/report.html")
    text = own.text("/runs/mine")
    assert "data:image" not in text
    address = next(part for part in text.split('"') if "/pictures/" in part and part.endswith("/3"))
    answer = own.browser.get(address)
    assert (answer.headers["content-type"], answer.content) == ("image/png", PICTURES[0].data)
    assert own.browser.get(address.removesuffix("3") + "99").status_code == 404
    assert "not known" in text, "the view without a picture"


def test_what_is_no_picture_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    text = base64.b64encode(b"<svg onload=alert(1)>").decode()
    sources = (
        "javascript:alert(1)",
        "https://elsewhere/x.png",
        "data:image/svg+xml;base64,aaaa",
        f"data:image/png;base64,{text}",
        "data:image/png;base64,a",
    )
    tiles = "".join(f'<figure class="tile"><img width="3" height="4" src="{src}"></figure>' for src in sources)
    path.write_text(f'<h2>t</h2><div class="gallery"><div class="strip"><div class="tiles">{tiles}</div></div></div>')
    (gallery,) = galleries_of(path)
    assert gallery.strips[0].tiles == (Tile(""),) * 5


def test_a_page_that_is_odd_or_gone_has_none(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    assert galleries_of(path) == []
    for content in (
        b"\xff\xfe",
        b"<figure></figure></div></li></h2>",
        b'<div class="gallery"><div class="strip">' * 500,
    ):
        path.write_bytes(content)
        assert galleries_of(path) == []


def test_addresses_are_counted_over_all_galleries() -> None:
    found = served([LABELS, PREDICTIONS], "/p")
    tiles = [tile for gallery in found for strip in gallery.strips for tile in strip.tiles]
    assert [one.address for one in tiles] == [f"/p/{n}" for n in range(8)]
    assert all(isinstance(one, Served) for one in tiles)
