"""Versions of code count in the digests: of a method, a head, a scorer, a grouper, a source."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import wilss.data.coco.objects
import wilss.data.folder
import wilss.data.voc
from stores.plans.fewshot_run import FewShotRun
from stores.plans.run import Run
from stores.plans.session import Session
from tests.flows.test_cli import voc_folder
from tests.wilss.test_coco import coco_folder
from wilss.data.coco.objects import CocoSource
from wilss.data.coco.source import CocoToVocSource
from wilss.data.coco.split import CocoSplit
from wilss.data.folder import FolderSource
from wilss.data.voc import VocSource
from wilss.digest import code_version, hasher
from wilss.fewshot.heads import HEADS
from wilss.fewshot.spec import make_fewshot_spec
from wilss.foundation.kinds import GROUPERS, SCORERS
from wilss.learn.methods import METHODS
from wilss.settings import Settings
from wilss.spec import make_spec


def test_the_first_version_is_no_fact() -> None:
    assert code_version(1) == {}
    assert code_version(2) == {"code": 2}
    assert hasher(1).digest() != hasher(2).digest() != hasher(3).digest()


NODES = {"base": "checkpoint 0", "labels": "labels 1", "step": "checkpoint 1"}


def digests(root: Path, method: str) -> dict[str, str]:
    spec = make_spec({"benchmark": "scenes-15-5", "preset": "tiny", "method": method})
    plan = Run(spec, Session(Settings(root=root))).plan
    return {key: plan[name].recipe.digest for key, name in NODES.items() if name in plan}


@pytest.mark.parametrize("name", [pytest.param(m, marks=() if m == "fmwiss" else pytest.mark.slow) for m in METHODS])
def test_a_method_of_another_version_teaches_anew_and_no_other_does(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {method: digests(tmp_path, method) for method in METHODS}
    monkeypatch.setitem(METHODS, name, replace(METHODS[name], version=7))
    after = {method: digests(tmp_path, method) for method in METHODS}
    changed = {(m, node) for m in METHODS for node in before[m] if before[m][node] != after[m][node]}
    assert changed == {(name, "base" if name == "joint" else "step")}


@pytest.mark.parametrize(("table", "name"), [(SCORERS, "clip"), (GROUPERS, "dino")])
def test_so_does_a_foundation_model(
    table: dict[str, Any], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digests(tmp_path, "fmwiss"), digests(tmp_path, "wilson")
    monkeypatch.setitem(table, name, replace(table[name], version=2))
    after = digests(tmp_path, "fmwiss"), digests(tmp_path, "wilson")
    assert {key for key in before[0] if before[0][key] != after[0][key]} == {"labels", "step"}
    assert before[1]["step"] == after[1]["step"]


def test_a_head_of_another_version_is_trained_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = {"benchmark": "scenes-5i", "fold": 0, "preset": "tiny"}

    def found(head: str) -> tuple[str, ...]:
        run = FewShotRun(make_fewshot_spec({**content, "head": head}), Session(Settings(root=tmp_path)))
        return tuple(run.plan[name].recipe.digest for name in ("stage 1", "head") if name in run.plan)

    before = {head: found(head) for head in ("bam", "aspp")}
    monkeypatch.setitem(HEADS, "bam", replace(HEADS["bam"], version=2))
    after = {head: found(head) for head in ("bam", "aspp")}
    assert before["aspp"] == after["aspp"]
    assert before["bam"][0] == after["bam"][0]
    assert before["bam"][1] != after["bam"][1]


def test_a_source_of_another_version_is_other_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    voc, coco, own = voc_folder(tmp_path / "voc"), coco_folder(tmp_path / "coco"), tmp_path / "own"
    (own / "images").mkdir(parents=True)
    shutil.copy(voc / "JPEGImages" / "2007_000000.jpg", own / "images" / "a.jpg")
    (own / "labels.csv").write_text("image,labels\na.jpg,cat\n")

    def found() -> list[str]:
        split = CocoSplit(coco, "train2017")
        pictures = VocSource(voc, "train_aug", "dev")
        sources = (pictures, CocoSource(split, split), CocoToVocSource(split, split, pictures))
        return [source.fingerprint for source in sources] + [FolderSource(own, ("cat",), (1,)).fingerprint_of((), (1,))]

    before = found()
    monkeypatch.setattr(wilss.data.voc, "VOC_VERSION", 99)
    assert [a == b for a, b in zip(before, found(), strict=True)] == [False, True, False, True]
    monkeypatch.undo()
    for module, name in ((wilss.data.coco.source, "COCO_VERSION"), (wilss.data.coco.objects, "COCO_VERSION")):
        monkeypatch.setattr(module, name, 99)
    monkeypatch.setattr(wilss.data.folder, "FOLDER_VERSION", 99)
    assert [a == b for a, b in zip(before, found(), strict=True)] == [True, False, False, False]
