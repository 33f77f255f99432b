"""A user's file of registrations: its bytes are in the digests, and what is wrong in it is told with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from stores.plans.fewshot_run import FewShotRun
from stores.plans.run import Run
from stores.plans.session import Session
from wilss.data.families import open_source
from wilss.data.scenes.source import ScenesSource
from wilss.data.spec import DataSpec
from wilss.digest import digest_of
from wilss.errors import SpecError
from wilss.fewshot.spec import make_fewshot_spec
from wilss.foundation.spec import FoundationSpec
from wilss.foundation.zoo import build_grouper, build_scorer
from wilss.learn.methods import METHODS
from wilss.register import load_registrations, read_own_benchmark
from wilss.settings import Settings
from wilss.spec import make_spec

pytestmark = pytest.mark.usefixtures("registrations")

TINY = {"benchmark": "scenes-15-5", "preset": "tiny"}
NODES = ("checkpoint 0", "labels 1", "checkpoint 1")
FILE = """
from wilss.data.families import FAMILIES, Family
from wilss.learn.methods.finetune import Finetune
from wilss.learn.spec import MethodSettings
from wilss.register import register_family, register_grouper, register_head, register_method, register_scorer


class Own(MethodSettings):
    weight: float = 1.0


def scorer(spec, folder, device):
    from wilss.foundation.zoo import clip_scorer

    return clip_scorer(spec.model_copy(update={"scorer": "clip:scenes"}), folder, device)


def grouper(spec, folder, device):
    from wilss.foundation.zoo import attention_grouper

    return attention_grouper(spec.model_copy(update={"grouper": "dino:scenes"}), folder, device)


register_method("own-method", Finetune, Own)
register_head("own-head", lambda spec, channels: None)
register_scorer("own-scorer", scorer)
register_grouper("own-grouper", grouper)
register_family(Family("own-scenes", FAMILIES["scenes"].open, FAMILIES["scenes"].classes, preset="tiny"))
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(FILE)
    return path


def test_the_bytes_of_the_file_are_in_the_digests_of_what_it_makes(file: Path, tmp_path: Path) -> None:
    def digests() -> dict[str, str]:
        foundation = {"scorer": "own-scorer:x", "grouper": "own-grouper:x"}
        custom = {"name": "own", "data": "own-scenes", "steps": [["arrow", "star"], ["mug"]]}
        own_data = {"benchmark": "own", "custom": custom, "preset": "tiny"}
        runs = {
            "method": make_spec({**TINY, "method": "own-method"}),
            "models": make_spec({**TINY, "foundation": foundation}),
            "data": make_spec(own_data),
        }
        found = {f"{name} settings": digest_of(spec.facts()) for name, spec in runs.items()}
        for name, spec in runs.items():
            plan = Run(spec, Session(Settings(root=tmp_path))).plan
            found |= {
                f"{name} {node}": plan[node].recipe.digest for node in ("checkpoint 0", "labels 1", "checkpoint 1")
            }
        few = make_fewshot_spec({"benchmark": "scenes-5i", "fold": 0, "preset": "tiny", "head": "own-head"})
        nodes = FewShotRun(few, Session(Settings(root=tmp_path))).plan
        found["few-shot settings"] = digest_of(few.facts())
        return found | {f"few-shot {node}": nodes[node].recipe.digest for node in ("silhouettes", "head")}

    load_registrations(file)
    before = digests()
    load_registrations(file)
    assert digests() == before
    file.write_text(FILE + "# changed\n")
    load_registrations(file)
    after = digests()
    same = {"method checkpoint 0", "method labels 1", "models checkpoint 0", "few-shot silhouettes"}
    assert {name for name in before if before[name] == after[name]} == same


def test_models_from_a_file_work_as_those_that_they_are(file: Path) -> None:
    load_registrations(file)
    spec, images = (
        FoundationSpec(scorer="own-scorer:x", grouper="own-grouper:x", precision="fp32"),
        torch.rand(1, 3, 48, 48),
    )
    ours = FoundationSpec(precision="fp32")
    own, scorer = build_scorer(spec), build_scorer(ours)
    assert torch.equal(own.scores(images, [["star"]]), scorer.scores(images, [["star"]]))
    assert own.digest != scorer.digest
    grouper, seeds = build_grouper(spec), torch.rand(1, 2, 2)
    assert torch.equal(grouper.affinity(images, seeds), build_grouper(ours).affinity(images, seeds))
    assert grouper.grid(48, 48) == build_grouper(ours).grid(48, 48)


def test_data_of_a_file_are_opened(file: Path, tmp_path: Path) -> None:
    load_registrations(file)
    assert isinstance(open_source("own-scenes", DataSpec(n_train=2), Settings(root=tmp_path)), ScenesSource)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (FILE + "\n1 / 0\n", "own.py', line 30: ZeroDivisionError: division by zero"),
        ("def f(:\n", "own.py', line 1: SyntaxError: invalid syntax"),
        ("import nothing_of_this_name\n", "line 1: ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("import sys\n\nsys.exit(1)\n", "line 3: SystemExit: 1"),
        (FILE + 'register_method("own-method", Finetune)\n', "line 29: method 'own-method' is registered already"),
        (FILE + 'register_method("half", object)\n', "line 29: method 'half' lacks 'paste'"),
    ],
)
def test_a_file_that_fails_is_told_with_its_line_and_leaves_nothing(content: str, message: str, file: Path) -> None:
    file.write_text(content)
    with pytest.raises(SpecError) as caught:
        load_registrations(file)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "own-method" not in METHODS
    file.write_text(FILE)
    load_registrations(file)
    assert METHODS["own-method"].source


def test_a_newer_file_takes_the_place_of_the_older_one(file: Path) -> None:
    load_registrations(file)
    first = METHODS["own-method"]
    load_registrations(file)
    assert METHODS["own-method"] is first
    file.write_text(FILE.replace("own-method", "new-method"))
    load_registrations(file)
    assert "own-method" not in METHODS
    assert METHODS["new-method"].source != first.source
    file.write_text("1 / 0\n")
    with pytest.raises(SpecError, match="ZeroDivisionError"):
        load_registrations(file)
    assert "new-method" in METHODS
    with pytest.raises(SpecError, match=r"none\.py' does not exist; give a Python file"):
        load_registrations(file.with_name("none.py"))


@pytest.mark.parametrize("named", ["../own.py", "/etc/passwd.py", "link.py", "sub/../../own.py", 3, "a\0b"])
def test_a_benchmark_imports_nothing_from_outside_its_folder(named: object, file: Path) -> None:
    beside = file.parent / "inner"
    (beside / "sub").mkdir(parents=True)
    yaml = beside / "mine.yaml"
    yaml.write_text("import: " + json.dumps(named) + "\nname: mine\ndata: folder\nsteps: [[a], [b]]\n")
    (file.parent / "own.py").write_text(FILE)
    (beside / "link.py").symlink_to(file.parent / "own.py")
    with pytest.raises(SpecError, match="name Python files that lie beside it or in a folder below"):
        read_own_benchmark(yaml)
    assert "own-method" not in METHODS


def test_a_benchmark_imports_what_lies_below_it(file: Path) -> None:
    yaml = file.parent / "mine.yaml"
    (file.parent / "sub").mkdir()
    (file.parent / "sub" / "own.py").write_text(FILE)
    yaml.write_text("import: sub/own.py\nname: mine\ndata: folder\nsteps: [[a], [b]]\n")
    assert "import" not in read_own_benchmark(yaml)
    assert "own-method" in METHODS
