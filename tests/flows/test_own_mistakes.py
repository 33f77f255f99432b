"""Mistakes in what is one's own, and what is newer or not there: one sentence, exit 2, nothing half-written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tests.wilss.models.cards import SPEC, student_card
from wilss.learn.methods import METHODS
from wilss.models.files import save_model
from wilss.nets.pretrained import find_weights
from wilss.nets.segmenter import build_segmenter

pytestmark = pytest.mark.usefixtures("registrations", "prefect_backend")
GOOD = """
import wilss
from wilss.learn.methods.finetune import Finetune

wilss.register_method("mine", Finetune)
"""
LACKS = """
import wilss


class Lacks:
    paste = None

    def __init__(self, context):
        self.context = context

    def heads(self):
        return ()

    def final_masks(self, images):
        return None


wilss.register_method("mine", Lacks)
"""
TINY = ["scenes-15-5", "--preset", "tiny"]


def told(found: tuple[int, str, str]) -> str:
    """The one sentence."""
    code, _, err = found
    assert code == 2
    (line,) = [line for line in err.splitlines() if line.startswith("wilss: ")]
    return line


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LACKS, "own.py', line 18: method 'mine' lacks 'losses'; its contract has paste, heads, losses, final_masks"),
        (GOOD + GOOD, "own.py', line 10: method 'mine' is registered already; choose another name"),
        (GOOD.replace("mine", "fmwiss"), "line 5: method 'fmwiss' is registered already"),
        (GOOD + "1 / 0\n", "own.py', line 6: ZeroDivisionError: division by zero"),
        ("def f(:\n", "own.py', line 1: SyntaxError"),
        ("import wils\n", "own.py', line 1: ModuleNotFoundError: No module named 'wils'"),
    ],
)
@pytest.mark.parametrize("command", [["run", *TINY], ["compare", *TINY, "--methods", "finetune", "mine"], ["settings"]])
def test_a_file_of_registrations_that_is_wrong(
    wilss: Any, tmp_path: Path, command: list[str], content: str, message: str
) -> None:
    file, root = tmp_path / "own.py", tmp_path / "root"
    file.write_text(content)
    options = [] if command == ["settings"] else ["--root", root]
    assert message in told(wilss(*command, *options, "--import", file))
    assert not root.exists()
    assert "mine" not in METHODS


def test_two_files_of_one_name_and_one_that_is_not_there(wilss: Any, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.py").write_text(f"# {name}{GOOD}")
    options = ["--root", tmp_path / "root", "--import", tmp_path / "a.py"]
    line = told(wilss("run", *TINY, *options, "--import", tmp_path / "b.py"))
    assert "b.py', line 5: method 'mine' is registered already" in line
    assert "none.py' does not exist; give a Python file" in told(
        wilss("run", *TINY, *options, "--import", tmp_path / "none.py")
    )
    line = told(wilss("run", *TINY, *options, "--method", "yours"))
    assert "unknown method 'yours'. Known: finetune, fmwiss, fmwiss+, joint, mine, wilson." in line
    assert not (tmp_path / "root").exists()


def test_a_benchmark_whose_family_was_not_imported(wilss: Any, tmp_path: Path) -> None:
    (tmp_path / "farm.yaml").write_text("name: farm\ndata: class-folders\nsteps: [[sheep], [cow]]\n")
    line = told(wilss("run", tmp_path / "farm.yaml", "--root", tmp_path / "root"))
    assert "class-folders" in line
    assert not (tmp_path / "root").exists()


def test_a_model_of_a_newer_format(wilss: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    folder = tmp_path / "model"
    folder.mkdir()
    network = build_segmenter(SPEC, find_weights("resnet_scenes", "none", None), (2,))
    save_model(network.state_dict(), student_card(), folder)
    card = folder / "card.json"
    card.write_text(card.read_text().replace('"format": 2', '"format": 3'))
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    message = "card.json' has format 3; this version reads up to 2. Upgrade wilss"
    assert message in told(wilss("predict", folder, tmp_path / "a.png", "--out", tmp_path / "out"))
    assert message in told(wilss("run", *TINY, "--start", folder, "--root", tmp_path / "root"))
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "root" / "checkpoints").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], r"the base student (checkpoints "),
        (["--set", "label_sets.1=0123abc"], "'0123abc' does not exist among the labels in"),
        (["--start", "0123abc"], "'0123abc' does not exist among the checkpoints in"),
        (["--set", "student.weights=heads:0123abc"], "'0123abc' does not exist among the heads in"),
    ],
)
def test_a_recipe_whose_parent_is_not_there(wilss: Any, tmp_path: Path, options: list[str], message: str) -> None:
    line = told(wilss("step", *TINY, "--step", 1, "--root", tmp_path, *options))
    assert message in line
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and "prefect" not in path.parts]
