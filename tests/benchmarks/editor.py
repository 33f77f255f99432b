"""How fast a stroke is seen: a real Chromium draws on an image of 512 pixels in a pane of some 1000.

``python -m tests.benchmarks.editor``: milliseconds of script for one move of the pointer, and from the event to when
its frame was handed on, median and 95th percentile.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.deployments.painting import Drawn, desk_over, publish, served
from tests.e2e.browser import browser

SIDE, STROKES = 512, 8
WINDOW = {"width": 1600, "height": 1344}
WATCH = """() => {
  window.seen = { script: [], frame: [] };
  const stage = document.querySelector(".editor-stage");
  let begun = 0;
  window.addEventListener("pointermove", () => (begun = performance.now()), true);
  window.addEventListener("pointermove", (event) => {
    if (!event.buttons) return;
    seen.script.push(performance.now() - begun);
    const { timeStamp } = event;
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => seen.frame.push(performance.now() - timeStamp);
      channel.port2.postMessage(0);
    });
  });
  return stage.getBoundingClientRect().width;
}"""


def measure(page: Any, brush: int) -> dict[str, list[float]]:
    """Draw strokes across the pane with a brush of this many pixels; milliseconds of each move."""
    page.locator("#brush-size").fill(str(brush))
    box = page.locator(".editor-stage").bounding_box()
    page.evaluate("() => { seen.script.length = 0; seen.frame.length = 0; }")
    for stroke in range(STROKES):
        y = box["y"] + box["height"] * (stroke + 1) / (STROKES + 1)
        page.mouse.move(box["x"] + 20, y)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] - 20, y + 30, steps=60)
        page.mouse.up()
    page.wait_for_timeout(300)
    found: dict[str, list[float]] = page.evaluate("seen")
    return found


def told(values: Sequence[float]) -> str:
    """Median and 95th percentile."""
    return f"median {statistics.median(values):.1f} ms, 95 % {statistics.quantiles(values, n=20)[-1]:.1f} ms"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, browser() as opened:
        root = Path(folder)
        digest = publish(root, SIDE, (SIDE, SIDE))
        with served(desk_over(root, Drawn(root, (SIDE, SIDE)))) as address:
            page = opened.new_page(viewport=WINDOW)
            page.goto(f"{address}/labels/{digest}/images/0", wait_until="networkidle")
            page.keyboard.press("e")
            page.wait_for_selector('.editor-status:text("Saved")')
            print(f"pane of {page.evaluate(WATCH):.0f} pixels, image of {SIDE}")
            for brush in (12, 64, 128):
                found = measure(page, brush)
                print(f"brush of {brush}: script {told(found['script'])}; to the frame {told(found['frame'])}")


if __name__ == "__main__":
    main()
