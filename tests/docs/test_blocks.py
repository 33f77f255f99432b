"""Blocks of code on the pages: commands are read by the command line itself, and other languages by their readers."""

from __future__ import annotations

import json
from pathlib import Path

import cyclopts
import pytest
import yaml

from docs.tools.blocks import Block, blocks_of, commands_of, page_blocks
from docs.tools.commands import command_line
from flows.cli.options import FEWSHOT_RESERVED, RESERVED
from tests.docs.conftest import ROOT
from wilss.custom import read_benchmark
from wilss.fewshot.spec import FewShotSpec
from wilss.known_settings import known_settings
from wilss.spec import RunSpec

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = {str(path.relative_to(ROOT)): page_blocks(path, ROOT) for path in PAGES}
LANGUAGES = {"sh", "python", "yaml", "json", "math", "text", "ini", "nginx"}
"""What blocks may be of: of the last three nothing is checked."""


def commands(page: str) -> list[tuple[Block, list[str]]]:
    return [(block, words) for block in BLOCKS[page] if block.language == "sh" for words in commands_of(block.text)]


def problem(words: list[str]) -> str:
    """What the command line says of a command, which it does not run; "" if it takes it."""
    app = command_line()
    try:
        app.parse_args(words, exit_on_error=False, print_error=False)
    except cyclopts.CycloptsError as error:
        return f"wilss {' '.join(words)}: {error}"
    return ""


@pytest.mark.parametrize("page", BLOCKS)
def test_the_command_line_takes_every_command(page: str) -> None:
    told = [f"{block}: {said}" for block, words in commands(page) if (said := problem(words))]
    assert told == []


def test_there_are_commands_on_the_pages() -> None:
    assert sum(len(commands(page)) for page in BLOCKS) > 80


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("wilss run voc-15-5 --scenari overlap", "Unknown option"),
        ("wilss labels shwo SET", "Unknown command"),
        ("    wilss predict", "requires an argument"),
        ("wilss step x.yaml --step two", "unable to convert"),
        ("echo x && wilss runs --rooot DIR  # a comment", "Unknown option"),
        ("wilss store verify | repaire", "Unknown command"),
        ("WILSS_DEVICE=cpu wilss runs --rooot DIR", "Unknown option"),
        ("wilss labels show SET [--imagee ID]", "Unknown option"),
    ],
)
def test_a_wrong_command_is_noticed(line: str, said: str) -> None:
    (block,) = blocks_of(line if line.startswith(" ") else f"```sh\n{line}\n```")
    told = [problem(words) for words in commands_of(block.text)]
    assert said in "".join(told)


@pytest.mark.parametrize("page", BLOCKS)
def test_every_block_says_its_language(page: str) -> None:
    assert [str(block) for block in BLOCKS[page] if block.language not in LANGUAGES] == []


@pytest.mark.parametrize("page", BLOCKS)
def test_settings_that_commands_are_given_exist(page: str) -> None:
    assert [f"{block}: {key}" for block, words in commands(page) for key in unknown_settings(words)] == []


def test_an_unknown_setting_is_noticed() -> None:
    assert unknown_settings(["run", "x", "--set", "step.epoch=3", "fmwiss.alpha=0.7"]) == ["step.epoch"]
    assert unknown_settings(["few-shot", "train", "--set", "step.epochs=3"]) == ["step.epochs"]


BY_STEP = {"label_sets", "students"}
"""Settings that hold a value a step."""


def unknown_settings(words: list[str]) -> list[str]:
    """Keys of --set that no specification has; registered files bring their own, and so does pretraining."""
    if "--import" in words or words[0] == "pretrain":
        return []
    of, reserved = (FewShotSpec, FEWSHOT_RESERVED) if "few-shot" in words else (RunSpec, RESERVED)
    keys = {one.key for one in known_settings(of, None, reserved)}
    known = keys | {key.rpartition(".")[0] for key in keys}  # a section may be left out as a whole
    given, found = False, []
    for word in words:
        given = word == "--set" or (given and not word.startswith("-"))
        key, _, value = word.partition("=")
        if given and value and key not in known and key.partition(".")[0] not in BY_STEP:
            found.append(key)
    return found


@pytest.mark.parametrize("page", BLOCKS)
def test_data_are_read(page: str, tmp_path: Path) -> None:
    for number, block in enumerate(BLOCKS[page]):
        if block.language == "json":
            json.loads(block.text)
        if block.language == "yaml" and "steps" in yaml.safe_load(block.text):
            path = tmp_path / f"{number}.yaml"
            path.write_text(block.text)
            assert read_benchmark(path)["steps"], str(block)


def test_python_compiles_on_every_page() -> None:
    blocks = [block for page in BLOCKS.values() for block in page if block.language == "python"]
    assert len(blocks) > 2
    for block in blocks:
        compile(block.text, str(block), "exec")
