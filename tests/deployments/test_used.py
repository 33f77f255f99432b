"""The page of what is in use: aliases, their moves, gates and schedules, also where they are damaged or gone."""

from __future__ import annotations

import shutil
from pathlib import Path

from deployments.dates import When
from deployments.schedules import Schedule, schedules_folder
from stores.artefacts import Store
from stores.gates import gate_path, write_gate
from stores.registry import promote, rollback
from tests.deployments import world
from tests.deployments.conftest import World
from tests.stores.students import publish_student
from wilss.measure.gate import judge
from wilss.measure.spec import GateSpec
from wilss.report.gate import GateReport

EVIL = world.EVIL


def used_root(root: Path) -> tuple[str, str, GateReport]:
    """Two students of which the first is the champion again, a gate that kept one out, and a schedule."""
    first, second = publish_student(root, 1).digest, publish_student(root, 2).digest
    promote(root, first, expected=None, who="ada", why=f"the first {EVIL}")
    promote(root, second, expected=first, who="ada", why="better")
    rollback(root, who="bob", why="worse", device="cpu")
    rules = GateSpec()
    verdict = judge(rules, {"background": 0.9, "cat": 0.2, EVIL: 0.5}, {"background": 0.9, "cat": 0.6}, 40, {"cat": 9})
    record = GateReport(
        run=f"retrain {EVIL}",
        written="2026-01-02T03:04:05+00:00",
        benchmark="pets",
        method="fmwiss",
        scenario="overlap",
        step=2,
        seeds=(0,),
        alias="champion",
        champion=first,
        challengers=(second,),
        guard="pets-step-2",
        guard_images=("a", "b"),
        guard_data="0" * 32,
        gate=rules,
        verdict=verdict,
        outcome="kept out",
        reason="cat lost 40.00 points",
    )
    schedules_folder(root).mkdir(parents=True)
    nightly = Schedule(
        name="night", kind="gc", deployment="default", title=EVIL, when=When(cron="0 3 * * *"), active=False
    )
    (schedules_folder(root) / "night.json").write_text(nightly.model_dump_json())
    return first, second, write_gate(root, record)


def browsed(root: Path) -> World:
    return World(root, {}, world.client(root))


def test_it_says_what_is_in_use_who_put_it_there_and_what_runs_by_itself(tmp_path: Path) -> None:
    first, second, record = used_root(tmp_path)
    browser = browsed(tmp_path)
    text = browser.text("/use")
    assert EVIL not in text
    champion, previous = text.index(">champion</th>"), text.index(">previous</th>")
    assert first[:12] in text[champion:previous]
    assert "bob, rollback" in text[champion:previous]
    assert second[:12] in text[previous : text.index("</tbody>")]
    assert "kept out by the gate" in text
    assert "cron &#39;0 3 * * *&#39;, UTC; it is paused" in text
    moves = text[text.index("Moves of aliases, newest first") :]
    assert moves.index("rollback") < moves.index("better") < moves.index("the first")
    gate = browser.text(f"/gates/{gate_path(tmp_path, record).stem}")
    assert EVIL not in gate
    row = gate[gate.index('<th scope="row">cat</th>') :]
    assert "-40.00" in row[: row.index("</tr>")]
    assert "lost too much" in row[: row.index("</tr>")]
    models = browser.text("/models")
    assert ">champion</td>" in models
    assert f"/gates/{gate_path(tmp_path, record).stem}" in text


def test_what_is_damaged_or_gone_is_said(tmp_path: Path) -> None:
    first, _, record = used_root(tmp_path)
    shutil.rmtree(Store(tmp_path).path("checkpoints", first))
    (schedules_folder(tmp_path) / "night.json").write_text("{")
    browser = browsed(tmp_path)
    text = browser.text("/use")
    assert f"{first[:12]}</code> is not here any more" in text
    assert "night.json" in text
    log = tmp_path / "aliases" / "moves.jsonl"
    log.write_text(log.read_text().replace("better", "bitter"))
    assert "moves.jsonl" in browser.text("/use")
    assert "moves.jsonl" in browser.text("/models")
    gate_path(tmp_path, record).write_text("{}")
    assert "is damaged" in browser.text(f"/gates/{gate_path(tmp_path, record).stem}", 500)


def test_nothing_is_in_use_yet(tmp_path: Path) -> None:
    browser = browsed(tmp_path)
    assert "No model has a name yet." in browser.text("/use")
    assert "Nothing runs by itself." in browser.text("/use")
    assert "there is no gate" in browser.text("/gates/none", 404)
