"""Aliases: what they point to, who moves them, and what is told when they cannot be moved."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import random
import resource
import signal
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

import stores.models.smoke
from stores.artefacts import Store
from stores.collect import find_garbage
from stores.journal import Journal
from stores.registry import AliasMovedError, promote, rollback, set_alias
from stores.verify import repair, verify
from tests.stores.students import publish_student
from tests.stores.test_collect import publish
from wilss.aliases import FORM, aliases_of, moves_of, require_alias
from wilss.errors import ArtefactNotFoundError, DamagedArtefactError, SpecError, StorageError
from wilss.models.lookup import model_folder

ADA = {"who": "ada", "why": "a test"}
FORK = multiprocessing.get_context("fork")
forked = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")


@pytest.fixture
def students(tmp_path: Path) -> list[str]:
    return [publish_student(tmp_path, number).digest for number in range(3)]


def log_of(root: Path) -> Path:
    return root / "aliases" / "moves.jsonl"


def test_a_promotion_keeps_the_champion_before_it_as_previous(tmp_path: Path, students: list[str]) -> None:
    a, b, c = students
    assert aliases_of(tmp_path) == {}
    first = promote(tmp_path, a[:9], expected=None, who=" ada  l. ", why="the first", evidence="gates/1.json")
    assert (first.n, first.who, first.before, first.after, first.previous) == (1, "ada l.", None, a, None)
    promote(tmp_path, b, expected=a, **ADA)
    second = promote(tmp_path, c, expected=b, **ADA)
    assert aliases_of(tmp_path) == {"champion": c, "previous": b}
    assert len(log_of(tmp_path).read_bytes().splitlines()) == 3, "one line each"
    assert moves_of(tmp_path)[-1] == second
    assert moves_of(tmp_path)[0].evidence == "gates/1.json"
    set_alias(tmp_path, "challenger", a, expected=None, **ADA)
    promote(tmp_path, b, alias="eu-west", expected=None, **ADA)
    promote(tmp_path, c, alias="eu-west", expected=b, **ADA)
    assert aliases_of(tmp_path) == {"challenger": a, "champion": c, "eu-west": c, "previous": b}
    removed = set_alias(tmp_path, "challenger", None, expected=a, **ADA)
    assert (removed.what, removed.after) == ("remove", None)
    assert "challenger" not in aliases_of(tmp_path)
    with pytest.raises(ArtefactNotFoundError, match="no alias 'challenger' in"):
        set_alias(tmp_path, "challenger", None, expected=None, **ADA)


def test_a_repeated_promotion_writes_nothing(tmp_path: Path, students: list[str]) -> None:
    a, b, _ = students
    promote(tmp_path, a, expected=None, **ADA)
    moved = promote(tmp_path, b, expected=a, **ADA)
    before = log_of(tmp_path).read_bytes()
    assert promote(tmp_path, b, expected=a, who="bob", why="after a crash") == moved
    assert log_of(tmp_path).read_bytes() == before


def test_who_saw_another_champion_moves_nothing(tmp_path: Path, students: list[str]) -> None:
    a, b, c = students
    promote(tmp_path, a, expected=None, **ADA)
    promote(tmp_path, b, expected=a, **ADA)
    with pytest.raises(AliasMovedError) as caught:
        promote(tmp_path, c, expected=a, **ADA)
    assert (caught.value.now, caught.value.expected) == (b, a)
    said = str(caught.value)
    assert said.startswith(f"alias 'champion' points to {b[:12]} by now (promote by ada, 20")
    assert f"expected was {a[:12]}; nothing was moved" in said
    assert str(pickle.loads(pickle.dumps(caught.value))) == said
    with pytest.raises(AliasMovedError, match="points to nothing by now, expected was"):
        set_alias(tmp_path, "challenger", c, expected=a, **ADA)
    assert aliases_of(tmp_path) == {"champion": b, "previous": a}


def test_rollback_loads_before_it_switches_and_a_second_one_goes_forward(tmp_path: Path, students: list[str]) -> None:
    a, b, _ = students
    promote(tmp_path, a, expected=None, **ADA)
    with pytest.raises(ArtefactNotFoundError, match=f"'champion' has no previous model: {a[:12]} is the first"):
        rollback(tmp_path, **ADA)
    promote(tmp_path, b, expected=a, **ADA)
    moved = rollback(tmp_path, **ADA)
    assert (moved.what, moved.before, moved.after, moved.previous) == ("rollback", b, a, b)
    assert aliases_of(tmp_path) == {"champion": a, "previous": b}
    rollback(tmp_path, **ADA)
    assert aliases_of(tmp_path) == {"champion": b, "previous": a}
    weights = Store(tmp_path).path("checkpoints", a) / "model.safetensors"
    weights.write_bytes(bytes(weights.stat().st_size))
    with pytest.raises(DamagedArtefactError, match=r"model\.safetensors' is damaged"):
        rollback(tmp_path, **ADA)
    for path in Store(tmp_path).path("checkpoints", a).iterdir():
        path.unlink()
    Store(tmp_path).path("checkpoints", a).rmdir()
    with pytest.raises(ArtefactNotFoundError, match=f"'champion' pointed to before, {a[:12]}, is not in .* any more"):
        rollback(tmp_path, **ADA)
    assert aliases_of(tmp_path) == {"champion": b, "previous": a}


def test_a_model_that_computes_no_numbers_is_not_gone_back_to(tmp_path: Path, students: list[str]) -> None:
    broken = publish_student(tmp_path, 9, broken=True).digest
    promote(tmp_path, broken, expected=None, **ADA)  # the library promotes what it is told; commands look before
    promote(tmp_path, students[0], expected=broken, **ADA)
    with pytest.raises(DamagedArtefactError, match=r"finite"):
        rollback(tmp_path, **ADA)
    assert aliases_of(tmp_path)["champion"] == students[0]


def test_a_champion_that_moves_while_the_other_is_loaded_stays(
    tmp_path: Path, students: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, c = students
    promote(tmp_path, a, expected=None, **ADA)
    promote(tmp_path, b, expected=a, **ADA)
    monkeypatch.setattr(
        stores.models.smoke, "smoke", lambda *given: promote(tmp_path, c, expected=b, who="bob", why="faster")
    )
    with pytest.raises(AliasMovedError, match=r"\(promote by bob"):
        rollback(tmp_path, **ADA)
    assert aliases_of(tmp_path) == {"champion": c, "previous": b}


@pytest.mark.parametrize("name", ["champion", "a", "3.1", "eu-west_2", "abc", "deadbeef.1", "x" * 64])
def test_names_of_aliases(name: str) -> None:
    assert require_alias(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "-x", "a/b", "../x", "a b", "beef", "0123456789abcdef", "x" * 65, "é", "a\n"]
)
def test_names_that_no_alias_has(name: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="is no name for an alias"):
        set_alias(tmp_path, name, "ab", expected=None, **ADA)
    assert not (tmp_path / "aliases").exists()


def test_previous_is_not_moved_by_hand(tmp_path: Path, students: list[str]) -> None:
    for act in (
        lambda: set_alias(tmp_path, "previous", students[0], expected=None, **ADA),
        lambda: rollback(tmp_path, alias="previous", **ADA),
    ):
        with pytest.raises(SpecError, match="'previous' follows the champion and is not moved by hand"):
            act()


def test_what_is_no_student_is_not_promoted(tmp_path: Path, students: list[str]) -> None:
    with pytest.raises(ArtefactNotFoundError, match="'0000' does not exist among the checkpoints"):
        promote(tmp_path, "0000", expected=None, **ADA)
    with pytest.raises(SpecError, match="is no name of who moves an alias"):
        promote(tmp_path, students[0], expected=None, who="a\x1b[m", why="")
    with pytest.raises(SpecError, match="why has 4001 letters"):
        promote(tmp_path, students[0], expected=None, who="ada", why="x" * 4001)
    with pytest.raises(ArtefactNotFoundError, match=r"no alias 'champoin' in .*There is none yet"):
        rollback(tmp_path, alias="champoin", **ADA)
    promote(tmp_path, students[0], expected=None, **ADA)
    with pytest.raises(ArtefactNotFoundError, match=r"no alias 'champoin' in .* Did you mean 'champion'\?"):
        rollback(tmp_path, alias="champoin", **ADA)


def test_models_are_found_by_alias(tmp_path: Path, students: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    promote(tmp_path, students[1], expected=None, **ADA)
    folder = Store(tmp_path).path("checkpoints", students[1])
    assert model_folder("champion", tmp_path) == folder
    with pytest.raises(ArtefactNotFoundError, match=r"no model is called 'champoin' .* Did you mean 'champion'\?"):
        model_folder("champoin", tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "champion").mkdir()
    with pytest.raises(SpecError, match=r"'champion' is an alias in .* and a folder here; write '\./champion'"):
        model_folder("champion", tmp_path)
    assert model_folder("./champion", tmp_path) == Path("champion")
    (tmp_path / "champion").rmdir()
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    with pytest.raises(ArtefactNotFoundError, match=f"alias 'champion' points to {students[1][:12]}, which is not"):
        model_folder("champion", tmp_path)
    (missing,) = verify(tmp_path).missing
    assert missing.startswith(f"alias 'champion' points to {students[1][:12]}, which is not among the checkpoints")


def test_a_torn_last_line_is_passed_over_and_cut_off(tmp_path: Path, students: list[str]) -> None:
    a, b, _ = students
    promote(tmp_path, a, expected=None, **ADA)
    whole = log_of(tmp_path).read_bytes()
    promote(tmp_path, b, expected=a, **ADA)
    content = log_of(tmp_path).read_bytes()
    for end in range(len(whole), len(content), 7):
        log_of(tmp_path).write_bytes(content[:end])
        assert aliases_of(tmp_path) == {"champion": a}
        assert verify(tmp_path).faults == ()
        promote(tmp_path, b, expected=a, **ADA)
        assert aliases_of(tmp_path) == {"champion": b, "previous": a}
        assert len(log_of(tmp_path).read_bytes().splitlines()) == 2


def test_damage_is_told_keeps_everything_and_is_repaired(tmp_path: Path, students: list[str]) -> None:
    a, b, c = students
    for old, new in ((None, a), (a, b), (b, c)):
        promote(tmp_path, new, expected=old, **ADA)
    lines = log_of(tmp_path).read_bytes().splitlines(keepends=True)
    log_of(tmp_path).write_bytes(lines[0] + lines[1].replace(b"ada", b"eve") + lines[2])
    for act in (
        lambda: aliases_of(tmp_path),
        lambda: model_folder("champion", tmp_path),
        lambda: promote(tmp_path, a, expected=c, **ADA),
    ):
        with pytest.raises(DamagedArtefactError, match=r"moves\.jsonl' is damaged \(line 2: .* put a copy of the file"):
            act()
    assert model_folder(a, tmp_path).name == a, "a digest needs no alias"
    (fault,) = verify(tmp_path).faults
    assert "moves.jsonl' is damaged" in str(fault)
    found = find_garbage(tmp_path, alone=True)
    assert found.items == ()
    assert "it is unknown what is needed: " in found.kept[0]
    assert "moves.jsonl' is damaged" in found.kept[0]
    (said,) = repair(tmp_path)
    assert "2 moves of aliases were kept, 1 lines could not be read" in said
    assert [move.n for move in moves_of(tmp_path)] == [1, 2]
    assert aliases_of(tmp_path) == {"champion": c, "previous": b}
    assert list(repair(tmp_path)) == []
    assert verify(tmp_path).faults == ()


@pytest.mark.parametrize(
    "change", [{"n": 0}, {"n": "1"}, {"alias": "a/b"}, {"after": "../x"}, {"when": "today"}, {"who": ""}, {"odd": 1}]
)
def test_odd_lines_with_a_right_seal_are_damage(change: dict[str, object], tmp_path: Path, students: list[str]) -> None:
    move = promote(tmp_path, students[0], expected=None, **ADA)

    class Odd:
        seal = ""

        def plain(self) -> dict[str, object]:
            return {**move.plain(), **change}

        def with_seal(self, seal: str) -> Odd:
            return self

    log_of(tmp_path).write_bytes(FORM.seal(Odd(), "")[0])  # type: ignore[arg-type]
    with pytest.raises(DamagedArtefactError, match="line 1: it is no move of an alias"):
        aliases_of(tmp_path)


def in_small_files(act: Callable[[], object], size: int) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        act()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.parametrize("room", [0, 1, 100])
def test_a_full_disk_moves_nothing(room: int, tmp_path: Path, students: list[str]) -> None:
    a, b, _ = students
    promote(tmp_path, a, expected=None, **ADA)
    before = log_of(tmp_path).read_bytes()
    with pytest.raises(StorageError, match=r"cannot be written \(File too large\); make room, and the same command"):
        in_small_files(lambda: promote(tmp_path, b, expected=a, **ADA), len(before) + room)
    assert log_of(tmp_path).read_bytes() == before
    assert aliases_of(tmp_path) == {"champion": a}
    promote(tmp_path, b, expected=a, **ADA)
    assert aliases_of(tmp_path) == {"champion": b, "previous": a}


def swap(root: Path, a: str, b: str) -> None:
    while True:
        now = aliases_of(root)["champion"]
        promote(root, b if now == a else a, expected=now, **ADA)


@forked
def test_killed_writers_leave_what_was_before_or_after(tmp_path: Path, students: list[str]) -> None:
    a, b, _ = students
    promote(tmp_path, a, expected=None, **ADA)
    gen = random.Random(0)
    kills = 0
    while kills < 10 or (len(moves_of(tmp_path)) <= 10 and kills < 100):
        kills += 1
        process = FORK.Process(target=swap, args=(tmp_path, a, b))
        process.start()
        time.sleep(0.02 + gen.random() * 0.1)
        assert process.pid
        os.kill(process.pid, signal.SIGKILL)
        process.join(30)
        found = aliases_of(tmp_path)
        assert found in ({"champion": a}, {"champion": a, "previous": b}, {"champion": b, "previous": a})
    moves = moves_of(tmp_path)
    assert len(moves) > 10
    assert all(one.after == two.before == two.previous for one, two in pairwise(moves))


def race(root: Path, digest: str, expected: str, results: multiprocessing.Queue[str]) -> None:
    try:
        promote(root, digest, expected=expected, who=digest[:6], why="")
        results.put("won")
    except AliasMovedError:
        results.put("lost")


@forked
def test_of_two_at_once_one_wins_and_the_other_is_told(tmp_path: Path, students: list[str]) -> None:
    a, b, c = students
    promote(tmp_path, a, expected=None, **ADA)
    results: multiprocessing.Queue[str] = FORK.Queue()
    processes = [FORK.Process(target=race, args=(tmp_path, digest, a, results)) for digest in (b, c)]
    for process in processes:
        process.start()
    told = sorted(results.get(timeout=60) for _ in processes)
    for process in processes:
        process.join(60)
    assert told == ["lost", "won"]
    assert len(moves_of(tmp_path)) == 2


def test_a_collection_keeps_what_aliases_reach(tmp_path: Path) -> None:
    base = publish_student(tmp_path, 0)
    taught = [publish_student(tmp_path, number, previous=base) for number in (1, 2, 3)]
    a, b, c = (ref.digest for ref in taught)
    for old, new in ((None, a), (a, b), (b, c)):
        promote(tmp_path, new, expected=old, **ADA)

    def going() -> set[str]:
        return {item.name for item in find_garbage(tmp_path, alone=True).items}

    scores = [publish(tmp_path, "evaluations", number, {"checkpoint": ref}) for number, ref in enumerate(taught)]
    gone = {f"checkpoints {a[:12]}", f"evaluations {scores[0].digest[:12]}"}
    assert going() == gone, "the log alone keeps nothing; what models in use scored stays"
    Store(tmp_path).folder(scores[0]).rename(tmp_path / "elsewhere")
    rollback(tmp_path, **ADA)
    assert going() == {f"checkpoints {a[:12]}"}
    set_alias(tmp_path, "champion", None, expected=b, **ADA)
    schedules, deployments = tmp_path / "service" / "schedules", tmp_path / "service" / "deployments"
    schedules.mkdir(parents=True)
    deployments.mkdir()
    (schedules / "nightly.json").write_text(json.dumps({"parameters": {"spec": {"start": a[:10]}}}))
    gates = tmp_path / "gates"
    gates.mkdir()
    (gates / "one.json").write_text(json.dumps({"champion": c}))
    gone = {f"checkpoints {c[:12]}", f"evaluations {scores[2].digest[:12]}"}
    assert going() == gone, "a gate's record keeps nothing"
    (deployments / "pets.json").write_text(json.dumps({"step": {"spec": {"start": c}}}))
    assert going() == set()
    (schedules / "nightly.json").write_text("{")
    found = find_garbage(tmp_path, alone=True)
    assert found.items == ()
    assert "nightly.json" in found.kept[0]


def test_a_damaged_champion_that_was_moved_out_of_the_way_stays_there(tmp_path: Path, students: list[str]) -> None:
    promote(tmp_path, students[0], expected=None, **ADA)
    weights = Store(tmp_path).path("checkpoints", students[0]) / "model.safetensors"
    weights.write_bytes(b"")
    assert len(list(repair(tmp_path))) == 1
    assert next(path.name for path in tmp_path.glob("quarantine/checkpoints/*")).startswith(students[0])
    assert {item.what for item in find_garbage(tmp_path, alone=True).items} == {"artefact"}
    promote(tmp_path, students[1], expected=students[0], **ADA)
    set_alias(tmp_path, "champion", None, expected=students[1], **ADA)
    assert {item.what for item in find_garbage(tmp_path, alone=True).items} == {"artefact", "quarantined"}


def test_the_log_is_read_without_torch() -> None:
    from tests.test_torch_free import run

    assert run("import wilss.aliases, stores.registry, wilss.models.lookup") == "False False\n"


def test_the_form_is_that_of_a_journal(tmp_path: Path, students: list[str]) -> None:
    promote(tmp_path, students[0], expected=None, **ADA)
    assert [move.after for move in Journal(tmp_path / "aliases", "moves.jsonl", FORM).news()[1]] == [students[0]]
