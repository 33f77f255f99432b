"""The Dockerfile as far as it can be tried without Docker; `tests/test_wheel.py` builds its wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from packaging.specifiers import SpecifierSet

from deployments.command import add_commands
from flows.cli.app import app
from flows.service import INSPECTOR_PORT, SERVER_PORT
from tests.dockerfile import Stage, arguments, instructions, stages
from tests.project_files import ROOT, project, workflow

KNOWN = {"ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "RUN", "STOPSIGNAL", "USER"}
KNOWN |= {"VOLUME", "WORKDIR"}


def last() -> Stage:
    return stages()[-1]


def test_it_is_made_of_instructions_that_exist() -> None:
    assert {word for word, _ in instructions((ROOT / "Dockerfile").read_text())} <= KNOWN
    assert [stage.name for stage in stages()] == ["build", "develop", "run"]


def test_the_parser_joins_lines_and_reads_both_forms() -> None:
    (stage,) = stages('FROM a AS b\nRUN one \\\n    && two\n# no\nCMD ["x", "y z"]\nCOPY --from=b c d\n')
    assert (stage.base, stage.name, stage.of("RUN")) == ("a", "b", ["one && two"])
    assert (stage.words("CMD"), stage.words("COPY")) == ([["x", "y z"]], [["c", "d"]])


def test_it_does_not_run_as_root_and_may_write_where_it_has_to() -> None:
    (user,) = last().of("USER")
    assert user not in ("root", "0")
    made = last().of("RUN")[0]
    assert f"useradd --create-home --uid 1000 {user}" in made
    (root,) = last().of("VOLUME")
    assert f"WILSS_ROOT={root}" in last().of("ENV")[0].split()
    for folder in (root, *last().of("WORKDIR")):
        assert folder in made.partition(f"install --directory --owner {user}")[2].split()
    after = [word for word, _ in last().lines[last().lines.index(("USER", user)) :]]
    assert not {"RUN", "COPY"} & set(after), "nothing is made as that user that root should own"


def test_what_it_copies_exists_and_is_let_through() -> None:
    copied = {word for words in stages()[0].words("COPY") for word in words[:-1]}
    assert [name for name in copied if not (ROOT / name).exists()] == []
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule[0] == "!"} == copied
    (between,) = (rest for rest in last().of("COPY") if rest.startswith("--from="))
    assert between.split()[0] == f"--from={stages()[0].name}"


def test_what_it_starts_is_a_command_of_ours() -> None:
    add_commands()
    (entry,), (words,) = last().words("ENTRYPOINT"), last().words("CMD")
    assert entry[0] in project()["scripts"]
    assert words == ["up"]
    assert words[0] in app
    assert {int(port) for port in last().words("EXPOSE")[0]} == {SERVER_PORT, INSPECTOR_PORT}
    assert last().of("STOPSIGNAL") == ["SIGTERM"]


def test_its_health_is_asked_of_a_command_that_tells_it(tmp_path: Path) -> None:
    """Exit code 1 where nothing is up; that it is 0 where a service is, `tests/e2e/test_service.py` tells."""
    assert last().of("HEALTHCHECK")[0].endswith('CMD ["wilss", "status"]')
    words = [sys.executable, "-c", "from deployments.command import main; main()", "status"]
    environment = {**os.environ, "WILSS_ROOT": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "wilss up" in done.stdout + done.stderr


def test_its_python_is_allowed_and_tried_and_cuda_is_asked_for() -> None:
    python = arguments()["PYTHON"]
    assert python in SpecifierSet(project()["requires-python"])
    assert python in workflow()["tests"]["strategy"]["matrix"]["python"]
    assert arguments()["TORCH_BACKEND"] == "cpu"
    assert any('--torch-backend "${TORCH_BACKEND}"' in line for line in stages()[0].of("RUN"))
    assert {stage.base for stage in stages()} == {"python:${PYTHON}-slim", "python:${PYTHON}"}
