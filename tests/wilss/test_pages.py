"""Pages: escaped, whole in one file, with what they were made with."""

from __future__ import annotations

import re
from html import escape
from html.parser import HTMLParser

import pytest
from PIL import Image

from wilss.data.palette import class_look
from wilss.report import fewshot
from wilss.report.charts import Confused
from wilss.report.comparison import comparison_page
from wilss.report.fewshot_records import FewShotComparisonReport
from wilss.report.gallery import Gallery, Strip, Tile, tile
from wilss.report.records import (
    ComparisonReport,
    LabelEntry,
    Means,
    RunEntry,
    RunReport,
    Scored,
    StepEntry,
    Table,
    WordsUsed,
)
from wilss.report.run import Drawn, run_page
from wilss.report.svf import svf_page

EVIL = "<script>alert(1)</script>"
FACTS = {
    "device": "cpu",
    "command": f"wilss run {EVIL}",
    "versions": {"torch": "2.9"},
    "sources": {"voc": f"/data/{EVIL}"},
    "spec": {"preset": "tiny", "label_sets": {}, "start": None, "step": {"epochs": 3}, "data": {"eval_crop": None}},
}
PICTURES = Gallery(
    EVIL,
    (Strip(EVIL, (tile(EVIL, Image.new("RGB", (30, 20))), Tile(EVIL))),),
    (class_look(1, EVIL), class_look(16, EVIL)),
    EVIL,
)
HISTORIES = {EVIL: [{EVIL: 0.5, "other": 0.2}, {EVIL: 0.25}]}
WORDS = WordsUsed(
    classes={EVIL: (EVIL,), "sheep": ("sheep", "ram")},
    old={"cow": ("cow",)},
    background=("sky",),
    dropped={"sign": EVIL},
)
MEANS = Means(old=0.5, new=None, all=0.25)
TABLE = Table(key="full-C", title=EVIL, columns=("old",), rows=((EVIL, ("50.0",)),))


def run_report() -> RunReport:
    scored = Scored(conventions=dict.fromkeys("ABC", MEANS), groups=(0.5, None), per_class_iou={EVIL: 0.5})
    step = StepEntry(step=0, n_classes=1, metrics=MEANS, per_class_iou={EVIL: 0.5}, tables={"full": scored})
    return RunReport(
        run="mine",
        benchmark=EVIL,
        method="fmwiss",
        scenario="overlap",
        seed=0,
        metrics=MEANS,
        per_class_iou={EVIL: 0.5},
        steps=(step,),
        label_sets=(LabelEntry(digest="0" * 64, step=1, iou={}, words=WORDS),),
        total_seconds=1,
        peak_rss_bytes=1,
        **FACTS,
    )


def run() -> str:
    confused = Confused(("background", EVIL), ((3, 1), (2, 2)))
    return run_page(run_report(), Drawn(PICTURES, PICTURES, HISTORIES, confused), [EVIL])


def comparison() -> str:
    report = ComparisonReport(
        folder="",
        benchmark=EVIL,
        scenario="overlap",
        methods=(EVIL,),
        seeds=(0,),
        tables=(TABLE,),
        runs=(RunEntry(run="mine", name=EVIL, seed=0, seconds=1),),
        **FACTS,
    )
    return comparison_page(EVIL, report, {EVIL: [run_report()]}, PICTURES)


def few_shot() -> str:
    report = FewShotComparisonReport(folder="", benchmark=EVIL, tables=(TABLE,), runs=("mine",), **FACTS)
    return fewshot.page(EVIL, [EVIL], [TABLE], HISTORIES, PICTURES, report)


def singular_values() -> str:
    part = {"layer": EVIL, "index": 0, "factor": 1.0, "share": 0.5}
    layer = {"layer": EVIL, "rank": 2, "mean": 0.0, "up": 0.0, "risen": 0, "down": 0.0, "fallen": 0}
    report = {"title": EVIL, "checkpoint": EVIL, "bases": EVIL, "n_values": 2, "by": "value", "layers": [layer]}
    return svf_page({**report, "foreground_area": None, "risen": [part], "fallen": [part]}, {"risen": PICTURES})


class Reader(HTMLParser):
    """Tags that are open, and what pages fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.fetched: list[str] = []
        self.inside: list[str] = []
        self.ids: list[str] = []
        self.unsized: list[str] = []
        self.styled: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        found = {name: value or "" for name, value in attributes}
        self.fetched += [found[name] for name in ("src", "href") if not found.get(name, "#").startswith("#")]
        self.inside += [found["href"][1:]] if found.get("href", "").startswith("#") else []
        self.ids += [found["id"]] if "id" in found else []
        self.unsized += [tag] if tag in ("img", "svg") and not {"width", "height"} <= set(found) else []
        self.styled += [name for name in found if name == "style" or name.startswith("on")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_words_of_a_label_set_are_told() -> None:
    html = " ".join(run().split())
    evil = escape(EVIL)
    assert f"<dt>classes</dt><dd>{evil}; sheep (sheep, ram)</dd>" in html
    assert "<dt>old classes, without masks</dt><dd>cow</dd>" in html
    assert f"<dt>background</dt><dd>sky</dd><dt>left out</dt><dd>sign (names {evil})</dd>" in html


@pytest.mark.parametrize("page", [run, comparison, few_shot, singular_values])
def test_a_page_is_whole_escaped_and_fetches_nothing(page: object) -> None:
    html = page()  # type: ignore[operator]
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    assert "script" not in reader.tags
    assert reader.styled == [], "a strict content security policy refuses them"
    assert reader.unsized == [], "the page would move while it loads"
    assert len(set(reader.ids)) == len(reader.ids)
    assert set(reader.inside) <= set(reader.ids), "contents lead to what is there"
    assert len(reader.inside) >= 3
    assert "&lt;script&gt;" in html
    assert reader.fetched
    assert all(address.startswith("data:image/png;base64,") for address in reader.fetched)


@pytest.mark.parametrize("page", [run, comparison, few_shot])
def test_a_page_tells_what_it_was_made_with(page: object) -> None:
    html = page()  # type: ignore[operator]
    told = dict(re.findall(r"<dt>(\w+)</dt>\s*<dd><code>(.*?)</code></dd>", html))
    assert told["device"] == "cpu"
    assert told["voc"].startswith("/data/&lt;")
    assert told["step"] == "epochs=3"
    assert told["versions"] == "torch=2.9"
    assert not {"label_sets", "start"} & set(told)  # which nobody set
    assert "Started by <code>wilss run &lt;" in html
