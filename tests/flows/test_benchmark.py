"""The flows on a tiny world with real foundation models, real stores and a Prefect server."""

from __future__ import annotations

import json
import re
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stores.artefacts import ArtefactRef, Store
from stores.labels.sets import LabelSet
from stores.labels.shards import encode_chunk
from stores.plans.run import Run
from stores.plans.session import Session
from tests.stores.damage import restamp
from wilss.damage import seal_of
from wilss.device import resolve_device
from wilss.errors import ArtefactNotFoundError, DataError, SpecError, TrainingError
from wilss.models.files import load_student
from wilss.settings import Settings
from wilss.spec import make_spec

pytestmark = pytest.mark.usefixtures("prefect_backend")

TINY: dict[str, Any] = {"benchmark": "scenes-15-5", "preset": "tiny"}


def settings(root: Path) -> Settings:
    return Settings(root=root)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, prefect_backend: None) -> tuple[Path, dict[str, Any]]:
    from flows.benchmark import run_benchmark

    root = tmp_path_factory.mktemp("finished")
    return root, run_benchmark(make_spec(TINY), settings(root))


def modified(root: Path) -> dict[str, int]:
    found = [p for kind in ("labels", "banks", "checkpoints", "evaluations") for p in (root / kind).rglob("*")]
    return {str(p): p.stat().st_mtime_ns for p in found if p.is_file()}


def test_shards_that_another_process_wrote_meanwhile_are_not_labelled_again(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks import labels

    root = tmp_path / "root"
    shutil.copytree(finished[0], root)
    run = Run(make_spec(TINY), Session(settings(root)))

    def again(*given: object) -> None:
        raise AssertionError("labelled again")

    monkeypatch.setattr(labels, "write_shard", again)
    manifest = next(m for m in Store(root).all("labels") if "teacher" not in m.parents)
    begun = labels.begin_labels.fn(run, 1)
    counts = {"images": 35, "shards": 1, "shard_images": 128}
    assert begun == ArtefactRef(kind="labels", digest=manifest.digest, counts=counts)
    shard = labels.label_shard.fn(run, 1, begun, 0)  # published
    assert not list((root / "labels").glob(".staging*"))
    published, staging = (find("labels", manifest.digest) for find in (Store(root).path, Store(root).staging))
    (published / "manifest.json").unlink()
    published.rename(staging)
    assert labels.label_shard.fn(run, 1, begun, 0) == shard  # written, not yet published
    assert labels.label_set.fn(run, 1, [shard]).digest == manifest.digest


def test_report_has_what_it_promises(finished: tuple[Path, dict[str, Any]]) -> None:
    root, report = finished
    (path,) = (root / "runs").glob("*/report.json")
    assert json.loads(path.read_text()) == json.loads(json.dumps(report))
    assert set(report) >= {
        "benchmark",
        "method",
        "scenario",
        "seed",
        "per_class_iou",
        "metrics",
        "steps",
        "label_sets",
        "stage_seconds",
        "total_seconds",
        "peak_rss_bytes",
        "versions",
        "artefacts",
    }
    assert set(report["metrics"]) == {"old", "new", "all"}
    assert len(report["per_class_iou"]) == 21
    assert [len(s["per_class_iou"]) for s in report["steps"]] == [16, 21]
    assert {stage for entry in report["label_sets"] for stage in entry["iou"]} == {"initial", "refined", "final"}
    html = path.with_suffix(".html").read_text()
    assert html.count("<img ") == 8 * (5 + 4), "image, truth and three stages; image, truth, before and after"
    assert "Confusion after the last step" in html
    assert not re.search(r"(src|href)=.http|@import|url\(http", html)  # nothing is loaded from elsewhere


def test_running_again_redoes_nothing_and_gives_the_same(finished: tuple[Path, dict[str, Any]]) -> None:
    from flows.benchmark import run_benchmark

    root, report = finished
    before = modified(root)
    again = run_benchmark(make_spec(TINY), settings(root))
    assert modified(root) == before
    assert again["metrics"] == report["metrics"]


@pytest.mark.slow
def test_another_root_gives_identical_metrics(finished: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    from flows.benchmark import run_benchmark

    report = run_benchmark(make_spec(TINY), settings(tmp_path))
    for key in ("metrics", "per_class_iou", "steps", "label_sets", "artefacts"):
        assert report[key] == finished[1][key]


def test_step_says_what_is_missing(tmp_path: Path) -> None:
    from flows.benchmark import run_step

    with pytest.raises(ArtefactNotFoundError, match=r"the base student .* run the step before"):
        run_step(make_spec(TINY), 1, settings(tmp_path))
    assert not list(tmp_path.rglob("manifest.json"))
    with pytest.raises(SpecError, match="has no step 7; its steps are 0 to 1"):
        run_step(make_spec(TINY), 7, settings(tmp_path))


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_loss_that_is_not_finite_leaves_the_last_good_student(
    epoch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wilss.learn.base as base
    from flows.benchmark import run_step

    plain = base._FromMasks.losses

    def losses(self: Any, batch: Any, now: int) -> dict[str, torch.Tensor]:
        return {name: value * (torch.nan if now == epoch else 1) for name, value in plain(self, batch, now).items()}

    spec = make_spec({**TINY, "base": {"epochs": 2}})
    with monkeypatch.context() as patch:
        patch.setattr(base._FromMasks, "losses", losses)
        with pytest.raises(
            TrainingError, match=rf"not finite in epoch {epoch + 1}, batch 1 of \d+, on the images"
        ) as e:
            run_step(spec, 0, settings(tmp_path))
    kept = list(tmp_path.glob("checkpoints/.staging-*/last-good"))
    if epoch == 0:
        assert "there is nothing to keep" in str(e.value)
        assert not kept
        return
    assert str(kept[0]) in str(e.value)
    student, card = load_student(kept[0])
    assert len(card.history) == 1
    assert all(value.isfinite().all() for value in student.state_dict().values())
    assert run_step(spec, 0, settings(tmp_path))["metrics"]["old"] is not None  # a later run goes on and clears up
    assert not list(tmp_path.glob("checkpoints/.staging-*/last-good"))


@pytest.mark.slow
def test_steps_one_by_one_equal_the_benchmark(finished: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    from flows.benchmark import run_step

    base = run_step(make_spec(TINY), 0, settings(tmp_path))
    assert base["metrics"]["new"] is None
    report = run_step(make_spec(TINY), 1, settings(tmp_path))
    assert report["steps"] == finished[1]["steps"]


def test_finetune_shares_base_and_labels(finished: tuple[Path, dict[str, Any]]) -> None:
    from flows.benchmark import run_benchmark

    root, report = finished
    other = run_benchmark(make_spec({**TINY, "method": "finetune"}), settings(root))
    for name in ("checkpoint 0", "labels 1"):
        assert other["artefacts"][name] == report["artefacts"][name]
    assert other["artefacts"]["checkpoint 1"] != report["artefacts"]["checkpoint 1"]


@pytest.mark.slow
def test_many_steps_grow_the_student(tmp_path: Path) -> None:
    from flows.benchmark import run_benchmark

    report = run_benchmark(make_spec({**TINY, "benchmark": "scenes-10-5-5"}), settings(tmp_path))
    assert [s["n_classes"] for s in report["steps"]] == [10, 15, 20]
    store = Store(tmp_path)
    model, _ = load_student(store.path("checkpoints", report["artefacts"]["checkpoint 2"]))
    assert model.step_sizes == (10, 5, 5)
    assert not any("teacher" in name for name, _ in model.named_parameters())
    with pytest.raises(SpecError, match="knows 20 classes, 3 are expected; first difference: 'bone'"):
        load_student(store.path("checkpoints", report["artefacts"]["checkpoint 2"]), ("arrow", "bolt", "mug"))


@pytest.mark.slow
def test_labels_made_anew_pull_their_step_along_and_nothing_else(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from flows.benchmark import run_benchmark, run_step

    root = tmp_path / "root"
    shutil.copytree(finished[0], root)
    before = modified(root)
    report = run_benchmark(make_spec(TINY), settings(root).model_copy(update={"again": ("labels-1",)}))
    after = modified(root)
    changed = {path for path in before if path.endswith("manifest.json") and after[path] != before[path]}
    anew = ("labels 1", "checkpoint 1", "final labels 1", "evaluation 1")
    assert {Path(path).parent.name for path in changed} == {report["artefacts"][name] for name in anew}
    assert set(before) == set(after)
    for key in ("metrics", "steps", "label_sets", "artefacts"):
        assert report[key] == finished[1][key]
    said = capsys.readouterr().err
    assert re.search(r"^base student: found, made (just now|\d+ \w+ ago)$", said, re.MULTILINE)
    assert "labels of step 1: found" not in said
    with pytest.raises(SpecError, match="'base' is no stage that could be made again here"):
        run_step(make_spec(TINY), 1, settings(root).model_copy(update={"again": ("base",)}))
    assert modified(root) == after


def test_masks_of_other_images_are_not_trained_on(finished: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    from flows.benchmark import run_step

    root = tmp_path / "root"
    shutil.copytree(finished[0], root)
    folder = Store(root).path("labels", finished[1]["artefacts"]["labels 1"])
    joined = "\0".join(LabelSet.open(folder).index.ids[::-1]).encode()
    (folder / "labels.zarr/ids/c/0").write_bytes(encode_chunk(np.frombuffer(joined, np.uint8)))
    restamp(folder)
    again = settings(root).model_copy(update={"again": ("step",)})
    with pytest.raises(DataError, match=r"row \d+ of the label set is image 'train-\d+' with .*, which has .* in the"):
        run_step(make_spec(TINY), 1, again)


def test_device_and_settings_are_said_and_kept(
    finished: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    from flows.benchmark import run_benchmark

    root, report = finished
    run_benchmark(make_spec(TINY), settings(root))
    said = capsys.readouterr().err.splitlines()
    assert said[0] == f"device: {report['device']}"
    assert report["device"] == str(resolve_device("auto"))
    assert said[1] == "settings of fmwiss:"
    assert said[2].startswith("  benchmark=scenes-15-5 ")
    (line,) = (line for line in said if line.startswith("  step: "))
    assert f"epochs={report['spec']['step']['epochs']} batch_size=16" in line
    assert not any(line.startswith("  wilson:") for line in said), "another method's"


@pytest.mark.slow
def test_a_report_is_found_only_of_just_what_is_there(finished: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """What was made anew has the digest of what it replaced: a run that was stopped before its report tells nothing."""
    from flows.benchmark import run_benchmark
    from flows.compare import run_comparison
    from wilss.grid import make_grid

    root = tmp_path / "root"
    shutil.copytree(finished[0], root)
    (path,) = (root / "runs").glob("scenes-15-5-overlap-fmwiss-*/report.json")
    before = path.stat().st_mtime_ns
    kept = run_benchmark(make_spec(TINY), settings(root))
    assert path.stat().st_mtime_ns == before
    assert kept["stage_seconds"] == finished[1]["stage_seconds"]
    compared = run_comparison(make_grid(TINY, ("finetune", "fmwiss"), (0,)), settings(root))
    assert path.stat().st_mtime_ns == before, "another run of the comparison was made, this one was found"
    assert {run["name"]: run["seconds"] > 0 for run in compared["runs"]} == {"finetune": True, "fmwiss": True}
    page = (Path(compared["folder"]) / "compare.html").read_text()
    assert "Settings" in page
    assert f"torch={version('torch')}" in page
    manifest = Store(root).path("evaluations", kept["artefacts"]["evaluation 1"]) / "manifest.json"
    content = json.loads(manifest.read_text())
    content |= {"created": "2030-01-01T00:00:00+00:00"}
    manifest.write_text(json.dumps({**content, "seal": seal_of(content)}))
    again = run_benchmark(make_spec(TINY), settings(root))
    assert path.stat().st_mtime_ns != before
    assert again["made"]["evaluation 1"].startswith("2030")
