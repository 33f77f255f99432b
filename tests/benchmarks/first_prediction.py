"""From nothing but Python to a first prediction: ``python -m tests.benchmarks.first_prediction``.

The wheel of this tree is installed by pip into an empty environment, and used from an empty folder: pseudo-labels of
one image by the foundation models that the wheel brings, then ``wilss demo``, which trains a student, and ``wilss
predict`` with it. Seconds of each; those of installing depend on the network and on what pip has kept.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks import last_line
from tests.built import ROOT, build
from tests.empty_environment import environment, install
from wilss.data.scenes.source import ScenesSource
from wilss.data.spec import World
from wilss.report.pictures import to_pil

LABEL = "import wilss; print(wilss.label(['scene.png'], [['star']], classes=['star']).label_map(0).shape)"


def measure(folder: Path) -> dict[str, float]:
    """Seconds of every step, in order."""
    took: dict[str, float] = {}

    @contextmanager
    def timed(name: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        took[name] = time.monotonic() - begun
        print(f"{name:<12} {took[name]:8.1f} s", flush=True)

    (wheel,) = build(ROOT, folder / "dist").glob("*.whl")
    run, here = environment(folder), folder / "empty"
    source = ScenesSource(World(), 0, 1)
    to_pil(source.image(source.ids("eval")[0])).save(here / "scene.png")
    with timed("install"):
        install(wheel, folder)
    with timed("first label"):
        run("python", "-c", LABEL)
    with timed("demo"):
        run("wilss", "demo")
    (trained,) = (here / "wilss-data" / "runs").iterdir()
    with timed("predict"):
        run("wilss", "predict", str(trained), "scene.png", "-o", "found")
    assert list((here / "found").glob("*.png")), "nothing was predicted"
    return took


def main() -> None:
    """Measure, print a line a step and one JSON object."""
    with tempfile.TemporaryDirectory() as folder:
        took = measure(Path(folder))
    ready = took["install"] + took["first label"]
    last_line("first_prediction", {**took, "to_first_label": ready, "to_first_prediction": sum(took.values())})


if __name__ == "__main__":
    main()
