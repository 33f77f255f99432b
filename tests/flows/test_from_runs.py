"""``--from`` with real runs: what is made, what is found, and what the report says."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from stores.artefacts import Store
from stores.registry import promote
from tests.flows.test_from import ADA, OPTIONS, STEPS, content, file_of, opened, plans
from wilss.errors import ArtefactNotFoundError, DamagedArtefactError
from wilss.report.records import RunReport
from wilss.settings import Settings
from wilss.spec import make_spec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.usefixtures("prefect_backend")]


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory, prefect_backend: None) -> tuple[Path, dict[str, str]]:
    """A root with a run of two steps, whose last student is the champion; and the artefacts of the run."""
    from flows.benchmark import run_benchmark

    root = tmp_path_factory.mktemp("from")
    artefacts = run_benchmark(make_spec(content(2)), Settings(root=root))["artefacts"]
    promote(root, artefacts["checkpoint 1"], expected=None, **ADA)
    return root, artefacts


@pytest.fixture
def root(learnt: tuple[Path, dict[str, str]], tmp_path: Path) -> Path:
    shutil.copytree(learnt[0], tmp_path / "root")
    return tmp_path / "root"


def test_the_third_step_is_learnt_from_the_champion(
    wilss: Any, learnt: tuple[Path, dict[str, str]], root: Path, tmp_path: Path
) -> None:
    known, path = learnt[1], file_of(tmp_path, 3)
    shutil.rmtree(Store(root).path("evaluations", known["evaluation 1"]))  # what came with the student is made again
    shutil.rmtree(Store(root).path("banks", known["memory bank"]))
    arguments = ["step", path, "--step", 2, "--from", "champion", *OPTIONS, "--root", root]
    code, out, err = wilss(*arguments, "--dry-run")
    assert code == 0, err
    assert "student of step 1," in out
    assert "to be made: 5 nodes" in out, "bank, evaluation of step 1; labels, student and evaluation of step 2"
    before = set(root.glob("checkpoints/??/*"))
    code, out, err = wilss(*arguments)
    assert code == 0, err
    assert "student of step 1, given: found, made" in err
    assert len(set(root.glob("checkpoints/??/*")) - before) == 1, "nothing else was trained"
    (file,) = [path for path in root.glob("runs/mine-*/report.json") if "checkpoint 2" in path.read_text()]
    report = RunReport.read(file)
    assert [step.step for step in report.steps] == [1, 2]
    assert report.artefacts["checkpoint 1"] == known["checkpoint 1"]
    assert "checkpoint 0" not in report.artefacts
    assert {name: report.artefacts[name] for name in ("evaluation 1", "memory bank")} == {
        name: known[name] for name in ("evaluation 1", "memory bank")
    }
    assert report.spec["students"] == {"1": known["checkpoint 1"]}, "the digest, as the alias may move"
    assert [entry.step for entry in report.label_sets] == [2, 2]
    assert report.steps[0].forgetting == 0
    assert list(report.per_class_iou) == ["background", *(name for step in STEPS for name in step)]
    page = file.with_suffix(".html").read_text()
    assert "Predictions before and after the last step" in page
    assert "the student of step 1, from which the run started" in page
    whole = plans(root)
    assert report.artefacts["checkpoint 2"] == whole["checkpoint 2"], "a run of all steps finds it"
    code, _, err = wilss(*arguments)
    assert (code, "report: found, nothing was to be done" in err) == (0, True)
    promote(root, report.artefacts["checkpoint 2"], expected=known["checkpoint 1"], **ADA)
    code, _, err = wilss(*arguments)
    assert code == 0, err
    short = [digest[:12] for digest in (report.artefacts["checkpoint 2"], known["checkpoint 1"])]
    said = f"'champion' ({short[0]}) knows the classes of step 2 already: it is learnt again from the student of step 1"
    assert f"{said} that it was made from, {short[1]}" in err
    assert "report: found, nothing was to be done" in err
    code, _, err = wilss("run", path, "--from", "champion", *OPTIONS, "--root", root)
    assert code == 2
    assert "'champion' knows all 7 classes of mine, so nothing is left to learn; add a step" in err
    code, _, err = wilss("run", path, "--from", known["checkpoint 0"][:9], *OPTIONS, "--root", root)
    assert code == 0, err
    assert "student of step 0, given: found" in err
    assert len(set(root.glob("checkpoints/??/*")) - before) == 1, "both steps after it were found"


def test_a_damaged_student_is_told_and_stays(learnt: tuple[Path, dict[str, str]], root: Path) -> None:
    from flows.benchmark import run_step

    folder = Store(root).path("checkpoints", learnt[1]["checkpoint 1"])
    weights = folder / "model.safetensors"
    weights.write_bytes(bytes(weights.stat().st_size))
    spec = make_spec(content(3, students={1: "champion"}))
    with pytest.raises(DamagedArtefactError, match=r"model\.safetensors' is damaged"):
        run_step(spec, 2, Settings(root=root))
    assert folder.is_dir()
    assert not (root / "quarantine").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--step 2 --from champion --again base", "'base' is no stage that could be made again here"),
        ("--step 2 --from champion --again step-1", "'step-1' is no stage that could be made again here"),
        ("--step 1 --set students.1=champion", "step 1 is not learnt here: the run starts from a student that knows"),
    ],
)
def test_what_is_no_part_of_the_run_is_told(
    words: str, said: str, wilss: Any, learnt: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    code, _, err = wilss("step", file_of(tmp_path, 3), *words.split(), *OPTIONS, "--root", learnt[0])
    assert (code, said in err) == (2, True), err


def test_reviewed_labels_of_the_steps_that_are_learnt_are_asked_for(learnt: tuple[Path, dict[str, str]]) -> None:
    with pytest.raises(ArtefactNotFoundError, match=f"no review of label set {learnt[1]['labels 1'][:12]} was applied"):
        opened(learnt[0], students={0: learnt[1]["checkpoint 0"]}, labels="reviewed")
