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
    files = sorted((ROOT / "flows" / "cli").glob("*.py"))
    assert files
    for path in files:
        assert not imports(path, top_level_only=True) & heavy, path
