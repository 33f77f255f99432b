"""A few-shot run as Prefect shows it, what it asks for once, and how a finished one is found again."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

import stores.artefacts
from stores.plans import fewshot_run
from wilss.device import resolve_device
from wilss.digest import canonical_json
from wilss.fewshot.spec import FewShotSpec, make_fewshot_spec
from wilss.report.fewshot_records import FewShotReport
from wilss.settings import Settings

Finished = tuple[Path, UUID, FewShotReport]
pytestmark = pytest.mark.usefixtures("prefect_backend")
TINY: dict[str, Any] = {"benchmark": "scenes-5i", "fold": 3, "preset": "tiny", "episodes": 12, "base_episodes": 12}
N_TASKS = 9


@pytest.fixture(scope="module")
def spec() -> FewShotSpec:
    return make_fewshot_spec({**TINY, "head": "cwt"})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, prefect_backend: None, spec: FewShotSpec) -> Finished:
    from flows.fewshot import run_fewshot

    root = tmp_path_factory.mktemp("finished")
    state = run_fewshot(spec, Settings(root=root), return_state=True)
    (path,) = (root / "fewshot").glob("*/fewshot.json")
    return root, state.state_details.flow_run_id, FewShotReport.read(path)


def edges(flow_run: UUID) -> set[tuple[str, str]]:
    """Pairs of task runs, the first of which handed something to the second."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    this = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run]))
    with get_client(sync_client=True) as client:
        for _ in range(60):
            runs = client.read_task_runs(flow_run_filter=this)
            if len(runs) == N_TASKS:
                break
            time.sleep(0.5)  # the server records them one after the other
    names = {run.id: run.name for run in runs}
    return {(names[i.id], names[run.id]) for run in runs for inputs in run.task_inputs.values() for i in inputs}  # type: ignore[union-attr]


def test_prefects_graph_shows_what_is_made_from_what(finished: Finished) -> None:
    scores, episodes = ([f"{name} ({split})" for split in ("eval", "train")] for name in ("scores", "episodes"))
    assert edges(finished[1]) == {
        ("silhouettes", "stage 1"),
        ("silhouettes", "few-shot head"),
        ("stage 1", "few-shot head"),
        *(("few-shot head", score) for score in scores),
        *zip(episodes, scores, strict=True),
        *((name, "report") for name in ("few-shot head", *episodes, *scores)),
    }


def test_a_finished_one_is_found_with_its_report(
    finished: Finished,
    spec: FewShotSpec,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from flows.fewshot import run_fewshot

    root, digests = finished[0], Counter[str]()
    digest_of = stores.artefacts.digest_of

    def counted(facts: Any) -> str:
        digests[canonical_json(facts)] += 1
        return digest_of(facts)

    monkeypatch.setattr(stores.artefacts, "digest_of", counted)
    monkeypatch.setattr(fewshot_run, "read_areas", lambda *_: pytest.fail("masks are read again"))
    (path,) = (root / "fewshot").glob("*/fewshot.json")
    before = path.stat().st_mtime_ns
    again = run_fewshot(spec, Settings(root=root))
    assert again == json.loads(path.read_text())
    assert path.stat().st_mtime_ns == before
    assert "report: found, nothing was to be done" in capsys.readouterr().err
    assert set(digests.values()) == {1}
    assert len(digests) == 7
    monkeypatch.undo()
    anew = run_fewshot(spec, Settings(root=root, again=("scores",)))
    assert path.stat().st_mtime_ns > before
    assert (anew["novel"], anew["artefacts"]) == (again["novel"], again["artefacts"])


def test_the_record_of_a_model(finished: Finished) -> None:
    report = finished[2]
    assert (report.format, report.device, report.head) == (FewShotReport.FORMAT, str(resolve_device("auto")), "cwt")
    assert report.artefacts["episodes"] == report.artefacts["episodes eval"]
    titles = {f"{what} ({part})" for what in ("episodes", "scores") for part in ("novel classes", "base classes")}
    assert set(report.stage_seconds) == {"lists", "silhouettes", "stage 1", "cwt, 1 shot", *titles}
