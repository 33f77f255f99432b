"""Pages of runs, models, comparisons and lineage: whole, escaped, linked to each other, and quick."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin

import numpy as np
import pytest

from deployments.inspector.lineage import Lineage
from deployments.inspector.reports import Reports
from stores.artefacts import Store
from stores.labels.review import Change, Review, RowState
from tests.deployments import world
from tests.deployments.conftest import World
from tests.pace import within
from tests.stores.labels.review.sets import published
from wilss.report.records import LabelEntry

KINDS = {
    "first": "/labels/{first}",
    "about": "/labels/{first}/about",
    "teacher": "/labels/{teacher}/about",
    "against": "/labels/{first}/against/{teacher}",
    "image": "/labels/{first}/images/1",
    "run": "/runs/mine",
    "few-shot": "/runs/few",
    "comparison": "/comparisons/both",
    "few-shot comparison": "/comparisons/models",
    "model": "/models/{checkpoint 1}",
    "evaluation": "/artefacts/evaluations/{evaluation 1}",
    **{name: f"/{name}" for name in ("", "labels", "runs", "comparisons", "models", "use")},
}


class Reader(HTMLParser):
    """What a browser makes of a page: its links, and what must not be in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.wrong: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.links += [given[name] for name in ("href", "src") if name in given]
        if tag == "style" or "style" in given or any(name.startswith("on") for name in given):
            self.wrong.append(f"{tag} {given}")
        if tag == "script" and not given.get("src", "").startswith("/static/"):
            self.wrong.append(f"{tag} {given}")
        if tag in ("b", "meta") and ("http-equiv" in given or tag == "b"):
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_escaped_holds_no_style_or_script_and_fetches_nothing_from_elsewhere(seen: World, kind: str) -> None:
    text = seen.text(KINDS[kind].format(**seen.digests))
    reader = Reader(text)
    assert not reader.wrong
    assert "<script>alert" not in text
    assert not [link for link in reader.links if not link.startswith(("/", "?", "#", "data:,"))]
    assert text.count("<h1") == 1


def test_every_link_leads_somewhere(seen: World) -> None:
    """All pages are reached from the first one, and none of their links is dead."""
    left, done = ["/"], set[str]()
    while left:
        address = left.pop()
        if address in done:
            continue
        done.add(address)
        if "/pictures/" in address:
            continue
        answer = seen.browser.get(address)
        assert answer.status_code == 200, f"{address}: {answer.text[:300]}"
        if "text/html" in answer.headers["content-type"]:
            links = [urljoin(address, link) for link in Reader(answer.text).links if not link.startswith("data:")]
            left += [link.split("#")[0] for link in links if "in." not in link]
        assert len(done) < 900
    wanted = {pattern.format(**seen.digests) for pattern in KINDS.values()}
    assert {address for address in wanted if address not in done} <= {
        f"/labels/{seen.digests['first']}/against/{seen.digests['teacher']}"
    }


def test_a_run_is_found_by_the_name_of_its_folder_whatever_that_is(seen: World) -> None:
    odd = next(link for link in Reader(seen.text("/runs")).links if "alert" in link)
    assert "\n" in unquote(odd)
    assert world.ODD.split("\n")[0] in Reader(seen.text(odd)).text


def test_a_runs_page_draws_its_record_and_links_what_it_names(seen: World) -> None:
    text = seen.text("/runs/mine")
    digests = seen.digests
    for address in (f"/labels/{digests['first']}", f"/models/{digests['checkpoint 1']}"):
        assert f'href="{address}"' in text
    assert f"/artefacts/evaluations/{digests['evaluation 1']}" in text
    said = Reader(text).text
    assert "Confusion after the last step" in said
    assert "Losses" in said, "from the cards of its models"
    assert 'href="/runs/mine/files/report.html"' in text


def test_what_a_run_made_and_is_gone_is_told(own: World) -> None:
    import shutil

    for kind, node in (("evaluations", "evaluation 1"), ("checkpoints", "checkpoint 1")):
        digest = own.digests[node]
        shutil.rmtree(own.root / kind / digest[:2] / digest)
    said = Reader(own.text("/runs/mine")).text
    assert "the evaluation of the last step is not here any more" in said
    assert "the model of step 1 is not here any more" in said
    assert "mIoU per step" in said


def test_files_of_a_report_are_downloads_and_no_others_are_handed_out(seen: World) -> None:
    answer = seen.browser.get("/runs/mine/files/report.html")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "unsafe-inline" not in answer.headers["content-security-policy"]
    for name in ("manifest.json", "..%2F..%2Fruns%2Fmine%2Freport.json", "report.md"):
        assert seen.browser.get(f"/runs/mine/files/{name}").status_code == 404


def test_a_comparison_says_which_runs_are_gone(seen: World) -> None:
    text = seen.text("/comparisons/both")
    assert "run 'gone' is not here any more" in Reader(text).text
    assert 'href="/runs/mine"' in text


def test_about_tells_kin_command_history_and_counts(seen: World) -> None:
    text = seen.text(f"/labels/{seen.digests['first']}/about")
    said = " ".join(Reader(text).text.split())
    assert "masks of a teacher that learnt from it" in said
    assert "student that learnt from it" in said
    assert f"--set label_sets.1={seen.digests['first'][:12]}" in said
    assert "eve <b>" in said
    assert re.search(r"cat</th><td>4</td><td>0</td><td>1</td><td>0</td>", text), "four rows, one of them rejected"


def test_the_history_is_paged(own: World) -> None:
    for _ in range(45):
        world.say(own.root, own.digests["first"], "plain", "cat", world.RowState("accepted"), "ada")
    newest, oldest = (Reader(own.text(f"/labels/{own.digests['first']}/about?page={n}")).text for n in (1, 2))
    assert "page 1 of 2" in newest
    assert "eve <b>" in oldest
    assert "eve <b>" not in newest


def test_the_drawing_has_no_line_that_another_says(seen: World) -> None:
    from deployments.inspector.graph import Thing, graph_of

    things = [Thing("a", "n", "a", "/a"), Thing("b", "n", "b", "/b", ("a",)), Thing("c", "n", "c", "/c", ("a", "b"))]
    drawn = graph_of(things)
    assert len(drawn.lines) == 2
    assert [(box.thing.key, box.x) for box in drawn.boxes] == [("a", 1), ("b", 197), ("c", 393)]
    assert drawn.tree[0].children[0].children[0].also == "n a, n b"


def test_a_drawing_of_a_circle_ends_and_a_large_one_is_cut() -> None:
    from deployments.inspector.graph import MOST_NODES, Thing, graph_of

    assert len(graph_of([Thing("a", "", "a", "", ("b",)), Thing("b", "", "b", "", ("a",))]).boxes) == 2
    many = graph_of(Thing(str(n), "", str(n), "", (str(n - 1),)) for n in range(100))
    assert (len(many.boxes), many.left_out) == (MOST_NODES, 100 - MOST_NODES)
    assert graph_of([]).boxes == []


def test_no_two_boxes_of_a_drawing_share_a_place() -> None:
    from deployments.inspector.graph import Thing, graph_of

    random = np.random.default_rng(0)
    things = [Thing(str(n), "", str(n), "", tuple(str(m) for m in random.integers(0, n + 1, 2))) for n in range(40)]
    drawn = graph_of(things)
    assert len({(box.x, box.y) for box in drawn.boxes}) == 40


def test_200_runs_and_300_artefacts_are_shown_at_once(own: World) -> None:
    entry = LabelEntry(digest=own.digests["first"], step=1, iou={})
    nodes = {name: own.digests[name] for name in ("checkpoint 1", "labels 1")}
    for number in range(200):
        world.write(own.root, f"runs/r{number}/report.json", world.run_report(f"r{number}", nodes, (entry,)))
    for number in range(300):
        world.bare(own.root, ("checkpoints", "banks", "evaluations")[number % 3], number)
    own.text("/")  # reads all of them once
    for address in ("/", "/runs", "/models", "/labels", "/runs/r7", f"/labels/{own.digests['first']}/about"):
        with within(2, address):  # it takes 0.02 to 0.3 seconds
            own.text(address)


def test_the_servers_process_loads_no_torch(seen: World) -> None:
    addresses = [pattern.format(**seen.digests) for pattern in KINDS.values()]
    code = """
import sys
from pathlib import Path
from tests.deployments.world import client
browser = client(Path(sys.argv[1]))
assert {browser.get(address).status_code for address in sys.argv[2:]} == {200}
print("torch" in sys.modules, "prefect" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code, str(seen.root), *addresses], capture_output=True, text=True)
    assert done.stdout == "False False\n", done.stderr


def test_bars_of_a_label_sets_histograms_say_what_they_count_and_lead_to_those_masks(seen: World) -> None:
    text = seen.text(f"/labels/{seen.digests['first']}")
    bars = re.findall(r'<a href="(\?in\.score=[^"]+)" aria-label="quality ([^"]+)"', text)
    assert sum(int(words.split(": ")[1]) for _, words in bars) == 8
    address, words = next(bar for bar in bars if not bar[1].endswith(": 0"))
    assert f"{words.split(': ')[1]} of 8 masks" in seen.text(f"/labels/{seen.digests['first']}{address}")


def test_an_image_shows_the_teacher_beside_a_newer_reviewed_set(own: World) -> None:
    first = own.digests["first"]
    parent = Store(own.root).get("labels", first)
    world.label_set(own.root, world.masks_of(8), parents={"parent": parent}, stage="review")
    assert 'data-pane="teacher"' in own.text(f"/labels/{first}/images/1")


def test_what_is_gone_through_stays_as_it_is_while_others_look_for_news(own: World) -> None:
    """Requests are answered by several threads, and runs publish meanwhile."""
    lineage, reports = Lineage(own.root).refresh(), Reports(own.root).refresh()
    going = iter(lineage.manifests.values()), iter(reports.stored.values())
    count = len(lineage.manifests), len(reports.stored)
    world.bare(own.root, "banks", 1)
    world.write(own.root, "runs/new/report.json", world.run_report("new"))
    lineage.refresh()
    reports.refresh()
    assert tuple(len(list(each)) for each in going) == count
    assert (len(lineage.manifests), len(reports.stored)) == (count[0] + 1, count[1] + 1)


def test_painted_masks_count_as_reviewed(own: World) -> None:
    review = Review.open(own.root, own.digests["first"])
    before = own.text(f"/labels/{own.digests['first']}")
    assert "2 reviewed" in before
    painted = RowState(mask=review.put_mask(np.ones((world.SIDE, world.SIDE), bool)))
    review.act("ada", "paint", [Change("plain", world.EVIL, painted, 0)])
    assert "3 reviewed" in own.text(f"/labels/{own.digests['first']}")


def test_an_image_of_a_co_segmented_set_shows_its_seeds_class_by_class(tmp_path: Path) -> None:
    _, manifest = published(tmp_path)
    text = world.client(tmp_path).get(f"/labels/{manifest.digest}/images/2").text
    assert [f"pictures/seeds/2?channel={channel}" in text for channel in range(3)] == [True, True, False]
