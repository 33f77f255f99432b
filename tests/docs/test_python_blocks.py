"""Blocks of Python on the pages, run as they stand, in order, in the built-in world."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from docs.tools.blocks import page_blocks
from tests.docs.conftest import ROOT
from wilss.data.scenes.source import ScenesSource
from wilss.data.spec import World
from wilss.report.pictures import to_pil

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TRAINED_HEAD = "open_head("
"""In blocks that need a trained few-shot head; tests/stores/models/test_fewshot_predict.py tests what they do."""


def script_of(path: Path) -> str:
    """All Python of a page that can be run here."""
    blocks = [block.text for block in page_blocks(path, ROOT) if block.language == "python"]
    return "\n\n".join(text for text in blocks if TRAINED_HEAD not in text)


SCRIPTS = {str(path.relative_to(ROOT)): text for path in PAGES if (text := script_of(path))}
WITH_A_RUN = {"README.md", "docs/how-to/export.md", "docs/export.md", "docs/predict.md"}
"""Pages whose blocks take up what a run left."""
ELSEWHERE = {
    "docs/how-to/script.md": "runs in tests/flows/test_scripts.py",
    "docs/tutorial.md": "runs with its commands, in test_tutorial.py",
    "docs/formats.md": "needs FiftyOne and a MongoDB",
}
ALONE = sorted(set(SCRIPTS) - WITH_A_RUN - set(ELSEWHERE))
SUITES = [page for page in ALONE if "\nclass Test" in SCRIPTS[page]]
"""Pages whose blocks are a file of tests: contract suites, which train a little."""
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def run(script: str, folder: Path, *program: str) -> str:
    """Run Python in a folder, in a process of its own; fails with what it said."""
    path = folder / "test_page.py"
    path.write_text(script)
    command = [sys.executable, *program, str(path)]
    done = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, text=True, capture_output=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.parametrize("page", [pytest.param(one, marks=[pytest.mark.slow] * (one in SUITES)) for one in ALONE])
def test_blocks_run(page: str, tmp_path: Path) -> None:
    if page not in SUITES:
        run(SCRIPTS[page], tmp_path)
        return
    out = run(SCRIPTS[page], tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly")
    assert "passed" in out, "the page's contract suite was run"


def test_a_block_that_fails_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no attribute 'nonsense'"):
        run("import wilss\nwilss.nonsense()", tmp_path)


def test_pages_that_are_named_have_blocks() -> None:
    assert set(SCRIPTS) >= WITH_A_RUN | set(ELSEWHERE)
    assert len(SUITES) >= 3


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with what pages name: a run in wilss-data, photographs, a model that was exported."""
    folder = tmp_path_factory.mktemp("pages")
    call = "import sys; sys.argv[0] = 'wilss'; from deployments.command import main; main()"
    photographs(folder)
    commands = (
        "run scenes-15-5 --preset tiny",
        "models export RUN --to sheep-model",
        "models export RUN --to my-model --format onnx --pictures photo.jpg",
        "models promote RUN",
    )
    for words in commands:
        runs = [str(path) for path in folder.glob("wilss-data/runs/*")]
        given = [runs[0] if word == "RUN" else word for word in words.split()]
        done = subprocess.run(
            [sys.executable, "-P", "-c", call, *given],
            cwd=folder, env=ENVIRONMENT, text=True, capture_output=True, check=False, timeout=280,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    yield folder
    shutil.rmtree(folder)


def photographs(folder: Path) -> None:
    """Files that pages name."""
    source = ScenesSource(World(), 40, 0)
    (folder / "photos").mkdir()
    names = ("photos/one.png", "photos/two.png", "photo.jpg", "a.jpg", "b.jpg", "aerial.tif")
    for name, image_id in zip(names, source.ids("train"), strict=False):
        to_pil(source.image(image_id).to(torch.uint8)).save(folder / name)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", sorted(WITH_A_RUN))
def test_blocks_run_on_what_a_run_left(page: str, place: Path) -> None:
    assert run(SCRIPTS[page], place)
