"""What looking at a label set costs as it grows: ``python -m tests.benchmarks.inspector``.

Sets of 1,000 and 100,000 rows, 20 classes, 1.5 tags an image, masks at 512 px drawn from a pool of blobs; one row in
twenty is reviewed. For each size, in a process of its own: seconds to open the set, milliseconds (median and 95th
percentile) of every sort, of filters, of histograms, of a page of masks and of one act, and the memory of the process.
The same of a server, asked over the loopback as a browser does: from its start to its first page, pages of the gallery
by every sort and filter, pages of images, masks, and acts of review.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from stores.artefacts import Recipe, Store
from stores.labels.query import SIZES, STATES, Query
from stores.labels.review import Change, RowState
from stores.labels.view import LabelView
from wilss.spec import make_spec

CANVAS = 512
PAGE = 60
ROUNDS = 5


def publish(root: Path, rows: int) -> str:
    """Digest of a set with about so many rows, reviewed in part."""
    from tests.benchmarks.growth import blobs, index_of, write

    store, recipe = Store(root), Recipe("labels", {"rows": rows}, {})
    index = index_of(round(rows / 1.5), CANVAS)
    with store.build(recipe) as folder:
        write(folder, index, blobs(CANVAS))
        spec = make_spec({"benchmark": "scenes-15-5", "preset": "tiny"}).model_dump(mode="json")
        notes = {"format": 2, "benchmark": "scenes-15-5", "step": 1, "spec": spec, "class_ids": list(range(1, 21))}
        store.publish(recipe, folder, {"images": len(index.ids), "rows": index.n_rows}, notes)
    view = LabelView.open(root, recipe.digest)
    picked = np.random.default_rng(4).permutation(index.n_rows)[: index.n_rows // 20]
    said = [(RowState(("accepted", "rejected", "absent")[k % 3]), row) for k, row in enumerate(picked.tolist())]
    changes = [Change(*_named(view, row), state, 0) for state, row in said]
    view.review.act("ada", "import", changes)
    return recipe.digest


def _named(view: LabelView, row: int) -> tuple[str, str]:
    image, channel = view.at(row)
    return view.labels.index.ids[image], view.labels.index.classes[channel]


def look(root: Path, digest: str) -> dict[str, Any]:
    """Seconds, milliseconds and MiB of a process that opens a set and looks at it; cpu: seconds of computing."""
    before, start, computed = _resident(), time.perf_counter(), time.process_time()
    view = LabelView.open(root, digest)
    first = view.select(Query())
    opened = time.perf_counter() - start
    found: dict[str, Any] = {"open_s": opened, "open_cpu_s": time.process_time() - computed}
    found |= _times("select", [lambda q=q: view.select(q) for q in _queries(view)])
    found |= _times("histogram", [lambda c=c: view.histogram(c, Query(states=("unreviewed",))) for c in view.columns])
    pages = [first.rows[k : k + PAGE].tolist() for k in range(0, min(len(first.rows), 10 * PAGE), PAGE)]
    found |= _times("page_of_masks", [lambda p=p: [view.mask(row) for row in p] for p in pages])
    found |= _times("act", [lambda r=r: _act(view, r) for r in first.rows[:40].tolist()], rounds=1)
    return {**found, "memory_mib": (_resident() - before) / 2**20, "process_mib": _resident() / 2**20}


def _queries(view: LabelView) -> list[Query]:
    names = view.labels.index.classes
    sorts = [Query(sort=column, descending=down) for column in (*view.columns, "image") for down in (False, True)]
    states, sizes = [Query(states=(state,)) for state in STATES], [Query(sizes=(size,)) for size in SIZES]
    texts = [Query(text=text) for text in ("0", "train2014_0000000001", "nowhere")]
    both = Query(names[:3], ("unreviewed",), ("small", "large"), "1", {"agreement": (0.2, 0.8), "score": (0, 0.5)})
    return [*sorts, *states, *sizes, *texts, Query(classes=names[:1]), both]


def _act(view: LabelView, row: int) -> None:
    key = _named(view, row)
    view.review.act("ada", "accept", [Change(*key, RowState("accepted"), view.review.version(*key))])
    view.refresh()


def serve(root: Path, digest: str) -> dict[str, Any]:
    """Milliseconds and MiB of a server."""
    view, start = LabelView.open(root, digest), time.perf_counter()
    command = [sys.executable, "-m", "deployments.inspector", "--root", str(root), "--port", "0", "--who", "ada"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            browser = Browser(server.stdout.readline().split("http://")[1].split("/")[0])
            home = f"/labels/{digest}"
            _wait(browser)
            found = {"server_start_s": time.perf_counter() - start}
            computed = _computed(server.pid)
            found["opening_ms"] = _timed(lambda: browser.get(home))
            found |= {"opening_cpu_ms": _computed(server.pid) - computed, **_asked(browser, view, home)}
            memory = Path(f"/proc/{server.pid}/statm").read_text().split()
            return {**found, "server_mib": int(memory[1]) * 4096 / 2**20}
        finally:
            server.terminate()


def _computed(pid: int) -> float:
    """Milliseconds that a process has computed."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return 1e3 * (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _asked(browser: Browser, view: LabelView, home: str) -> dict[str, float]:
    first = view.select(Query())
    rows, images = first.rows.tolist(), view.labels.index.pairs[0]
    found = _times("first_page", [lambda: browser.get(home)], 20)
    sorts = [f"{home}?sort={name}{down}" for name in (*view.columns, "image") for down in ("", "&down=1")]
    found |= _times("sort_page", [lambda a=a: browser.get(a) for a in sorts if "iou" not in a and "teacher" not in a])
    asked = ["class=class+3", "state=unreviewed", "state=flagged", "size=small", "text=00012", "in.score=0.2:0.4"]
    both = "&".join(asked[:2] + asked[3:4])
    found |= _times("filter_page", [lambda a=a: browser.get(f"{home}?{a}") for a in (*asked, both, "page=900")])
    found |= _times("image_page", [lambda k=k: browser.get(f"{home}/images/{images[k]}") for k in rows[:100]], 1)
    found |= _times("mask", [lambda k=k: browser.get(f"{home}/masks/{k}") for k in rows[:200]], 1)
    browser.token = browser.get(home).split('name="wilss-token" content="')[1].split('"')[0]
    return found | _times("saved_act", [lambda k=k: browser.act(view, home, k) for k in rows[200:300]], 1)


class Browser:
    """One connection that is kept open."""

    def __init__(self, host: str) -> None:
        self.line, self.token = http.client.HTTPConnection(host, timeout=60), ""

    def get(self, path: str) -> str:
        """Content of a page, which has to be there."""
        self.line.request("GET", path)
        return self._answer(path)

    def act(self, view: LabelView, home: str, row: int) -> None:
        """Accept a row."""
        seen = view.review.version(*_named(view, row))
        body = json.dumps({"what": "accept", "rows": [[*view.at(row), seen]]})
        headers = {"x-wilss-token": self.token, "content-type": "application/json"}
        self.line.request("POST", f"/api{home}/acts", body, headers)
        self._answer("acts")

    def _answer(self, path: str) -> str:
        answer = self.line.getresponse()
        content = answer.read().decode("latin-1")
        assert answer.status == 200, f"{path}: {answer.status} {content[:400]}"
        return content


def _wait(browser: Browser) -> None:
    """Until the server answers."""
    for _ in range(600):
        try:
            browser.get("/style/style.css")
            return
        except OSError:
            time.sleep(0.05)
            browser.line.close()
    raise TimeoutError("the server does not answer")


def _timed(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def _times(name: str, calls: list[Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, float]:
    """Median, 95th percentile and greatest time of these calls, in milliseconds; the first round counts."""
    taken = []
    for _ in range(rounds):
        for call in calls:
            taken.append(_timed(call))
    middle, high = np.percentile(taken, [50, 95])
    return {f"{name}_ms": float(middle), f"{name}_p95_ms": float(high), f"{name}_most_ms": max(taken)}


def _resident() -> int:
    import resource

    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def measure(sizes: list[int]) -> dict[str, Any]:
    """What each size costs."""
    found = {}
    for rows in sizes:
        with tempfile.TemporaryDirectory() as name:
            digest = _alone("--publish", name, str(rows))
            found[str(rows)] = told = _alone("--look", name, digest) | _alone("--serve", name, digest)
        print(f"{rows} rows: " + ", ".join(f"{key} {value:.2f}" for key, value in told.items()), flush=True)
    return {"rows": found}


def _alone(*words: str) -> Any:
    """What a process of its own measures; it runs this file, as the package loads torch."""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-P", __file__, *words]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure, print a line a size and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--publish", nargs=2, metavar=("ROOT", "ROWS"), help="a part, in a process of its own")
    parser.add_argument("--look", nargs=2, metavar=("ROOT", "DIGEST"), help="likewise")
    parser.add_argument("--serve", nargs=2, metavar=("ROOT", "DIGEST"), help="likewise")
    options = parser.parse_args()
    if options.publish:
        print(json.dumps(publish(Path(options.publish[0]), int(options.publish[1]))))
    elif options.look:
        print(json.dumps(look(Path(options.look[0]), options.look[1])))
    elif options.serve:
        print(json.dumps(serve(Path(options.serve[0]), options.serve[1])))
    else:
        from tests.benchmarks import last_line

        last_line("inspector", measure(options.sizes))


if __name__ == "__main__":
    main()
