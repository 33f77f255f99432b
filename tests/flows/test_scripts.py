"""A script gets what a run gets: masks, student and scores; and the scripts of its page run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import wilss
from stores.artefacts import Store
from stores.evaluations import read_confusions
from stores.labels.sets import LabelSet
from stores.plans.run import Run
from stores.plans.session import Session
from wilss.settings import Settings
from wilss.spec import make_spec

pytestmark = pytest.mark.usefixtures("prefect_backend")
TINY: dict[str, Any] = {"benchmark": "scenes-15-5", "preset": "tiny", "method": "finetune"}
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, prefect_backend: None) -> Run:
    """A finished run in ``wilss-data`` of an otherwise empty folder."""
    from flows.benchmark import run_benchmark

    settings = Settings(root=tmp_path_factory.mktemp("scripts") / "wilss-data")
    run_benchmark(make_spec(TINY), settings)
    return Run(make_spec(TINY), Session(settings))


def folder(run: Run, node: str) -> Path:
    return run.store.folder(run.require(run.plan[node]))


def step_images(run: Run) -> tuple[tuple[str, ...], list[torch.Tensor], list[list[str]]]:
    data, names = run.lists.tagged(1, run.spec.data.canvas), run.names(run.protocol.steps[1])
    tags = [[name for name, shown in zip(names, row, strict=True) if shown] for row in data.tags.tolist()]
    return data.images.ids, [run.source.image(i) for i in data.images.ids], tags


def test_labels_are_those_of_a_run_bit_by_bit(run: Run) -> None:
    ids, images, tags = step_images(run)
    names = [run.names(run.protocol.steps[step]) for step in (0, 1)]
    found = wilss.label(images, tags, names[1], "tiny", known=names[0], ids=ids)
    stored = LabelSet.open(folder(run, "labels 1"))
    assert stored.index.ids == found.ids
    assert torch.equal(stored.read("refined", 0, len(ids)), found.masks)
    assert torch.equal(stored.read("soft", 0, len(ids)), found.scores.half())
    torch.testing.assert_close(stored.read("agreement", 0, len(ids)), found.agreement, rtol=0, atol=0, equal_nan=True)
    assert int(found.masks.sum()) > 0


def test_a_step_is_that_of_a_run(run: Run) -> None:
    ids, images, tags = step_images(run)
    old, wanted = (wilss.load(folder(run, f"checkpoint {step}"), device=str(run.device)) for step in (0, 1))
    found = wilss.train_step(old, images, tags, run.names(run.protocol.steps[1]), "finetune", "tiny", ids=ids)
    assert found.card == wanted.card
    for name, value in wanted.network.state_dict().items():
        torch.testing.assert_close(found.network.state_dict()[name], value, rtol=0, atol=0)


def test_scores_are_those_of_a_run(run: Run) -> None:
    (report,) = run.store.root.glob("runs/*")
    model = wilss.load(report)
    assert model.card.step == 1
    scores = wilss.evaluate(model, run.source)
    assert torch.equal(scores.confusion, read_confusions(folder(run, "evaluation 1"))["full"])
    told = wilss.report.records.RunReport.read(report / "report.json")
    assert scores.iou == pytest.approx(dict(told.per_class_iou), nan_ok=True)
    assert scores.means["C"].new == pytest.approx(told.metrics.new)


def test_a_digest_is_found_under_the_root(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = run.plan["checkpoint 1"].recipe.digest
    monkeypatch.setenv("WILSS_ROOT", str(run.store.root))
    assert wilss.load(digest[:12]).classes == wilss.load(digest, root=run.store.root).classes
    labels = next(m.digest for m in Store(run.store.root).all("labels"))
    with pytest.raises(FileNotFoundError, match="is one of the labels in"):
        wilss.load(labels)


PAGE = ROOT / "docs" / "how-to" / "script.md"
SCRIPTS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(2))
def test_scripts_of_the_page_run_as_they_stand(run: Run, number: int) -> None:
    """In a folder with a finished run's ``wilss-data`` and a folder ``photos``."""
    assert len(SCRIPTS) == 2
    place = run.store.root.parent
    (place / "photos").mkdir(exist_ok=True)
    for name in ("one", "two"):
        pixels = run.source.image(f"eval-00000{len(name)}").permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(place / "photos" / f"{name}.png")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment.pop("WILSS_ROOT", None)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPTS[number]], cwd=place, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert len([line for line in SCRIPTS[number].splitlines() if line.strip()]) <= 12
