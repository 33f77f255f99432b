"""What Prefect is told of a flow: names, states, log lines, tables, progress, and who started it."""

from __future__ import annotations

import json
import logging
import shutil
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import httpx
import pytest

from stores.artefacts import Store
from stores.registry import promote
from tests.pace import within
from wilss.aliases import aliases_of
from wilss.errors import SpecError
from wilss.report.records import RunReport
from wilss.retrain import make_retrain_spec
from wilss.settings import Settings
from wilss.spec import make_spec

pytestmark = pytest.mark.usefixtures("prefect_backend")

SPEC = make_spec({"benchmark": "scenes-15-5", "preset": "tiny", "method": "finetune", "step": {"epochs": 1}})
MINE = {"name": "mine", "data": "folder", "steps": [["a"], ["b"]]}
STARTED = "night shift"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, prefect_backend: None) -> tuple[Path, Any, list[str]]:
    """A root with a base student and one label set, the state of the base flow, and what the log said."""
    from prefect import tags

    from flows.base import run_base
    from flows.relabel import run_relabel

    root, said = tmp_path_factory.mktemp("made"), list[str]()
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addHandler(handler)
    try:
        with pytest.MonkeyPatch.context() as patch, tags(f"started-by:{STARTED}"):
            patch.setattr("flows.telling.PROGRESS_SECONDS", 0.0)
            state = run_base(SPEC, Settings(root=root), return_state=True)
            run_relabel(SPEC, 1, Settings(root=root))
    finally:
        for name in ("prefect.flow_runs", "prefect.task_runs"):
            logging.getLogger(name).removeHandler(handler)
    return root, state, said


@pytest.fixture
def root(made: tuple[Path, Any, list[str]], tmp_path: Path) -> Path:
    shutil.copytree(made[0], tmp_path / "root")
    return tmp_path / "root"


def artifacts(flow_run: Any) -> list[Any]:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    of = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run]))
    with get_client(sync_client=True) as client:
        return client.read_artifacts(artifact_filter=of)  # type: ignore[no-any-return]


def run_of(state: Any) -> Any:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return client.read_flow_run(state.state_details.flow_run_id)


def test_a_run_says_what_it_is_and_what_came_of_it(made: tuple[Path, Any, list[str]]) -> None:
    _, state, _ = made
    assert run_of(state).name == "base scenes-15-5 finetune, seed 0"
    assert state.message.startswith("2 parts made, 0 found; mIoU all ")
    by_key = {artifact.key: artifact for artifact in artifacts(state.state_details.flow_run_id)}
    report = state.result()
    page = by_key[f"summary-{report['run']}"].data
    assert "| base student | made in " in page
    assert f"Started by {STARTED}." in page
    assert "report.html`" in page
    rows = json.loads(by_key[f"metrics-{report['run']}"].data)
    assert rows == [{"step": 0, "classes": 15, "old": rows[0]["old"], "new": "–", "all": rows[0]["all"]}]


def test_a_run_that_learnt_nothing_says_so_wherever_it_is_read(made: tuple[Path, Any, list[str]]) -> None:
    root, state, _ = made
    report = state.result()
    (note,) = [one for one in report["health"] if one["rule"] == "base student not trained"]
    assert "the 15 classes that the run starts with have a mean IoU of" in note["says"]
    assert "after 6 iterations" in note["says"], "96 images, of which it is taught by 16 at a time"
    assert "unhealthy: base student not trained" in state.message
    by_key = {artifact.key: artifact for artifact in artifacts(state.state_details.flow_run_id)}
    assert note["says"] in by_key[f"summary-{report['run']}"].data
    (page,) = (root / "runs").glob("*/report.html")
    health = page.read_text().partition('data-testid="health"')[2].partition("</dl>")[0]
    assert note["says"] in health
    assert "--set base.min_iterations=1000" in health


def test_progress_is_told_by_stage(made: tuple[Path, Any, list[str]]) -> None:
    found = [one for one in artifacts(made[1].state_details.flow_run_id) if one.type == "progress"]
    assert {one.key for one in found} == {"base-student-base", "evaluate-step-0-evaluate"}
    assert {float(one.data) for one in found} == {100.0}


def test_log_lines_say_run_step_and_shard(made: tuple[Path, Any, list[str]]) -> None:
    said = "\n".join(made[2])
    assert "base student: " in said
    assert "[base scenes-15-5 finetune, seed 0]" in said
    assert "[relabel scenes-15-5 finetune, seed 0, step 1, shard 0]" in said


def test_who_started_it_is_in_the_report_and_on_its_page(made: tuple[Path, Any, list[str]]) -> None:
    (path,) = (made[0] / "runs").glob("*/report.json")
    assert RunReport.read(path).started_by == STARTED
    assert f"Started by {STARTED}" in path.with_suffix(".html").read_text()


def test_stages_leave_a_line_each(made: tuple[Path, Any, list[str]]) -> None:
    (path,) = (made[0] / "runs").glob("*/metrics.jsonl")
    lines = {line["stage"]: line for line in map(json.loads, path.read_text().splitlines())}
    assert list(lines) == ["base student", "evaluation of step 0", "labels of step 1"]
    student = lines["base student"]
    assert set(student["losses"]) == {"segmentation"} or student["losses"]
    assert student["epochs"] == 1
    assert all(line["images_per_second"] > 0 and line["peak_rss_bytes"] > 10**7 for line in lines.values())
    assert lines["labels of step 1"]["step"] == 1


@pytest.mark.parametrize("kind", ["base", "step", "relabel", "evaluate"])
def test_a_flow_that_finds_everything_ends_as_nothing_to_do(root: Path, kind: str) -> None:
    from flows.base import run_base
    from flows.benchmark import run_step
    from flows.evaluate import run_evaluation
    from flows.relabel import run_relabel

    settings, student = Settings(root=root), Store(root).all("checkpoints")[0].digest
    flows: dict[str, Any] = {
        "base": lambda: run_base(SPEC, settings, return_state=True),
        "step": lambda: run_step(SPEC, 0, settings, return_state=True),
        "relabel": lambda: run_relabel(SPEC, 1, settings, return_state=True),
        "evaluate": lambda: run_evaluation(student[:12], SPEC, settings, return_state=True),
    }
    first = flows[kind]()
    second = flows[kind]()
    assert (second.name, second.type.value) == ("Nothing to do", "COMPLETED")
    assert second.result() == first.result()
    assert artifacts(second.state_details.flow_run_id) == [], "a check a minute does not fill the database"
    assert (first.name == "Nothing to do") == (kind != "evaluate")


def test_an_evaluation_is_of_every_class_that_the_model_knows(root: Path) -> None:
    from flows.evaluate import run_evaluation

    student = Store(root).all("checkpoints")[0].digest
    found = run_evaluation(student, SPEC, Settings(root=root))
    (report,) = (root / "runs").glob("*/report.json")
    assert found["per_class_iou"] == pytest.approx(RunReport.read(report).per_class_iou)
    assert (found["images"], found["model"]) == (24, student)


def test_a_relabelling_needs_a_step_that_has_labels(root: Path) -> None:
    from flows.relabel import run_relabel

    with pytest.raises(SpecError, match="step 0 learns from masks, so it has no label set; name a step from 1 to 1"):
        run_relabel(SPEC, 0, Settings(root=root))
    with pytest.raises(SpecError, match="scenes-15-5 has no step 9"):
        run_relabel(SPEC, 9, Settings(root=root))


def test_a_promotion_moves_the_alias_once(root: Path) -> None:
    from flows.promote import run_promotion

    student = Store(root).all("checkpoints")[0].digest
    first = run_promotion(student[:10], "champion", "it looks well", Settings(root=root), return_state=True)
    assert (first.name, aliases_of(root)) == ("Promoted", {"champion": student})
    assert first.result()["why"] == "it looks well"
    again = run_promotion("champion", "champion", "", Settings(root=root), return_state=True)
    assert (again.name, again.message) == ("Nothing to do", f"champion is {student[:12]} already")


def test_garbage_is_listed_then_deleted_and_what_has_an_alias_stays(root: Path) -> None:
    from flows.gc import run_gc

    shutil.rmtree(root / "runs")
    (student,) = Store(root).all("checkpoints")
    promote(root, student.digest, expected=None, who="me", why="")
    listed = run_gc(False, Settings(root=root))
    assert {item["what"] for item in listed["items"]} == {"artefact"}
    assert Store(root).all("labels")
    gone = run_gc(True, Settings(root=root))
    assert [item["of"] for item in gone["items"]] == [item["of"] for item in listed["items"]]
    assert (Store(root).all("labels"), Store(root).all("checkpoints")) == ([], [student])
    assert run_gc(True, Settings(root=root), return_state=True).name == "Nothing to do"


def test_settings_that_are_not_given_come_from_the_workers_environment(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.begin import settings_here

    monkeypatch.setenv("WILSS_WORKERS", "3")
    monkeypatch.setenv("WILSS_ROOT", "/nowhere")
    found = settings_here(Settings(root=root))
    assert (found.root, found.workers) == (root, 3)
    assert settings_here(Settings(workers=1)).workers == 1, "what was given goes first, though it is the default"
    assert settings_here(None).root == Path("/nowhere")


class TestStarters:
    @staticmethod
    def run(**facts: Any) -> Any:
        from prefect.client.schemas.objects import FlowRun

        return FlowRun.model_validate({"flow_id": str(uuid4()), **facts})

    @pytest.mark.parametrize(
        ("facts", "told"),
        [
            ({"tags": ["started-by:Ada", "x"]}, "Ada"),
            (
                {"created_by": {"type": "AUTOMATION", "display_value": "images of mine"}},
                "an event (images of mine)",
            ),
            (
                {"auto_scheduled": True, "created_by": {"type": "DEPLOYMENT", "display_value": "nightly"}},
                "a schedule of nightly",
            ),
            ({"auto_scheduled": True}, "a schedule"),
            ({"parent_task_run_id": str(uuid4())}, "another flow run"),
            ({"deployment_id": str(uuid4())}, "a request for the deployment"),
            ({"tags": ["started-by:event images"], "created_by": {"type": "AUTOMATION"}}, "event images"),
        ],
    )
    def test_every_way_to_start(self, facts: dict[str, Any], told: str) -> None:
        from flows.telling import starter_of

        assert starter_of(self.run(**facts)) == told

    def test_a_command_names_its_user(self) -> None:
        from flows.telling import starter_of

        assert starter_of(self.run()).endswith(" at the command line")


@pytest.mark.parametrize(
    ("kind", "given", "name"),
    [
        ("benchmark", {"spec": SPEC}, "scenes-15-5 finetune, seed 0"),
        ("step", {"spec": SPEC, "step": 1}, "step 1 of scenes-15-5 finetune, seed 0"),
        ("evaluate", {"spec": SPEC, "model": "champion"}, "evaluate scenes-15-5 finetune, seed 0, champion"),
        ("promote", {"model": "0123abcd", "alias": "champion", "why": ""}, "promote 0123abcd to champion"),
        ("gc", {"delete": True}, "gc"),
        (
            "retrain",
            {"spec": make_retrain_spec({"run": {"benchmark": "voc-15-1"}, "step": 2, "seeds": [0, 1]})},
            "retrain voc-15-1 fmwiss, step 2, seed 0, 1, for champion",
        ),
        (
            "benchmark",
            {
                "spec": make_spec(
                    {"benchmark": "mine", "custom": {"name": "mine", "data": "folder", "steps": [["a"], ["b"]]}}
                )
            },
            "mine fmwiss, seed 0",
        ),
    ],
)
def test_names_say_benchmark_method_step_and_seed(kind: str, given: dict[str, Any], name: str) -> None:
    from flows.names import name_of

    assert name_of(kind, given) == name


def test_task_runs_say_whose_they_are_where_a_flow_has_several(root: Path) -> None:
    from stores.plans.run import Run
    from stores.plans.session import Session
    from tasks.labels import label_shard
    from tasks.train import base_student

    run = Run(SPEC, Session(Settings(root=root)))
    shard: dict[str, Any] = {"run": run, "step": 1, "begun": None, "shard": 3}
    assert label_shard.task_run_name(parameters=shard) == "labels of step 1, shard 3"  # type: ignore[operator]
    run.session.several = True
    assert label_shard.task_run_name(parameters=shard) == "labels of step 1, shard 3 (finetune, seed 0)"  # type: ignore[operator]
    assert base_student.task_run_name(parameters={"run": run}) == "base student (finetune, seed 0)"  # type: ignore[operator]


def test_a_server_that_is_gone_breaks_no_run_and_is_asked_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.benchmark import run_step

    calls = []

    def gone(**_: object) -> None:
        calls.append(threading.current_thread().name)
        raise httpx.ConnectError("gone")

    for name in ("create_markdown_artifact", "create_table_artifact"):
        monkeypatch.setattr(f"flows.telling.{name}", gone)
    assert run_step(SPEC, 0, Settings(root=root, again=("evaluation",)), return_state=True).name == "Completed"
    assert calls == ["telling"]


def test_a_server_that_is_slow_is_not_waited_for_for_long(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.benchmark import run_step

    free = threading.Event()
    monkeypatch.setattr("flows.telling.create_markdown_artifact", lambda **_: free.wait(300))
    monkeypatch.setattr("flows.telling.LEAVE_SECONDS", 0.2)
    with within(15, "a run whose server hangs for 300 s"):
        assert run_step(SPEC, 0, Settings(root=root, again=("evaluation",)), return_state=True).name == "Completed"
    free.set()


def test_text_of_others_draws_no_table_tag_or_link() -> None:
    from flows.summary import plain, table
    from flows.telling import key_of

    assert plain("a|b <i>[x](y)\n`c`") == r"a\|b \<i\>\[x\](y) \`c\`"
    assert table(["x"], [["a|b"]])[-1] == r"| a\|b |"
    assert key_of("Summary of Ünder/Score_1") == "summary-of-nder-score-1"
    assert key_of("/") == "wilss"


def test_tensorboard_has_every_epoch_where_it_is_installed(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from stores import stage_log
    from stores.plans.run import Run
    from stores.plans.session import Session

    drawn: list[tuple[str, int]] = []

    class Writer:
        def __init__(self, folder: str) -> None:
            self.folder = folder

        def __enter__(self) -> Writer:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def add_scalar(self, name: str, value: float, at: int) -> None:
            assert value >= 0
            drawn.append((name, at))

    board = ModuleType("torch.utils.tensorboard")
    board.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", board)
    run = Run(SPEC, Session(Settings(root=root)))
    node = run.plan["checkpoint 0"]
    for there in (False, True):
        monkeypatch.setattr(stage_log.importlib.util, "find_spec", lambda _, there=there: there or None)
        stage_log.note_stage(run.store, tmp_path / "run", node, run.require(node), 2.0)
        assert bool(drawn) == there
    assert ("stage/images_per_second", 1) in drawn
    assert any(name.startswith("loss/") for name, _ in drawn)


def test_a_form_posts_no_fact_of_the_machine_that_nobody_set() -> None:
    fields = Settings.model_json_schema()["properties"]
    assert [name for name, field in fields.items() if "default" in field] == []
    assert fields["root"]["description"] == "folder of artefacts and runs, or s3://BUCKET/PREFIX; default: wilss-data"
    assert "type" not in fields["skip_unreadable"]
