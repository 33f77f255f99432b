"""Advice names options that there are, and that the command has which gives it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App

from deployments.command import add_commands
from flows.cli.app import app
from tests.flows.conftest import photo

ROOT = Path(__file__).parents[2]
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
OF_OTHERS = {"--no-prompt", "--type", "--limit"}
"""Of Prefect's own command line."""


def commands(of: App, name: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    inner = [word for word in of if not word.startswith("-")]
    for word in inner:
        yield from commands(of[word], (*name, word))
    if not inner:
        yield name


def advised() -> Iterator[tuple[str, str]]:
    """Every option that stands in a text of the code, but not in one that is a docstring, with its place."""
    for room in ("wilss", "stores", "tasks", "flows", "deployments"):
        for path in sorted((ROOT / room).rglob("*.py")):
            tree = ast.parse(path.read_text())
            docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
                    yield from (
                        (option, f"{path.relative_to(ROOT)}:{node.lineno}") for option in OPTION.findall(node.value)
                    )


@pytest.fixture(scope="module")
def options() -> dict[tuple[str, ...], set[str]]:
    """Command -> its options, of the whole command line."""
    add_commands()
    found = {}
    for name in commands(app):
        here = app
        for word in name:
            here = here[word]
        arguments = here.assemble_argument_collection()
        found[name] = {spelled for argument in arguments for spelled in argument.names if spelled.startswith("--")}
    return found


def test_every_option_that_is_advised_is_one_of_some_command(options: dict[tuple[str, ...], set[str]]) -> None:
    known = {option for own in options.values() for option in own} | OF_OTHERS
    assert len(options) > 15
    assert {"--set", "--out", "--skip-unreadable", "--replace"} <= known
    wrong = [f"{option} in {where}" for option, where in advised() if option not in known]
    assert not wrong


MISTAKES = [
    ("predict", "CHECKPOINT", "none.png", "-o", "out"),
    ("predict", "CHECKPOINT", "broken.png", "-o", "out"),
    ("predict", "CHECKPOINT", "whole.png", "-o", "."),
    ("predict", "CHECKPOINT", "empty", "-o", "out"),
    ("predict", "none", "whole.png", "-o", "out"),
    ("foundations", "check", "dino:scenes", "--image", "broken.png", "-o", "x.png"),
    ("foundations", "check", "dino:scenes", "--image", "none.png", "-o", "x.png"),
    ("foundations", "check", "clip:scenes", "--image", "whole.png", "-o", "x.png"),
    ("foundations", "check", "dino:scenes", "--weights", "none", "-o", "x.png"),
    ("data", "check", "empty"),
    ("protocol", "pets.yaml", "--data", "empty"),
    ("protocol", "voc-15-5", "--data", "empty"),
    ("run", "voc-15-5", "--dry-run"),
    ("run", "coco-to-voc", "--data", "empty", "--dry-run"),
    ("few-shot", "train", "--fold", "0", "--benchmark", "coco-to-pascal", "--train-list", "x"),
    ("svf", "report", "none"),
    ("labels", "show", "none"),
]


@pytest.mark.parametrize("arguments", MISTAKES, ids=" ".join)
def test_a_command_advises_only_what_it_has(  # type: ignore[no-untyped-def]
    wilss,
    checkpoint: Path,
    options: dict[tuple[str, ...], set[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WILSS_ROOT", str(tmp_path / "root"))
    photo(tmp_path / "whole.png")
    (tmp_path / "broken.png").write_text("no image")
    (tmp_path / "empty").mkdir()
    (tmp_path / "pets.yaml").write_text("name: pets\ndata: folder\nsteps: [[a], [b]]\n")
    code, _, err = wilss(*(str(checkpoint) if word == "CHECKPOINT" else word for word in arguments))
    unreadable = arguments[0] == "predict" and "broken.png" in arguments
    assert code == (3 if unreadable else 2), err
    name = next(name for name in options if arguments[: len(name)] == name)
    said = err.rpartition("wilss: ")[2]
    assert said.strip()
    assert set(OPTION.findall(said)) <= options[name] | OF_OTHERS, said
