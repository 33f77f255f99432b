"""``--from``: a step that is learnt from the student in use; what comes before it is not learnt again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from stores.artefacts import Store
from stores.collect import find_garbage
from stores.models.training import card_of
from stores.plans.run import Run
from stores.plans.session import Session
from stores.registry import promote
from wilss.errors import ArtefactNotFoundError, DamagedArtefactError, SpecError
from wilss.models.files import save_model
from wilss.nets.segmenter import build_segmenter
from wilss.settings import Settings
from wilss.spec import make_spec

STEPS = [["arrow", "bolt", "mug"], ["star", "bone"], ["crown", "ring"]]
ADA = {"who": "ada", "why": ""}
FEW = {"n_train": 60, "n_eval": 8}
OPTIONS = ["--preset", "tiny", "--set", *(f"data.{key}={count}" for key, count in FEW.items())]


def content(steps: int, **more: Any) -> dict[str, Any]:
    custom = {"name": "mine", "data": "scenes", "steps": STEPS[:steps]}
    return {"benchmark": "mine", "custom": custom, "preset": "tiny", "data": FEW, **more}


def file_of(folder: Path, steps: int) -> Path:
    path = folder / f"mine-{steps}.yaml"
    path.write_text(f"name: mine\ndata: scenes\nsteps: {json.dumps(STEPS[:steps])}\n")
    return path


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A root with the students of a run of two steps, untrained; the last one is the champion. And the run's plan."""
    root = tmp_path_factory.mktemp("from")
    run = Run(make_spec(content(2)), Session(Settings(root=root), say=lambda text: None))
    for step in range(2):
        recipe = run.plan[f"checkpoint {step}"].recipe
        with run.store.build(recipe) as folder:
            model = build_segmenter(run.spec.student, run.weights, run.protocol.sizes(step))
            save_model(model.state_dict(), card_of(run, step, []), folder)
            run.store.publish(recipe, folder, {"images": 1})
    plan = {name: node.recipe.digest for name, node in run.plan.items()}
    promote(root, plan["checkpoint 1"], expected=None, **ADA)
    return root, plan


@pytest.fixture
def root(learnt: tuple[Path, dict[str, str]], tmp_path: Path) -> Path:
    shutil.copytree(learnt[0], tmp_path / "root")
    return tmp_path / "root"


def opened(root: Path, **more: Any) -> Run:
    return Run(make_spec(content(3, **more)), Session(Settings(root=root), say=lambda text: None))


def plans(root: Path, **more: Any) -> dict[str, str]:
    return {name: node.recipe.digest for name, node in opened(root, **more).plan.items()}


def test_gc_keeps_what_a_run_started_from(learnt: tuple[Path, dict[str, str]], root: Path) -> None:
    going = {item.name for item in find_garbage(root, alone=True).items}
    kept = {f"checkpoints {learnt[1][name][:12]}" for name in ("checkpoint 0", "checkpoint 1")}
    assert not going & kept


def test_another_student_gives_another_recipe_that_names_the_data(learnt: tuple[Path, dict[str, str]]) -> None:
    root, known = learnt
    given = {"students": {1: known["checkpoint 1"][:10]}}
    same, other = plans(root, **given), plans(root, **given, base={"epochs": 2})
    assert list(same) == ["checkpoint 1", "memory bank", "evaluation 1", *list(same)[3:]]
    assert not [name for name in same if name.endswith(" 0") or name == "labels 1"]
    assert other["checkpoint 1"] == same["checkpoint 1"]
    assert other["checkpoint 2"] != same["checkpoint 2"]
    for method in ("wilson", "finetune"):
        run = opened(root, **given, method=method)
        facts = run.plan["checkpoint 2"].recipe.facts
        assert facts["data"] == run.source.fingerprint
        assert facts["canvas"] == run.spec.data.canvas
        world = {"data": {**FEW, "world": {"seed": 5}}}
        assert plans(root, **given, **world, method=method)["checkpoint 2"] != run.plan["checkpoint 2"].recipe.digest


def test_a_run_is_named_by_the_digest(learnt: tuple[Path, dict[str, str]], root: Path) -> None:
    known = learnt[1]
    by_alias, by_digest = (opened(root, students={0: name}).spec for name in ("champion", known["checkpoint 0"]))
    assert by_alias == by_digest, "the student of step 0 that the champion was made from"
    assert opened(root, start=None).spec.facts() == make_spec(content(3)).facts()
    promote(root, known["checkpoint 0"], alias="base", expected=None, **ADA)
    assert opened(root, start="base").spec.start == known["checkpoint 0"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--step 0 --from champion", "--from is for a step that has one before it; steps of mine are 1 to 2, not 0"),
        ("--step 3 --from champion", "steps of mine are 1 to 2, not 3"),
        ("--step 2 --from champoin", "no model is called 'champoin'"),
        ("--step 2 --from {base}", "it knows arrow, bolt, mug, expected are arrow, bolt, mug, star, bone; first"),
        ("--step 2 --from champion --start champion", "start stands for step 0 already; leave students out (--from)"),
        ("--step 1 --from champion --method joint", "joint learns all classes at once; leave students out (--from)"),
        ("--step 2 --set students.1=champion --set students.0=champion", "students names 2 steps"),
        ("--step 2 --set students.7=champion", "students names step 7; mine has the steps 0 to 2"),
    ],
)
def test_what_cannot_be_learnt_is_one_sentence(
    words: str, said: str, wilss: Any, learnt: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    root, known = learnt
    arguments = words.format(base=known["checkpoint 0"]).split()
    code, _, err = wilss("step", file_of(tmp_path, 3), *arguments, *OPTIONS, "--root", root)
    assert code == 2
    assert said in err


def test_reviewed_labels_are_those_of_the_steps_that_are_learnt(learnt: tuple[Path, dict[str, str]]) -> None:
    with pytest.raises(ArtefactNotFoundError, match=r"the label sets of mine are not made yet"):
        opened(learnt[0], students={1: "champion"}, labels="reviewed")


def test_students_of_other_classes_are_refused(learnt: tuple[Path, dict[str, str]]) -> None:
    root = learnt[0]
    custom = {"name": "other", "data": "scenes", "steps": [["arrow", "mug"], ["bolt", "star", "bone"], ["ring"]]}
    other = {"benchmark": "other", "custom": custom, "preset": "tiny", "students": {1: "champion"}}
    with pytest.raises(
        SpecError, match=r"'champion' cannot stand for the student of step 1 of other: .* 'their order'"
    ):
        Run(make_spec(other), Session(Settings(root=root)))
    custom = {"name": "other", "data": "scenes", "steps": [[*STEPS[0], *STEPS[1]], ["ring"]]}
    other = {"benchmark": "other", "custom": custom, "preset": "tiny", "students": {0: "champion"}}
    with pytest.raises(SpecError, match=r"the same classes in steps of 3, 2 .* not in steps of 5 and"):
        Run(make_spec(other), Session(Settings(root=root)))


def test_a_student_whose_maker_is_gone(
    learnt: tuple[Path, dict[str, str]], root: Path, wilss: Any, tmp_path: Path
) -> None:
    base = learnt[1]["checkpoint 0"]
    shutil.rmtree(Store(root).path("checkpoints", base))
    arguments = ["--step", 1, "--from", "champion", *OPTIONS, "--root", root]
    code, _, err = wilss("step", file_of(tmp_path, 2), *arguments)
    assert code == 2
    assert f"that it was made from, {base[:12]}, is not in '{root}' any more; run the benchmark without --from" in err


def test_a_damaged_student_is_told_and_stays(learnt: tuple[Path, dict[str, str]], root: Path) -> None:
    folder = Store(root).path("checkpoints", learnt[1]["checkpoint 1"])
    (folder / "model.safetensors").unlink()
    with pytest.raises(DamagedArtefactError, match=r"model\.safetensors' is damaged"):
        opened(root, students={1: "champion"})
    assert folder.is_dir()
    assert not (root / "quarantine").exists()
