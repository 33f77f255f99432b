"""What may go and what must stay; sizes; what killed processes left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stores.artefacts import ArtefactRef, Kind, Recipe, Store
from stores.collect import collect, find_garbage
from stores.in_use import alone_in, using
from stores.locks import held
from stores.registry import promote
from stores.usage import usage
from stores.verify import repair, verify
from tests.stores.students import publish_student
from wilss.report.records import Means, RunReport


def publish(
    root: Path, kind: Kind, number: int, parents: dict[str, ArtefactRef] | None = None, **facts: object
) -> ArtefactRef:
    store, recipe = Store(root), Recipe(kind, {"number": number, "scorer": "x", **facts}, parents or {})
    with store.build(recipe) as folder:
        (folder / "content").write_bytes(bytes(1000))
        return store.publish(recipe, folder, {}).ref


def report(root: Path, name: str, artefacts: dict[str, str], **spec: object) -> Path:
    facts = {"run": name, "benchmark": "scenes-15-5", "method": "fmwiss", "scenario": "overlap", "seed": 0}
    means = Means(old=0.5, new=0.5, all=0.5)
    content = RunReport(format=3, **facts, metrics=means, steps=(), total_seconds=1, peak_rss_bytes=1, spec=spec)  # type: ignore[arg-type]
    path = root / "runs" / name / "report.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content.model_copy(update={"artefacts": artefacts}).sealed().text())
    return path


def garbage(root: Path) -> list[tuple[str, str]]:
    with alone_in(root) as alone:
        return [(item.what, item.name) for item in find_garbage(root, alone).items]


def named(ref: ArtefactRef) -> str:
    return f"{ref.kind} {ref.digest[:12]}"


def test_what_a_report_a_chain_a_child_or_a_name_needs_stays(tmp_path: Path) -> None:
    base = publish(tmp_path, "checkpoints", 0)
    labels = publish(tmp_path, "labels", 1)
    student = publish(tmp_path, "checkpoints", 2, {"previous": base, "labels": labels})
    start, head = publish(tmp_path, "checkpoints", 3), publish(tmp_path, "heads", 4)
    parent = publish(tmp_path, "labels", 5)
    store, recipe = Store(tmp_path), Recipe("labels", {"stage": "child"}, {"parent": parent})
    with store.build(recipe) as folder:
        store.publish(recipe, folder, {})
    champion = publish_student(tmp_path, 6)
    promote(tmp_path, champion.digest, expected=None, who="ada", why="")
    free = publish(tmp_path, "evaluations", 7, {"checkpoint": base})
    path = report(
        tmp_path,
        "a-run",
        {"checkpoint 1": student.digest},
        start=start.digest[:8],
        student={"weights": f"heads:{head.digest[:5]}"},
    )
    assert garbage(tmp_path) == [("artefact", named(free))]
    deleted = list(collect(tmp_path))
    assert [item.name for item in deleted] == [named(free)]
    assert garbage(tmp_path) == []
    assert verify(tmp_path).faults == ()
    path.unlink()
    gone = {named(ref) for ref in (base, labels, student, start, head)}
    assert set(garbage(tmp_path)) == {("artefact", name) for name in gone}


def test_nothing_goes_while_it_is_unknown_what_is_needed(tmp_path: Path) -> None:
    free = publish(tmp_path, "checkpoints", 0)
    path = report(tmp_path, "a-run", {})
    path.write_text(path.read_text().replace("fmwiss", "fmwisz"))
    assert garbage(tmp_path) == []
    (kept,) = find_garbage(tmp_path, True).kept
    assert "report.json' is damaged" in kept
    (said,) = repair(tmp_path)
    assert said.startswith(f"'{path}' is damaged (its content is not what was written); moved to")
    assert ("artefact", named(free)) in garbage(tmp_path)


def test_a_run_in_progress_keeps_what_it_has(tmp_path: Path) -> None:
    publish(tmp_path, "checkpoints", 0)
    store = Store(tmp_path)
    with using(tmp_path), store.build(Recipe("banks", {})) as staging:
        (staging / "half").touch()
        assert garbage(tmp_path) == []
        assert list(collect(tmp_path)) == []
        assert (staging / "half").is_file()
    assert [what for what, _ in garbage(tmp_path)] == ["unfinished", "artefact"]


def test_what_killed_processes_leave_is_named_and_goes(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from stores.artefacts import Recipe, Store
from stores.in_use import using
root = Path(sys.argv[1])
recipe = Recipe("labels", {"scorer": "x"})
store = Store(root)
with using(root), store.alone(recipe), store.build(recipe) as folder, store.build(recipe, part="shard 3"):
    (folder / "half").touch()
    (root / "runs").mkdir()
    (root / "runs" / "report.json.abc.partial").touch()
    print("ready", flush=True)
    import time
    time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    assert garbage(tmp_path) == [], "it still runs"
    os.kill(process.pid, signal.SIGKILL)
    process.wait(30)
    digest = Recipe("labels", {"scorer": "x"}).digest[:12]
    assert garbage(tmp_path) == [("unfinished", f"labels {digest}"), ("partial file", "")]
    list(collect(tmp_path))
    assert [path.name for path in (tmp_path / "labels").iterdir()] == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / ".in-use" / "gate.lock"]


def test_a_lock_that_is_held_stays_and_one_that_is_not_goes(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    lock = tmp_path / "labels" / ".staging-ab.parts.lock"
    with held(lock, None):
        assert garbage(tmp_path) == []
    assert garbage(tmp_path) == [("lock", "labels ab")]
    list(collect(tmp_path))
    assert not lock.exists()
    mending = tmp_path / "labels" / "ab" / "abcd.rows-3.lock"
    mending.parent.mkdir()
    with held(mending, None):
        assert list(collect(tmp_path)) == []
    mending.touch()
    assert garbage(tmp_path) == [("lock", "labels abcd.rows-3.")]
    list(collect(tmp_path))
    assert not mending.exists()


def test_what_was_being_replaced_comes_back_and_what_was_replaced_goes(tmp_path: Path) -> None:
    one, two = publish(tmp_path, "banks", 1), publish(tmp_path, "banks", 2)
    report(tmp_path, "a-run", {"memory bank": one.digest, "other": two.digest})
    store = Store(tmp_path)
    store.folder(one).rename(tmp_path / "banks" / f".replaced-{one.digest}")
    (tmp_path / "banks" / f".replaced-{two.digest}").mkdir()
    assert garbage(tmp_path) == [("replaced", named(two))]
    assert len(list(repair(tmp_path))) == 2
    assert store.find(one) is not None
    assert garbage(tmp_path) == []


def test_what_was_moved_out_of_the_way_goes_once_it_is_made_anew(tmp_path: Path) -> None:
    bank = publish(tmp_path, "banks", 1)
    report(tmp_path, "a-run", {"memory bank": bank.digest})
    (Store(tmp_path).folder(bank) / "content").write_bytes(b"")
    assert verify(tmp_path).faults
    (said,) = repair(tmp_path)
    assert said.endswith("', the next run that wants it makes it anew")
    assert verify(tmp_path).faults == ()
    assert Store(tmp_path).find(bank) is None
    assert garbage(tmp_path) == []
    assert publish(tmp_path, "banks", 1) == bank
    assert garbage(tmp_path) == [("quarantined", named(bank))]


def test_sizes_are_told_by_kind_and_by_run(tmp_path: Path) -> None:
    one, two = publish(tmp_path, "checkpoints", 1), publish(tmp_path, "checkpoints", 2)
    report(tmp_path, "a", {"checkpoint 0": one.digest})
    report(tmp_path, "b", {"checkpoint 0": one.digest, "checkpoint 1": two.digest})
    found = usage(tmp_path)
    count, size = found.kinds["checkpoints"]
    assert count == 2
    assert found.runs == {"a": (size // 2, 0), "b": (size, size - size // 2)}
    assert found.total == sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())


def test_newer_ones_are_told_and_left_alone(tmp_path: Path) -> None:
    from wilss.damage import seal_of

    bank = publish(tmp_path, "banks", 1)
    path = Store(tmp_path).folder(bank) / "manifest.json"
    content = {**json.loads(path.read_text()), "format": 99}
    path.write_text(json.dumps({**content, "seal": seal_of(content)}))
    (fault,) = verify(tmp_path).faults
    assert "Upgrade" in str(fault)
    assert list(repair(tmp_path)) == []
    assert path.is_file()


@pytest.mark.parametrize("command", ["verify", "repair", "gc", "du"])
def test_a_root_that_is_not_there_is_told(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from flows import cli

    monkeypatch.setattr(sys, "argv", ["wilss", "store", command, "--root", str(tmp_path / "none")])
    with pytest.raises(SystemExit, match="2"):
        cli.call()
    assert "there is no root folder" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_commands_print_tables_and_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from flows import cli

    def call(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["wilss", "store", *arguments, "--root", str(tmp_path)])
        try:
            cli.call()
        except SystemExit as stop:
            return int(stop.code or 0), capsys.readouterr().out
        return 0, capsys.readouterr().out

    bank = publish(tmp_path, "banks", 1)
    assert json.loads(call("du", "--json")[1])["kinds"]["banks"]["count"] == 1
    assert json.loads(call("verify", "--json")[1])["artefacts"] == 1
    (item,) = json.loads(call("gc", "--json")[1])["items"]
    assert item["path"] == str(Store(tmp_path).folder(bank))
    assert "add --yes to delete it" in call("gc")[1]
    assert call("gc", "--yes", "--dry-run")[0] == 0
    assert Store(tmp_path).find(bank) is not None
    (Store(tmp_path).folder(bank) / "content").unlink()
    code, out = call("verify")
    assert (code, "content' is damaged" in out) == (1, True)
    assert "moved to" in call("repair")[1]
    assert call("verify")[0] == 0
    publish(tmp_path, "banks", 1)
    assert "deleted" in call("gc", "--yes")[1]
    assert Store(tmp_path).find(bank) is None


def test_what_the_inspector_made_to_look_at_may_go_at_any_time(tmp_path: Path) -> None:
    picture = tmp_path / "inspector" / "pictures" / "ab" / "cd-thumb.jpg"
    left = tmp_path / ".inspector-gone" / "half"
    for path in (picture, left):
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(500))
    picture.with_name("ef-thumb.jpg.1.partial").write_bytes(bytes(70))
    assert usage(tmp_path).kinds["inspector"] == (1, 570)
    with using(tmp_path):
        assert garbage(tmp_path) == [("cache", "inspector"), ("cache", "inspector-gone")]
        assert sum(item.bytes for item in collect(tmp_path)) == 1070
    assert [path.name for path in tmp_path.iterdir() if "inspector" in path.name] == []
    assert garbage(tmp_path) == []
