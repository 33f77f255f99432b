"""The tutorial from its first command to its last one, as it stands, on the folder that it offers to practise with."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from docs.tools.blocks import Block, page_blocks
from docs.tools.commands import command_line
from stores.artefacts import Store
from stores.labels.sets import LabelSet
from stores.models.listing import list_students
from tests.docs.conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
PAGE = ROOT / "docs" / "tutorial.md"
SHIM = f"""#!/bin/sh
exec "{sys.executable}" -P -c 'import sys; sys.argv[0] = "wilss"; from deployments.command import main; main()' "$@"
"""
STAYS = ("inspect", "serve")
"""Commands that serve until they are ended."""


class Reader:
    """Somebody who follows the page: one folder, one shell, names of what came out filled in."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.names = folder, {"--weights WEIGHTS": "--preset tiny"}
        (folder / "bin").mkdir()
        (folder / "bin" / "wilss").write_text(SHIM)
        (folder / "bin" / "wilss").chmod(0o755)
        path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        cleared = {name: value for name, value in os.environ.items() if not name.startswith(("WILSS_", "PREFECT_"))}
        self.environment = {**cleared, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def filled(self, text: str) -> str:
        for name, value in self.names.items():
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", value, text)
        return text

    def does(self, text: str, *program: str) -> str:
        """Run a block; what it printed. Fails with what it said."""
        command = [*(program or ("bash", "-euo", "pipefail", "-c")), self.filled(text)]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, text=True, capture_output=True, check=False, timeout=600
        )
        assert done.returncode == 0, f"{command[-1]}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout

    @contextmanager
    def serves(self, text: str) -> Iterator[str]:
        """Run a command that stays, on a free port; its address."""
        command = ["bash", "-c", f"exec {self.filled(text).strip()} --port 0"]
        process = subprocess.Popen(
            command, cwd=self.folder, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            assert process.stdout is not None
            said = ""
            while not (found := re.search(r"http://[\d.:]+", said)):
                line = process.stdout.readline()
                assert line, said
                said += line
            yield found[0]
        finally:
            process.terminate()
            process.wait(60)

    def look(self) -> None:
        """Fill in what has come out so far: a co-segmented label set, an image of it, the last student."""
        store = Store(self.folder / "wilss-data")
        sets = [one for one in store.all("labels") if "method" not in one.notes and not one.recipe.get("parent")]
        if sets and "SET" not in self.names:
            labels = LabelSet.open(store.path("labels", sets[0].digest))
            self.names["SET"] = sets[0].digest[:12]
            star = labels.index.classes.index("star")
            self.names["IMAGE"] = next(
                i for i, tags in zip(labels.index.ids, labels.index.tags, strict=True) if tags[star]
            )
        if students := list_students(store.root).found:
            self.names["MODEL"] = students[0].digest[:12]


def test_the_tutorial_runs_to_its_end(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    reader.does(f"{sys.executable} {ROOT}/examples/practice_folder.py mine --images 40 --size 64")
    blocks = [block for block in page_blocks(PAGE, ROOT) if block.language in ("sh", "python")]
    # the page shows the file that is practised with
    assert yaml_of(PAGE) == yaml_lines((tmp_path / "mine.yaml").read_text()), (
        "the page shows the file that is practised with"
    )
    for number, block in enumerate(blocks):
        follow(reader, block, blocks[number + 1 :])
        reader.look()
    assert {"SET", "IMAGE", "MODEL"} <= set(reader.names)
    assert len(list((tmp_path / "found").glob("*-overlay.png"))) == len(list((tmp_path / "mine" / "images").iterdir()))
    assert list((tmp_path / "wilss-data" / "reviews").rglob("applied.json")), "the review was applied"


def follow(reader: Reader, block: Block, later: list[Block]) -> None:
    """Do what a block says; what asks a server is asked while that one serves."""
    stays = re.match(rf"wilss ({'|'.join(STAYS)})\b", block.text)
    if stays is None:
        if "http://" not in block.text:
            reader.does(block.text, *((sys.executable, "-c") if block.language == "python" else ()))
        return
    if stays[1] not in command_line():
        return  # a command that is still to come
    with reader.serves(block.text) as address:
        assert urllib.request.urlopen(address, timeout=60).status == 200
        for asks in (one.text for one in later if "http://" in one.text and stays[1] == "serve"):
            assert shutil.which("curl"), "the page asks with curl"
            image = next((reader.folder / "mine" / "images").iterdir())
            reader.does(re.sub(r"http://[\d.:]+", address, asks).replace("photo.jpg", str(image)))
            assert (reader.folder / "found.png").read_bytes().startswith(b"\x89PNG")


def yaml_of(page: Path) -> list[str]:
    return next(yaml_lines(block.text) for block in page_blocks(page, ROOT) if block.language == "yaml")


def yaml_lines(text: str) -> list[str]:
    """Lines without comments and the spaces before them."""
    return [line.partition("#")[0].rstrip() for line in text.splitlines()]
