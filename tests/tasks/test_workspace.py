"""What is checked before any task computes."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from tasks.again import Stage
from tasks.fewshot_workspace import FewShotWorkspace, open_fewshot, scores_recipe
from tasks.workspace import build_once, forget_data

from flows.machine import prepare_prefect
from stores.artefacts import Manifest, Recipe, Store
from stores.models.students import CheckpointIndex, save_checkpoint
from tasks.fewshot import SCORES, read_scores
from tasks.prepare import prepare_data
from wilss.data.catalogue import class_names
from wilss.errors import FormatError, SpecError
from wilss.fewshot.spec import make_fewshot_spec
from wilss.foundation.loading import SCENES_FILE
from wilss.foundation.spec import FoundationSpec
from wilss.foundation.zoo import build_scorer
from wilss.nets.pretrained import find_weights
from wilss.nets.segmenter import build_segmenter
from wilss.nets.spec import StudentSpec
from wilss.protocol import benchmarks
from wilss.spec import Settings, make_spec

BANK = Stage("bank", "memory bank")


def test_what_another_process_made_meanwhile_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, here, there = Recipe("banks", {"a": 1}, {}), Store(tmp_path), Store(tmp_path)
    made: list[Store] = []

    def make(store: Store, folder: Path) -> Manifest:
        made.append(store)
        return store.publish(recipe, folder, {})

    look, looks = here.find, []

    def too_early(wanted: Recipe) -> Manifest | None:
        """The first look comes before the other process is done."""
        looks.append(look(wanted))
        if len(looks) == 1:
            build_once(there, recipe, lambda folder: make(there, folder), BANK)
        return looks[-1]

    monkeypatch.setattr(here, "find", too_early)
    ref = build_once(here, recipe, lambda folder: make(here, folder), BANK)
    assert looks[0] is None
    assert ref == build_once(here, recipe, lambda folder: make(here, folder), BANK)
    assert made == [there], "made once"
    assert not list((tmp_path / "banks").glob(".staging*"))


def test_a_root_that_is_a_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PREFECT_API_URL", "PREFECT_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "root").touch()
    with pytest.raises(SpecError, match=r"root/prefect' cannot be written to \(Not a directory\)"):
        prepare_prefect(tmp_path / "root")


def test_a_flow_sees_weights_that_were_made_anew_under_the_same_name(tmp_path: Path) -> None:
    path = tmp_path / "clip.safetensors"
    spec, state = FoundationSpec(scorer=f"clip:scenes@{path}"), load_file(SCENES_FILE)
    save_file(state, path)
    first = build_scorer(spec).digest
    forget_data()
    assert build_scorer(spec).digest == first
    save_file({**state, "logit_scale": state["logit_scale"] + 1}, path)
    assert build_scorer(spec).digest == first, "one flow keeps to one model"
    forget_data()
    assert build_scorer(spec).digest != first


def test_stage_1_sees_the_images_that_are_asked_for(tmp_path: Path) -> None:
    def opened(lists: str) -> FewShotWorkspace:
        given = {"benchmark": "scenes-5i", "fold": 0, "preset": "tiny", "stage1": {"lists": lists}}
        return open_fewshot(make_fewshot_spec(given), Settings(root=tmp_path))

    filtered, unfiltered, everything = (set(opened(lists).stage1_ids()) for lists in ("filtered", "unfiltered", "all"))
    assert filtered < unfiltered < everything == set(opened("all").train.ids("train"))


@pytest.mark.parametrize("content", [None, "", "[]", '{"class_ids": [1]}', '{"class_ids": ["a"], "counts": [[1]]}'])
def test_scores_that_are_gone_or_damaged_are_told(tmp_path: Path, content: str | None) -> None:
    ws = open_fewshot(
        make_fewshot_spec({"benchmark": "scenes-5i", "fold": 0, "preset": "tiny"}), Settings(root=tmp_path)
    )
    folder = ws.store.path("evaluations", scores_recipe(ws, "eval").digest)
    if content is not None:
        folder.mkdir(parents=True)
        (folder / SCORES).write_text(content)
    with pytest.raises(FormatError, match=r"scores\.json' is damaged .*; delete its folder and run again"):
        read_scores(ws, "eval")


def test_svf_must_fit_the_student_of_the_starting_checkpoint_not_the_presets(tmp_path: Path) -> None:
    """A ViT has no other stride than its own; the preset's, which is 8, would be refused."""
    protocol = benchmarks()["scenes-15-5"]
    student = StudentSpec(backbone="deit_tiny_patch16_224", weights="none", output_stride=16, aspp_channels=8)
    weights = find_weights(student.backbone, "none", None)
    content = {"benchmark": "scenes-15-5", "preset": "tiny", "start": str(tmp_path), "step": {"tuning": "svf"}}
    spec, settings = make_spec(content), Settings(root=tmp_path / "root")
    index = CheckpointIndex(
        benchmark=protocol.name,
        step=0,
        student=student,
        step_sizes=(15,),
        classes=class_names("scenes")[:15],
        class_ids=protocol.steps[0],
        mean=weights.mean,
        std=weights.std,
        arguments={},
        canvas=64,
        history=[],
    )
    save_checkpoint(build_segmenter(student, weights, (15,)), index, tmp_path)
    assert spec.student.output_stride == 8
    assert set(prepare_data.fn(spec, settings)) == {"step 0", "step 1"}
