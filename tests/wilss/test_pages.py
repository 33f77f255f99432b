"""Pages: escaped, whole in one file, with what they were made with."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from wilss.report import fewshot
from wilss.report.comparison import comparison_page
from wilss.report.records import (
    ComparisonReport,
    FewShotComparisonReport,
    Means,
    RunEntry,
    RunReport,
    Scored,
    StepEntry,
    Table,
)
from wilss.report.run import run_page
from wilss.report.svf import svf_page

EVIL = "<script>alert(1)</script>"
FACTS = {
    "device": "cpu",
    "command": f"wilss run {EVIL}",
    "versions": {"torch": "2.9"},
    "sources": {"voc": f"/data/{EVIL}"},
    "spec": {"preset": "tiny", "label_sets": {}, "start": None, "step": {"epochs": 3}, "data": {"eval_crop": None}},
}
PICTURES = [(EVIL, b"png")]
MEANS = Means(old=0.5, new=None, all=0.25)
TABLE = Table(key="full-C", title=EVIL, columns=("old",), rows=((EVIL, ("50.0",)),))


def run() -> str:
    scored = Scored(conventions=dict.fromkeys("ABC", MEANS), groups=(0.5, None), per_class_iou={EVIL: 0.5})
    step = StepEntry(step=0, n_classes=1, metrics=MEANS, per_class_iou={EVIL: 0.5}, tables={"full": scored})
    report = RunReport(
        run="mine",
        benchmark=EVIL,
        method="fmwiss",
        scenario="overlap",
        seed=0,
        metrics=MEANS,
        per_class_iou={EVIL: 0.5},
        steps=(step,),
        total_seconds=1,
        peak_rss_bytes=1,
        **FACTS,
    )
    return run_page(report, PICTURES, "<svg></svg>", [EVIL])


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
    return comparison_page(EVIL, report, "<svg></svg>", PICTURES)


def few_shot() -> str:
    report = FewShotComparisonReport(folder="", benchmark=EVIL, tables=(TABLE,), runs=("mine",), **FACTS)
    return fewshot.page(EVIL, [EVIL], [TABLE], "<svg></svg>", PICTURES, report)


def singular_values() -> str:
    part = {"layer": EVIL, "index": 0, "factor": 1.0, "share": 0.5}
    layer = {"layer": EVIL, "rank": 2, "mean": 0.0, "up": 0.0, "risen": 0, "down": 0.0, "fallen": 0}
    report = {"title": EVIL, "checkpoint": EVIL, "bases": EVIL, "n_values": 2, "by": "value", "layers": [layer]}
    return svf_page({**report, "foreground_area": None, "risen": [part], "fallen": [part]}, PICTURES)


class Reader(HTMLParser):
    """Tags that are open, and what pages fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.fetched += [value or "" for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("page", [run, comparison, few_shot, singular_values])
def test_a_page_is_whole_escaped_and_fetches_nothing(page: object) -> None:
    html = page()  # type: ignore[operator]
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    assert "script" not in reader.tags
    assert "&lt;script&gt;" in html
    assert reader.fetched
    assert all(address.startswith("data:image/png;base64,") for address in reader.fetched)


@pytest.mark.parametrize("page", [run, comparison, few_shot])
def test_a_page_tells_what_it_was_made_with(page: object) -> None:
    html = page()  # type: ignore[operator]
    told = dict(re.findall(r"<td>([\w]+)</td>\s*<td><code>(.*?)</code></td>", html))
    assert told["device"] == "cpu"
    assert told["voc"].startswith("/data/&lt;")
    assert told["step"] == "epochs=3"
    assert told["versions"] == "torch=2.9"
    assert not {"label_sets", "start"} & set(told)  # which nobody set
    assert "Started by <code>wilss run &lt;" in html
