"""What a session opens once, what it finds and makes anew, and what that pulls along."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from stores.artefacts import ArtefactRef, Manifest, Recipe
from stores.plans.plan import Node
from stores.plans.session import Session, ago
from wilss.foundation.loading import SCENES_FILE
from wilss.foundation.spec import FoundationSpec
from wilss.settings import Settings

BASE = Node("checkpoint 0", Recipe("checkpoints", {"of": "base"}), "base", "base student")
CHILD, OTHER = (
    Node("checkpoint 1", Recipe("checkpoints", {"of": of}, {"previous": BASE.recipe}), "step", "student of step 1", 1)
    for of in ("step", "step of another run")
)


class House:
    """A store and what was made in it."""

    def __init__(self, root: Path) -> None:
        self.root, self.made = root, list[str]()
        self.store = self.session().store

    def session(self, *again: str) -> Session:
        return Session(Settings(root=self.root, again=again))

    def build(self, session: Session, node: Node) -> None:
        def make(folder: Path) -> Manifest:
            self.made.append(str(node.recipe.facts["of"]))
            (folder / "number").write_text(str(len(self.made)))
            return self.store.publish(node.recipe, folder, {})

        session.obtain(node, make)

    def run(self, *again: str, steps: tuple[Node, ...] = (CHILD,)) -> list[str]:
        """What one session makes; it asks for everything twice."""
        session, self.made = self.session(*again), []
        for _ in range(2):
            for node in (BASE, *steps):
                self.build(session, node)
        return self.made


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_stage_is_made_anew_once_with_what_is_built_upon_it(house: House) -> None:
    assert house.run() == ["base", "step"]
    before = house.store.find(CHILD.recipe)
    assert house.run() == []
    assert house.run("step") == ["step"]
    assert house.run("step-1") == ["step"]
    assert house.run("step-2") == []
    assert house.run("base") == ["base", "step"]
    assert house.run("all") == ["base", "step"]
    after = house.store.find(CHILD.recipe)
    assert before is not None
    assert after is not None
    assert before.digest == after.digest
    assert before.created < after.created
    assert not list(house.store.root.rglob(".*")), "nothing unfinished is left"


def test_what_was_not_there_is_made_once_too(house: House) -> None:
    assert house.run("all") == ["base", "step"]


def test_what_is_shared_is_made_anew_once_and_other_sessions_keep_theirs(house: House) -> None:
    everything = ["base", "step", "step of another run"]
    assert house.run(steps=(CHILD, OTHER)) == everything
    assert house.run("base", steps=(CHILD, OTHER)) == everything  # as in a comparison
    assert house.run("base") == ["base", "step"]
    assert house.run(steps=(CHILD, OTHER)) == []


def test_an_unfinished_one_starts_over_and_leaves_the_old_one(house: House) -> None:
    house.run()

    def fail(folder: Path) -> Manifest:
        assert not list(folder.iterdir())
        (folder / "half").touch()
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            house.session("base").obtain(BASE, fail)
    assert house.run() == []
    assert house.run("base") == ["base", "step"]


def test_what_is_found_is_said(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    house.run()
    capsys.readouterr()
    house.run()
    assert capsys.readouterr().err.splitlines()[:2] == [
        "base student: found, made just now",
        "student of step 1: found, made just now",
    ]


@pytest.mark.parametrize(
    ("age", "words"),
    [(3, "just now"), (61, "1 minute ago"), (7200, "2 hours ago"), (3 * 86400 + 5, "3 days ago"), (-3600, None)],
)
def test_age_in_words(age: int, words: str | None) -> None:
    created = (datetime.now(UTC) - timedelta(seconds=age)).isoformat()
    assert ago(created) == (words or created)
    assert ago("yesterday") == "yesterday"


def test_what_another_process_made_meanwhile_is_taken(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = Node("memory bank", Recipe("banks", {"a": 1}), "bank", "memory bank")
    here, there = house.session(), house.session()
    made: list[Session] = []

    def obtain(session: Session) -> ArtefactRef:
        def make(folder: Path) -> Manifest:
            made.append(session)
            return session.store.publish(bank.recipe, folder, {})

        return session.obtain(bank, make)

    look, looks = here.store.find, list[Manifest | None]()

    def too_early(wanted: Recipe) -> Manifest | None:
        """The first look comes before the other process is done."""
        looks.append(look(wanted))
        if len(looks) == 1:
            obtain(there)
        return looks[-1]

    monkeypatch.setattr(here.store, "find", too_early)
    ref = obtain(here)
    assert looks[0] is None
    assert ref == obtain(here)
    assert made == [there], "made once"
    assert not list((house.root / "banks").glob(".staging*"))


def test_a_session_keeps_to_one_model_and_a_new_one_sees_weights_that_were_made_anew(tmp_path: Path) -> None:
    def session() -> Session:
        return Session(Settings(root=tmp_path / "root"))

    path = tmp_path / "clip.safetensors"
    spec, state = FoundationSpec(scorer=f"clip:scenes@{path}"), load_file(SCENES_FILE)
    save_file(state, path)
    here = session()
    first = here.scorer(spec)
    assert session().scorer(spec).digest == first.digest
    save_file({**state, "logit_scale": state["logit_scale"] + 1}, path)
    assert here.scorer(spec) is first
    assert session().scorer(spec).digest != first.digest
