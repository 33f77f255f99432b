"""What is found, what is made anew, and what that pulls along."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tasks.again import Stage, ago, forget_stages, require_stages, stages_of
from tasks.workspace import build_once, forget_data

from stores.artefacts import Manifest, Recipe, Store
from wilss.errors import SpecError

BASE, STEP = Recipe("checkpoints", {"of": "base"}, {}), Stage("step", "student of step 1", 1)
CHILD = Recipe("checkpoints", {"of": "step"}, {"previous": BASE.digest})
OTHER = Recipe("checkpoints", {"of": "step of another run"}, {"previous": BASE.digest})


class House:
    """A store and what was made in it."""

    def __init__(self, root: Path) -> None:
        self.store, self.made = Store(root), list[str]()

    def build(self, recipe: Recipe, stage: Stage, *again: str) -> None:
        def make(folder: Path) -> Manifest:
            self.made.append(str(recipe.facts["of"]))
            (folder / "number").write_text(str(len(self.made)))
            return self.store.publish(recipe, folder, {})

        build_once(self.store, recipe, make, stage, again)

    def run(self, *again: str, steps: tuple[Recipe, ...] = (CHILD,)) -> list[str]:
        """What one flow makes; it asks for everything twice."""
        forget_data()
        self.made = []
        for _ in range(2):
            self.build(BASE, Stage("base", "base student"), *again)
            for step in steps:
                self.build(step, STEP, *again)
        return self.made


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    forget_stages()
    yield House(tmp_path)
    forget_stages()


def test_a_stage_is_made_anew_once_with_what_is_built_upon_it(house: House) -> None:
    assert house.run() == ["base", "step"]
    before = house.store.find(CHILD)
    assert house.run() == []
    assert house.run("step") == ["step"]
    assert house.run("step-1") == ["step"]
    assert house.run("step-2") == []
    assert house.run("base") == ["base", "step"]
    assert house.run("all") == ["base", "step"]
    after = house.store.find(CHILD)
    assert before is not None
    assert after is not None
    assert before.digest == after.digest
    assert before.created < after.created
    assert not list(house.store.root.rglob(".*")), "nothing unfinished is left"


def test_what_was_not_there_is_made_once_too(house: House) -> None:
    assert house.run("all") == ["base", "step"]


def test_what_is_shared_is_made_anew_once_and_other_flows_keep_theirs(house: House) -> None:
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
        forget_data()
        with pytest.raises(KeyboardInterrupt):
            build_once(house.store, BASE, fail, Stage("base", "base student"), ("base",))
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


def test_names_that_are_no_stage_are_told() -> None:
    assert stages_of([0, 2]) == (
        *("all", "base", "bank", "evaluation", "evaluation-0"),
        *("labels", "labels-2", "step", "step-2", "evaluation-2"),
    )
    require_stages(("all", "labels-2"), stages_of([0, 2]))
    with pytest.raises(SpecError, match=r"'labels-1' is no stage that could be made again here. Did you mean 'labels"):
        require_stages(("labels-1",), stages_of([0, 2]))
