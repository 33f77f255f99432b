"""Retraining with a gate on the built-in world: first model, the same again, a worse one, two at once, a crash."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from flows.reopened import started
from stores import guards
from stores.artefacts import Store
from stores.gates import read_gates
from stores.registry import promote, rollback
from tests.commands import Wilss
from wilss.aliases import aliases_of, moves_of
from wilss.errors import DamagedArtefactError, DataError, SpecError
from wilss.report.gate import GateReport
from wilss.retrain import RetrainSpec, make_retrain_spec
from wilss.settings import Settings

pytestmark = pytest.mark.usefixtures("prefect_backend")

TINY = {"benchmark": "scenes-15-5", "preset": "tiny"}
OTHER = {"method": "finetune", "step": {"epochs": 1}}
"""Another model over the same base student and labels."""
LENIENT = {"floor": 0, "least_per_class": 0}
"""A tiny model of two epochs knows little, and 24 images do not show everything."""


def wanted(run: dict[str, Any] | None = None, gate: dict[str, Any] | None = None, **more: Any) -> RetrainSpec:
    return make_retrain_spec({"run": {**TINY, **(run or {})}, "gate": {**LENIENT, **(gate or {})}, **more})


def retrain(root: Path, spec: RetrainSpec) -> dict[str, Any]:
    from flows.retrain import run_retraining

    return run_retraining(spec, Settings(root=root))


def state_of(root: Path, spec: RetrainSpec) -> Any:
    from flows.retrain import run_retraining

    return run_retraining(spec, Settings(root=root), return_state=True)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, prefect_backend: None) -> tuple[Path, dict[str, Any]]:
    """A root whose first model has become the champion, and what the flow returned."""
    from flows.benchmark import run_step
    from wilss.spec import make_spec

    root = tmp_path_factory.mktemp("first")
    found = retrain(root, wanted())
    run_step(make_spec({**TINY, **OTHER}), 1, Settings(root=root))  # the tests below find it
    return root, found


@pytest.fixture
def root(first: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    shutil.copytree(first[0], tmp_path / "root")
    return tmp_path / "root"


def files(root: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


def kept(root: Path) -> list[GateReport]:
    return list(read_gates(root))


def test_the_first_model_that_meets_floors_and_images_becomes_champion(first: tuple[Path, dict[str, Any]]) -> None:
    root, found = first
    assert (found["outcome"], found["champion"]) == ("promoted", None)
    assert aliases_of(root) == {"champion": found["challengers"][0]}
    (report,) = kept(root)
    assert report.model_dump(mode="json") == {key: value for key, value in found.items() if key != "path"}
    assert report.verdict.notes == ("no model was in use: only floors and the number of images were looked at",)
    assert len(report.guard_images) == 24
    assert "at the command line" in report.started_by
    page = Path(found["path"]).with_suffix(".html").read_text()
    assert "passed the gate and is in use" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    (move,) = moves_of(root)
    assert (move.evidence, move.before, move.after) == (found["path"], None, report.challengers[0])


def test_the_same_again_is_nothing_to_do_and_cheap(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {
        path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file() and "prefect" not in path.parts
    }
    monkeypatch.setattr("flows.retrain.judged", lambda *_: pytest.fail("judged again"))
    state = state_of(root, wanted())
    assert (state.name, state.type.value) == ("Nothing to do", "COMPLETED")
    assert "nothing has changed: champion is this very model" in state.message
    after = {
        path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file() and "prefect" not in path.parts
    }
    assert after == before


@pytest.mark.slow
def test_a_worse_model_is_kept_out_with_the_classes_named(root: Path) -> None:
    before = aliases_of(root)
    state = state_of(root, wanted({"step": {"lr_backbone": 0.5, "lr_head": 0.5}}, {"delta": 0.0, "epsilon": 0.0}))
    found = state.result()
    assert (state.name, found["outcome"]) == ("Not promoted", "kept out")
    assert aliases_of(root) == before
    lost = next(rule for rule in found["verdict"]["rules"] if rule["rule"] == "old")
    assert not lost["passed"]
    assert lost["by"] < 0
    assert lost["classes"]
    assert lost["classes"][0] in state.message
    page = Path(found["path"]).with_suffix(".html").read_text()
    assert page.count("lost too much") == len(lost["classes"])
    again = state_of(root, wanted({"step": {"lr_backbone": 0.5, "lr_head": 0.5}}, {"delta": 0.0, "epsilon": 0.0}))
    assert again.name == "Nothing to do"
    assert "was kept out" in again.message


def test_other_rules_judge_a_model_that_was_kept_out_anew_without_training(root: Path) -> None:
    kept_out = retrain(root, wanted(OTHER, {"floor": 1.0, "epsilon": 0.0, "delta": 0.0, "least_images": 25}))
    assert kept_out["outcome"] == "kept out"
    assert "the guard set has 24 images, at least 25 are wanted" in kept_out["reason"]
    students = len(Store(root).all("checkpoints"))
    let_in = retrain(root, wanted(OTHER, {"epsilon": 1.0, "delta": 1.0}))
    assert let_in["outcome"] == "promoted"
    assert let_in["challengers"] == kept_out["challengers"]
    assert len(Store(root).all("checkpoints")) == students
    assert aliases_of(root)["previous"] == kept_out["champion"]

    rollback(root, who="me", why="worse in the field")
    state = state_of(root, wanted(OTHER, {"epsilon": 1.0, "delta": 1.0}))
    assert state.name == "Nothing to do", "who went back meant it"
    assert "is champion no longer" in state.message
    assert aliases_of(root)["champion"] == kept_out["champion"]


def test_two_gates_at_once_one_wins_and_the_other_says_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows import retrain as flow

    write = flow.concluded

    def other_is_faster(session: Any, report: GateReport, outcome: Any, reason: str) -> GateReport:
        if outcome == "passed":
            base = next(m for m in Store(root).all("checkpoints") if m.recipe.get("stage") == "base")
            promote(root, base.digest, expected=report.champion, who="another gate", why="faster")
        return write(session, report, outcome, reason)

    monkeypatch.setattr(flow, "concluded", other_is_faster)
    state = state_of(root, wanted(OTHER, {"epsilon": 1.0, "delta": 1.0}))
    assert state.name == "Not promoted"
    assert state.message.startswith("overtaken: alias 'champion' points to ")
    assert "by another gate" in state.message
    assert kept(root)[0].outcome == "overtaken"
    assert [move.who for move in moves_of(root)][1:] == ["another gate"]


@pytest.mark.parametrize("when", [1, 2])
def test_a_model_that_does_not_load_is_never_in_use(root: Path, monkeypatch: pytest.MonkeyPatch, when: int) -> None:
    """Before the alias moves (1), and after it did (2)."""
    from stores.models import smoke

    before, calls = aliases_of(root)["champion"], []

    def broken(folder: Path, device: object) -> None:
        calls.append(folder)
        if len(calls) == when:
            raise DamagedArtefactError("it does not load")

    monkeypatch.setattr(smoke, "smoke", broken)
    spec = wanted(OTHER, {"epsilon": 1.0, "delta": 1.0})
    with pytest.raises(DamagedArtefactError, match="it does not load"):
        retrain(root, spec)
    assert aliases_of(root)["champion"] == before
    assert (kept(root)[0].outcome, kept(root)[0].reason) == ("failed", "it does not load")


def test_a_process_that_ends_after_the_alias_moved_leaves_nothing_to_do(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import retrain as flow

    write, spec = flow.concluded, wanted(OTHER, {"epsilon": 1.0, "delta": 1.0})

    def killed(session: Any, report: GateReport, outcome: Any, reason: str) -> GateReport:
        if outcome == "promoted":
            raise KeyError("killed")
        return write(session, report, outcome, reason)

    monkeypatch.setattr(flow, "concluded", killed)
    assert state_of(root, spec).type.value == "FAILED"
    assert (kept(root)[0].outcome, aliases_of(root)["champion"]) == ("passed", kept(root)[0].challengers[0])
    monkeypatch.undo()
    again = state_of(root, spec)
    assert (again.name, "champion is this very model" in again.message) == ("Nothing to do", True)
    assert len(moves_of(root)) == 2


def test_a_gate_that_crashes_promotes_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = aliases_of(root)
    monkeypatch.setattr("flows.retrain.judge", lambda *_: 1 / 0)
    state = state_of(root, wanted(OTHER))
    assert state.type.value == "FAILED"
    assert aliases_of(root) == before
    assert len(kept(root)) == 1


@pytest.mark.slow
def test_the_mean_of_seeds_is_judged_and_the_first_model_as_well(root: Path) -> None:
    found = retrain(root, wanted(OTHER, {"epsilon": 1.0, "delta": 1.0}, seeds=[0, 1]))
    assert found["outcome"] == "promoted"
    assert len(set(found["challengers"])) == 2
    assert aliases_of(root)["champion"] == found["challengers"][0]
    means, own = ({c["name"]: c["challenger"] for c in found[key]["classes"]} for key in ("verdict", "own_verdict"))
    assert means != own
    assert set(found["scores"]) == {"challenger", "challenger 1", "champion"}
    page = Path(found["path"]).with_suffix(".html").read_text()
    assert "Seed 0, which may be promoted" in page


def test_on_the_command_line_nobody_is_asked_and_nothing_moves(root: Path) -> None:
    spec = wanted(OTHER, {"epsilon": 1.0, "delta": 1.0}, approval={"wanted": True})
    before, state = aliases_of(root), state_of(root, spec)
    assert (state.name, state.result()["outcome"]) == ("Not promoted", "no answer")
    assert "nobody can be asked on the command line" in state.message
    assert aliases_of(root) == before
    again = state_of(root, spec)
    assert again.name == "Nothing to do"
    assert "wilss models promote" in again.message


def test_it_starts_from_the_model_in_use_where_that_is_asked_for(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The champion knows the classes of the step already, so that it is learnt again from what it was made from."""
    from stores.plans.session import Session

    spec = wanted(OTHER, {"epsilon": 1.0, "delta": 1.0}, from_alias=True)
    students = {manifest.digest for manifest in Store(root).all("checkpoints")}
    found = retrain(root, spec)
    assert found["outcome"] == "promoted"
    assert set(found["challengers"]) <= students, "built upon the same base student by the same recipe"
    assert "it is learnt again from the student of step 0" in capsys.readouterr().err
    empty = Session(Settings(root=tmp_path / "empty"))
    assert started(spec.run, spec, empty) == spec.run
    assert "there is no champion to start from yet; every step is learnt" in capsys.readouterr().err


class TestGuardSet:
    @pytest.fixture(scope="class")
    @staticmethod
    def run(first: tuple[Path, dict[str, Any]]) -> Any:
        from stores.plans.run import Run
        from stores.plans.session import Session

        return Run(wanted().run, Session(Settings(root=first[0])))

    def test_it_is_frozen_once(self, run: Any) -> None:
        (path,) = (run.store.root / "guards").glob("*.json")
        assert path.name == "scenes-15-5-step-1.json"
        ids = run.source.ids("eval")
        assert guards.frozen_guard(run, 1, path.stem).images == ids
        assert guards.frozen_guard(run, 1, path.stem, list(reversed(ids))).images == ids
        with pytest.raises(SpecError, match=r"is frozen with 24 images since .*, not with these 2; give the new set"):
            guards.frozen_guard(run, 1, path.stem, ids[:2])

    def test_a_part_of_the_images_may_be_taken(self, run: Any) -> None:
        ids = run.source.ids("eval")
        guard = guards.frozen_guard(run, 1, "few", [ids[5], ids[2]])
        assert guard.images == (ids[2], ids[5])
        assert sum(guards.shown_in(run, guard).values()) == sum(len(run.source.tags("eval")[n]) for n in (2, 5))

    def test_images_that_are_none_of_the_evaluation_are_refused(self, run: Any) -> None:
        with pytest.raises(DataError, match=r"1 images of guard set 'odd' are training images \('train"):
            guards.frozen_guard(run, 1, "odd", [run.source.ids("train")[0]])
        with pytest.raises(DataError, match=r"1 images of guard set 'odd' are no evaluation images .*\('gone'\)"):
            guards.frozen_guard(run, 1, "odd", ["gone"])
        assert not (run.store.root / "guards" / "odd.json").exists()

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"images": ["gone"]}, "no evaluation images of these data"),
            ({"data": "0" * 32}, "were changed since it was frozen on"),
            ({"classes": ["unicorn"]}, "was frozen with the class 'unicorn'"),
        ],
    )
    def test_what_has_changed_since_is_refused(self, run: Any, change: dict[str, Any], told: str) -> None:
        from wilss.damage import seal_of

        guards.frozen_guard(run, 1, "changed")
        path = run.store.root / "guards" / "changed.json"
        content = json.loads(path.read_text()) | change
        path.write_text(json.dumps(content | {"seal": seal_of(content)}))
        with pytest.raises(DataError, match=told):
            guards.frozen_guard(run, 1, "changed")
        path.unlink()

    def test_a_damaged_one_is_told_with_a_cure(self, run: Any) -> None:
        guards.frozen_guard(run, 1, "broken")
        path = run.store.root / "guards" / "broken.json"
        path.write_text(path.read_text().replace("eval", "evil", 1))
        with pytest.raises(DamagedArtefactError, match="freeze the set anew"):
            guards.frozen_guard(run, 1, "broken")
        path.unlink()


SHORT = ("--preset", "tiny", "--gate.floor", 0, "--gate.least-per-class", 0)


def test_the_command_says_that_there_is_nothing_to_do_without_a_flow(
    wilss: Wilss, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.cli.retrain.server_at_hand", lambda *_: pytest.fail("a server is started"))
    code, out, _ = wilss("retrain", "scenes-15-5", *SHORT, "--root", root)
    assert (code, out.partition(",")[0]) == (0, "nothing to do: nothing has changed: champion is this very model")


def test_the_command_shows_classes_and_rules_and_tells_by_its_exit_code(wilss: Wilss, root: Path) -> None:
    other = ("retrain", "scenes-15-5", "--method", "finetune", "--set", "step.epochs=1", *SHORT, "--root", root)
    code, out, _ = wilss(*other, "--gate.least-images", 25)
    assert code == 1
    assert "the guard set has 24 images, at least 25 are wanted" in out
    for word in ("challenger", "background", "not met", "kept out by the gate", "gate: "):
        assert word in out
    code, out, _ = wilss(*other, "--gate.epsilon", 1, "--gate.delta", 1)
    assert (code, "passed the gate and is in use: champion is" in out) == (0, True)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--gate.epsilon", 2), "epsilon"),
        (("--guard", "a/b"), "'guard' is 'a/b'"),
        (("--alias", "previous"), "'previous' follows the champion"),
        (("--step", 7), "scenes-15-5 has no step 7; its steps are 0 to 1"),
        (("--method", "joint"), "joint learns all classes at once"),
    ],
)
def test_the_command_refuses_in_words(wilss: Wilss, tmp_path: Path, given: tuple[object, ...], told: str) -> None:
    code, out, err = wilss("retrain", "scenes-15-5", *SHORT, *given, "--root", tmp_path)
    assert (code, told in out + err) == (2, True), out + err


def test_guard_images_come_from_a_file_whose_name_they_get(wilss: Wilss, root: Path, tmp_path: Path) -> None:
    listed = tmp_path / "winter.txt"
    listed.write_text("\n".join(_eval_ids(root)[:6]))
    other = ("retrain", "scenes-15-5", "--method", "finetune", "--set", "step.epochs=1", *SHORT, "--root", root)
    code, out, _ = wilss(*other, "--guard", listed)
    assert (code, "the guard set has 6 images, at least 20 are wanted" in out) == (1, True)
    assert json.loads((root / "guards" / "winter.json").read_text())["images"] == sorted(_eval_ids(root)[:6])


def _eval_ids(root: Path) -> list[str]:
    return list(kept(root)[-1].guard_images)
