"""A run that is sent as plain data is opened as the same run."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from stores.plans.closed import ClosedRun
from stores.plans.run import Run
from stores.plans.session import Session
from wilss.errors import RunnerError, SpecError
from wilss.register import load_registrations
from wilss.settings import Settings
from wilss.spec import make_spec

TINY = {"benchmark": "scenes-15-5", "preset": "tiny"}
OWN = """
import wilss
wilss.register_scorer("own", lambda spec, weights, device: None)
"""


def opened(settings: Settings, **spec: object) -> Run:
    return Run(make_spec({**TINY, **spec}), Session(settings))


def test_it_has_the_same_nodes_wherever_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("root").mkdir()
    run = opened(Settings(root=Path("root"), runner="dask", workers=2), step={"epochs": 3})
    sent = pickle.dumps(ClosedRun.of(run, Path("root")))
    assert len(sent) < 20_000
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    there = pickle.loads(sent).open("a worker")
    digests = [{name: node.recipe.digest for name, node in of.plan.items()} for of in (run, there)]
    assert digests[0] == digests[1]
    assert (there.settings.root, there.settings.runner) == (tmp_path / "root", "threads")


def test_it_is_plain_data(tmp_path: Path) -> None:
    closed = ClosedRun.of(opened(Settings(root=tmp_path)), tmp_path)
    assert ClosedRun.model_validate_json(closed.model_dump_json()) == closed


def test_what_is_made_anew_here_is_made_anew_there(tmp_path: Path) -> None:
    """Also where the artefact of another step is its reason, and the old one stands."""
    run = opened(Settings(root=tmp_path, again=("labels",)))
    node = run.node("labels", 1)
    with run.store.build(node.recipe) as folder:
        run.store.publish(node.recipe, folder, {})
    assert run.session.standing(node) is None
    there = ClosedRun.of(run, tmp_path).open("a worker")
    assert there.session.anew == run.session.anew
    assert there.session.standing(there.node("labels", 1)) is None


@pytest.mark.usefixtures("registrations")
def test_files_of_registrations_are_loaded_there(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    load_registrations(tmp_path / "own.py")
    closed = ClosedRun.of(opened(Settings(root=tmp_path)), tmp_path)
    assert closed.files[-1] == tmp_path / "own.py", "after what others of this process have registered"
    (tmp_path / "own.py").write_text("raise ValueError('seen')")
    with pytest.raises(SpecError, match="line 1: ValueError: seen"):
        closed.open("a worker")


def test_another_root_is_one_sentence(tmp_path: Path) -> None:
    closed = ClosedRun.of(opened(Settings(root=tmp_path)), tmp_path / "labels")
    with pytest.raises(RunnerError) as told:
        closed.open("the worker tcp://10.0.0.7:4")
    assert str(told.value) == (
        f"the worker tcp://10.0.0.7:4 does not see '{tmp_path / 'labels'}'; root, data and weights have to lie at the "
        "same paths on every machine, such as a folder that all of them mount"
    )
