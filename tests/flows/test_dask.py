"""A run on Dask's workers: the same digests and the same bytes as with threads, and the same graph."""

from __future__ import annotations

import io
import os
import re
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL

from flows.api import Api
from stores.artefacts import Store
from tests.flows.dask_cluster import content, digests, own_workers, scheduler, worker
from wilss.errors import SpecError
from wilss.register import load_registrations
from wilss.settings import Settings
from wilss.spec import make_spec

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_backend"), pytest.mark.timeout(900)]
TINY: dict[str, Any] = {"benchmark": "scenes-15-5", "preset": "tiny", "method": "finetune"}
EDGES = {
    ("labels of step 1, begun", "labels of step 1, shard 0"),
    ("labels of step 1, shard 0", "labels of step 1"),
    ("labels of step 1", "student of step 1"),
    ("student of step 1", "scores of full images, part 0"),
    ("scores of full images, part 0", "evaluation of step 1"),
    ("evaluation of step 1", "report"),
}


@dataclass(frozen=True)
class Both:
    """Roots of the same run with threads and on Dask, and what the second said."""

    threads: Path
    dask: Path
    said: str


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, prefect_backend: None) -> Both:
    """Shards of four images, and parts of one batch."""
    import flows.scoring
    import stores.labels.index as index
    from flows.benchmark import run_benchmark

    folder, said = tmp_path_factory.mktemp("both"), io.StringIO()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(index, "SHARD_IMAGES", 4)
        patched.setattr(flows.scoring, "PART", 1)
        run_benchmark(make_spec(TINY), Settings(root=folder / "threads"))
        with redirect_stderr(said):
            run_benchmark(make_spec(TINY), Settings(root=folder / "dask", runner="dask", workers=2))
    return Both(folder / "threads", folder / "dask", said.getvalue())


def test_a_run_is_the_same(both: Both) -> None:
    assert digests(both.threads) == digests(both.dask)
    for kind in ("labels", "evaluations", "checkpoints"):
        assert content(both.threads, kind) == content(both.dask, kind), kind
    assert len([name for name in content(both.dask, "labels") if "refined/c/" in name]) > 4
    assert not list(both.dask.glob("*/.staging*"))
    assert own_workers(os.getpid()) == []


def test_progress_is_one_line_for_all_workers(both: Both) -> None:
    assert re.search(r"^labels of step 1: label (\d+)/\1, [\d.e+]+ images/s$", both.said, re.M), both.said
    assert re.search(r"^evaluate step 1, full: evaluate (\d+)/\1(, |$)", both.said, re.M), both.said
    assert "shard" not in both.said


def test_its_graph_has_a_node_a_part(both: Both) -> None:
    with Api(str(PREFECT_API_URL.value())) as api:
        (run,) = api.rows("/flow_runs/filter", {"sort": "START_TIME_DESC"})[:1]
        missing = EDGES - graph(api, run["id"])
    assert not missing


def test_a_stored_model_is_scored_alike(both: Both) -> None:
    from flows.evaluate import run_evaluation

    student = Store(both.dask).all("checkpoints")[-1].digest
    before = len(content(both.dask, "evaluations"))
    for root, runner in ((both.threads, "threads"), (both.dask, "dask")):
        run_evaluation(student, make_spec(TINY), Settings(root=root, runner=runner, workers=2))
    assert content(both.threads, "evaluations") == content(both.dask, "evaluations")
    assert len(content(both.dask, "evaluations")) == before + 1


def graph(api: Api, flow_run: str) -> set[tuple[str, str]]:
    nodes = dict(api.get(f"/flow_runs/{flow_run}/graph-v2")["nodes"])
    names = {key: re.sub("-[0-9a-f]{3}$", "", node["label"]) for key, node in nodes.items()}
    return {(names[parent["id"]], names[key]) for key, node in nodes.items() for parent in node["parents"]}


def test_the_workers_of_a_scheduler_go_on_without_what_a_run_had_open(tmp_path: Path) -> None:
    """Two runs on one scheduler; its worker stays, and holds nothing of them."""
    from distributed import Client

    from flows.relabel import run_relabel

    with scheduler() as (_, address), worker(address) as process:
        for seed in (0, 1):
            root = tmp_path / str(seed)
            run_relabel(make_spec({**TINY, "seed": seed}), 1, Settings(root=root, runner=f"dask:{address}"))
        with Client(address) as client:
            (plugins,) = client.run(
                lambda dask_worker: [name for name in dask_worker.plugins if "wilss" in name]
            ).values()
        assert plugins == []
        assert process.poll() is None
    run_relabel(make_spec(TINY), 1, Settings(root=tmp_path / "threads"))
    assert content(tmp_path / "0", "labels") == content(tmp_path / "threads", "labels")


OWN = """
import multiprocessing
import wilss
from wilss.errors import SpecError

class Bright:
    digest = "bright"

    def scores(self, images, prompts):
        if REFUSES and multiprocessing.parent_process():
            raise SpecError("the scorer says no")
        small = images.mean(1, keepdim=True)[:, :, ::4, ::4]
        return small.expand(-1, len(prompts), -1, -1).contiguous()

wilss.register_scorer("bright", lambda spec, weights, device: Bright())
"""


def own(file: Path, refuses: bool) -> tuple[Path, ...]:
    file.write_text(OWN.replace("REFUSES", str(refuses)))
    load_registrations(file)
    return (file,)


@pytest.mark.usefixtures("registrations")
def test_registrations_of_ones_own_are_known_on_workers(tmp_path: Path) -> None:
    from flows.relabel import run_relabel

    imports, spec = own(tmp_path / "own.py", refuses=False), {**TINY, "foundation": {"scorer": "bright:any"}}
    for runner in ("threads", "dask"):
        run_relabel(make_spec(spec), 1, Settings(root=tmp_path / runner, runner=runner, imports=imports))
    assert content(tmp_path / "dask", "labels") == content(tmp_path / "threads", "labels")


@pytest.mark.usefixtures("registrations")
def test_what_goes_wrong_on_a_worker_is_what_the_run_ends_with(tmp_path: Path) -> None:
    from flows.relabel import run_relabel

    imports, spec = own(tmp_path / "own.py", refuses=True), {**TINY, "foundation": {"scorer": "bright:any"}}
    with pytest.raises(SpecError, match=r"^the scorer says no$"):
        run_relabel(make_spec(spec), 1, Settings(root=tmp_path / "root", runner="dask", imports=imports))
    assert own_workers(os.getpid()) == []
