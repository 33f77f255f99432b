"""``import wilss``: nothing is loaded before it is used, and what is promised is there."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import wilss
from tests.pace import pace
from tests.test_torch_free import run

FILE = Path(wilss.__file__)


def test_importing_loads_nothing_and_takes_no_time() -> None:
    code = "import sys, time; start = time.perf_counter(); import wilss; print(time.perf_counter() - start)\n"
    code += "print(sorted({'torch', 'pydantic', 'numpy', 'pytest', 'wilss.api'} & set(sys.modules)))"
    times, loaded = [], set()
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        seconds, names = done.stdout.splitlines()
        times.append(float(seconds))
        loaded.add(names)
    assert loaded == {"[]"}
    assert min(times) < 0.05 * pace()


@pytest.mark.parametrize("use", ["list_methods()", "list_scorers()", "register_method", "Source", "__version__"])
def test_lists_and_registrations_load_no_torch(use: str) -> None:
    assert run(f"import wilss; wilss.{use}") == "False False\n"


def test_every_name_is_there_once_it_is_used() -> None:
    assert set(dir(wilss)) == {*wilss.__all__, "testing"}
    for name in dir(wilss):
        assert getattr(wilss, name) is not None
    assert wilss.__version__ == version("wilss")
    with pytest.raises(AttributeError, match="module 'wilss' has no attribute 'laod'"):
        wilss.laod  # noqa: B018


def test_type_checkers_are_told_the_same_names() -> None:
    block = next(node for node in ast.parse(FILE.read_text()).body if isinstance(node, ast.If))
    told = {
        (alias.name, node.module) for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert told == set(wilss._PLACES.items())


def test_lists_name_what_there_is() -> None:
    assert wilss.list_methods() == ["fmwiss", "fmwiss+", "wilson", "finetune", "joint"]
    assert "clip:scenes" in wilss.list_scorers()
    assert {"dino:scenes", "features:resnet50"} <= set(wilss.list_groupers())
    assert not set(wilss.list_scorers()) & set(wilss.list_groupers())
    assert "aspp" in wilss.list_heads()
    assert {"scenes", "voc", "folder"} <= set(wilss.list_families())
    assert "voc-15-5" in wilss.list_benchmarks()
    assert "small" in wilss.list_presets()


@pytest.mark.usefixtures("registrations")
def test_lists_name_what_is_registered() -> None:
    wilss.register_scorer("mine", lambda spec, folder, device: None)  # type: ignore[arg-type,return-value]
    assert wilss.list_scorers()[-1] == "mine:MODEL"
