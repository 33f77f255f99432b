"""The house's import arrows: deployments -> flows -> tasks -> stores -> wilss, and nothing points back."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("wilss", "stores", "tasks", "flows", "deployments")
FORBIDDEN_LIBRARIES = {"wilss": {"prefect", "zarr"}, "stores": {"prefect"}, "flows": {"torch", "zarr"}}


def imports(path: Path, top_level_only: bool) -> set[str]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_no_arrow_points_back(room: str) -> None:
    later = set(ROOMS[ROOMS.index(room) + 1 :])
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        wrong = imports(path, top_level_only=False) & later
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


@pytest.mark.parametrize("room", FORBIDDEN_LIBRARIES)
def test_rooms_keep_to_their_libraries(room: str) -> None:
    for path in sorted((ROOT / room).rglob("*.py")):
        wrong = imports(path, top_level_only=room == "flows") & FORBIDDEN_LIBRARIES[room]
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_the_test_would_see_a_wrong_import(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("def f():\n    from prefect import flow\n")
    assert imports(module, top_level_only=False) == {"prefect"}
    assert imports(module, top_level_only=True) == set()


def test_command_line_help_needs_no_heavy_import() -> None:
    heavy = {"torch", "prefect", "timm", "open_clip", "zarr"}
    files = [sorted((ROOT / room / "cli").glob("*.py")) for room in ("flows", "deployments")]
    assert all(files)
    for path in [*files[0], *files[1]]:
        assert not imports(path, top_level_only=True) & heavy, path


def test_tasks_stay_thin_and_modules_small() -> None:
    """Tasks are 10 to 30 lines; no module of the package is over 300, no function over 45."""
    lines = {path: len(path.read_text().splitlines()) for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    assert sum(n for path, n in lines.items() if path.is_relative_to(ROOT / "tasks")) <= 1600
    assert {path.name: n for path, n in lines.items() if n > 300} == {}
    long = {
        f"{path.name} {node.name}": size
        for path in lines
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        and (size := (node.end_lineno or 0) - node.lineno + 1 - len((ast.get_docstring(node) or "").splitlines())) > 45
    }
    assert long == {}


@pytest.mark.parametrize("room", ["stores/plans", "stores/labels", "stores/models", "flows/cli", "wilss/testing"])
def test_no_module_outside_of_sessions_keeps_what_is_opened(room: str) -> None:
    """What a flow opens lives in its session: no cache of a process, nothing that has to be forgotten by hand."""
    for path in sorted((ROOT / room).rglob("*.py")):
        text = path.read_text()
        assert "lru_cache" not in text, path
        assert "def forget_" not in text, path


def test_no_two_rooms_of_the_library_import_each_other() -> None:
    rooms = {path.name for path in (ROOT / "wilss").iterdir() if (path / "__init__.py").is_file()}
    arrows = {(path.parts[0], room) for path, room in _inner_imports(rooms) if path.parts[0] in rooms}
    assert {("learn", "nets"), ("fewshot", "data")} <= arrows, "the test sees arrows"
    assert sorted((a, b) for a, b in arrows if (b, a) in arrows and a != b) == []


def _inner_imports(rooms: set[str]) -> list[tuple[Path, str]]:
    found = []
    for path in (ROOT / "wilss").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "wilss":
                parts = [*node.module.split(".")[1:], *(alias.name for alias in node.names)]
                found += [(path.relative_to(ROOT / "wilss"), parts[0])] if parts[0] in rooms else []
    return found
