"""Artefacts: published by one rename, never half, found by digest."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stores import locks
from stores.artefacts import FORMAT, Anew, ArtefactRef, Recipe, Store, read_manifest
from stores.progress import say
from wilss.damage import seal_of
from wilss.digest import canonical_json, digest_of
from wilss.errors import ArtefactNotFoundError, FormatError


def parents(digest: str) -> dict[str, ArtefactRef]:
    return {"parent": ArtefactRef(kind="checkpoints", digest=digest)}


RECIPE = Recipe("banks", {"a": 1}, parents("p"))


def build(root: Path, recipe: Recipe = RECIPE) -> Store:
    store = Store(root)
    with store.build(recipe) as folder:
        (folder / "content").write_text("x")
        store.publish(recipe, folder, {"n": 1}, {"note": "hello"})
    return store


def test_nothing_is_found_before_the_manifest(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.build(RECIPE) as folder:
        (folder / "content").write_text("x")
        assert store.find(RECIPE) is None
        assert store.all("banks") == []
    assert store.find(RECIPE) is None
    assert (store.staging("banks", RECIPE.digest) / "content").read_text() == "x"  # work in progress is kept


def test_publish_and_find(tmp_path: Path) -> None:
    store = build(tmp_path)
    found = store.find(RECIPE)
    assert found is not None
    assert found.ref.counts == {"n": 1}
    assert found.parents == {"parent": "p"}
    assert not list((tmp_path / "banks").glob(".staging*"))
    assert store.get("banks", RECIPE.digest[:8]).digest == RECIPE.digest


@pytest.mark.parametrize("left", ["manifest.json.partial", "content.partial"])
def test_half_a_file_of_a_killed_process_is_no_part_of_what_is_published(tmp_path: Path, left: str) -> None:
    staging = Store(tmp_path).staging("banks", RECIPE.digest)
    staging.mkdir(parents=True)
    (staging / left).write_text("hal")
    store = build(tmp_path)
    found = store.find(RECIPE)
    assert found is not None
    assert [*found.files] == ["content"]
    assert {path.name for path in store.path("banks", RECIPE.digest).iterdir()} == {"content", "manifest.json"}


def test_publishing_twice_keeps_the_first(tmp_path: Path) -> None:
    store = build(tmp_path)
    first = (store.path("banks", RECIPE.digest) / "manifest.json").read_text()
    build(tmp_path)
    assert (store.path("banks", RECIPE.digest) / "manifest.json").read_text() == first


def test_digest_depends_on_facts_and_parents_only() -> None:
    assert RECIPE.digest == Recipe("banks", {"a": 1}, parents("p")).digest
    others = {Recipe("banks", {"a": 2}, parents("p")).digest, Recipe("banks", {"a": 1}, parents("q")).digest}
    assert RECIPE.digest not in others
    assert len(others) == 2
    assert digest_of({"x": 1, "y": 2}) == digest_of({"y": 2, "x": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json({"x": float("nan")})


def test_newer_format_is_refused_with_the_way_out(tmp_path: Path) -> None:
    store = build(tmp_path)
    path = store.path("banks", RECIPE.digest) / "manifest.json"
    content = json.loads(path.read_text())
    content |= {"format": FORMAT + 1}
    path.write_text(json.dumps({**content, "seal": seal_of(content)}))
    with pytest.raises(FormatError, match=f"format {FORMAT + 1}; this version reads up to {FORMAT}. Upgrade"):
        store.find(RECIPE)


@pytest.mark.parametrize("damage", ["", "{", '{"format": 1}', "[]"])
def test_damaged_manifest_is_named(tmp_path: Path, damage: str) -> None:
    store = build(tmp_path)
    path = store.path("banks", RECIPE.digest) / "manifest.json"
    path.write_text(damage)
    with pytest.raises(FormatError, match=r"manifest\.json"):
        read_manifest(path.parent)


def test_unknown_digest_lists_what_is_there(tmp_path: Path) -> None:
    store = build(tmp_path)
    with pytest.raises(ArtefactNotFoundError, match=f"'ffff' does not exist.*{RECIPE.digest[:12]}"):
        store.get("banks", "ffff")
    with pytest.raises(ArtefactNotFoundError, match="does not exist"):
        store.get("banks", "../../etc")


def _hold(root: Path, ready: object, release: object) -> None:
    store = Store(root)
    with store.build(RECIPE) as folder:
        ready.set()  # type: ignore[attr-defined]
        release.wait(30)  # type: ignore[attr-defined]
        store.publish(RECIPE, folder, {"n": 1})


@pytest.fixture
def release_holder(tmp_path: Path) -> Iterator[Callable[[bool], None]]:
    """Another process builds the artefact; it publishes when told True and is killed when told False."""
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(tmp_path, ready, release))
    holder.start()
    assert ready.wait(30)
    yield lambda publish: release.set() if publish else holder.kill()
    holder.kill()  # never released here: an event waits for its waiters, which a killed one never answers
    holder.join()


def test_who_waits_for_another_process_finds_what_it_made(
    tmp_path: Path, release_holder: Callable[[bool], None]
) -> None:
    store, waited = Store(tmp_path), []
    assert store.find(RECIPE) is None

    def on_wait() -> None:
        waited.append(True)
        release_holder(True)

    with store.build(RECIPE, on_wait):
        assert store.find(RECIPE) is not None
    assert waited == [True]
    assert not list((tmp_path / "banks").glob(".staging*"))


def test_two_processes_never_build_the_same_artefact(tmp_path: Path, release_holder: Callable[[bool], None]) -> None:
    store, waited = Store(tmp_path), []

    def on_wait() -> None:
        waited.append(True)
        release_holder(False)  # a killed builder leaves no lock behind

    with store.build(RECIPE, on_wait) as folder:
        assert store.find(RECIPE) is None
        store.publish(RECIPE, folder, {"n": 1})
    assert store.find(RECIPE) is not None
    assert waited == [True]


def test_who_waits_long_is_told_for_whom(
    tmp_path: Path,
    release_holder: Callable[[bool], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def told_and_let_go(sentence: str) -> None:
        say(sentence)
        release_holder(True)

    monkeypatch.setattr(locks, "PATIENCE", 0.05)
    monkeypatch.setattr(locks, "say", told_and_let_go)
    with Store(tmp_path).build(RECIPE):
        told = capsys.readouterr().err.splitlines()[0]
        (own,) = (tmp_path / "banks").glob("*.lock.pid")
        assert own.read_text().startswith(f"{os.getpid()} on ")
    holder = re.match(r"waited \d+ s for process (\d+) on \S+, which holds '", told)
    assert holder is not None, told
    assert int(holder[1]) != os.getpid()
    assert f".staging-{RECIPE.digest}.lock'; end it if it hangs" in told
    assert not list((tmp_path / "banks").glob(".staging*"))


def made_anew(store: Store, recipe: Recipe, content: str, token: str) -> None:
    found = store.find(recipe)
    assert found is not None
    with store.build(recipe, anew=Anew(token, found.created)) as folder:
        (folder / "content").write_text(content)
        store.publish(recipe, folder, {"n": 2})


def test_an_artefact_is_replaced_only_when_the_new_one_is_whole(tmp_path: Path) -> None:
    store = build(tmp_path)
    first, path = store.find(RECIPE), store.path("banks", RECIPE.digest)
    assert first is not None
    with store.build(RECIPE, anew=Anew("a", first.created)) as folder:
        (folder / "half").touch()
    assert store.find(RECIPE) == first
    assert (path / "content").read_text() == "x"
    made_anew(store, RECIPE, "y", "b")  # another making: nothing of the first is left
    second = store.find(RECIPE)
    assert second is not None
    assert second.created > first.created
    assert sorted(p.name for p in path.iterdir()) == ["content", "manifest.json"]
    assert (path / "content").read_text() == "y"
    assert [p.name for p in (tmp_path / "banks").iterdir()] == [RECIPE.digest[:2]]
    assert store.get("banks", RECIPE.digest[:8]) == second


def test_the_same_making_goes_on_and_what_another_one_made_meanwhile_stays(tmp_path: Path) -> None:
    store = build(tmp_path)
    first = store.find(RECIPE)
    assert first is not None
    for _ in range(2):  # such as shard after shard
        with store.build(RECIPE, anew=Anew("a", first.created)) as folder:
            (folder / "shard").open("a").write("z")
    assert (folder / "shard").read_text() == "zz"
    made_anew(store, RECIPE, "y", "b")
    with store.build(RECIPE, anew=Anew("a", first.created)):
        assert store.find(RECIPE) != first
    assert [p.name for p in (tmp_path / "banks").iterdir()] == [RECIPE.digest[:2]]


def test_a_process_that_is_killed_while_it_replaces_loses_nothing(tmp_path: Path) -> None:
    store = build(tmp_path)
    path, aside = store.path("banks", RECIPE.digest), tmp_path / "banks" / f".replaced-{RECIPE.digest}"
    path.rename(aside)
    assert store.find(RECIPE) is None
    assert store.all("banks") == []
    with store.build(RECIPE):
        assert store.find(RECIPE) is not None
    assert (path / "content").read_text() == "x"
    aside.mkdir()  # killed a moment later: the old one is still there
    made_anew(store, RECIPE, "y", "a")
    assert not aside.exists()
