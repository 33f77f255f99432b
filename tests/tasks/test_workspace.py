"""What is checked before any task computes."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from flows.machine import prepare_prefect
from stores.artefacts import Manifest, Recipe, Store
from stores.models.heads import save_head
from stores.models.students import CheckpointIndex, save_checkpoint
from tasks.again import Stage
from tasks.fewshot import SCORES, read_scores
from tasks.fewshot_start import fewshot_backbone
from tasks.fewshot_workspace import FewShotWorkspace, open_fewshot, scores_recipe
from tasks.prepare import prepare_data
from tasks.workspace import build_once, forget_data, require_device
from wilss.data.catalogue import class_names
from wilss.data.spec import DataSpec
from wilss.errors import FormatError, SpecError
from wilss.fewshot.leak_rule import _require_lists
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


def test_only_devices_that_are_there_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    for name in ("cpu", "cuda", "cuda:0"):
        assert str(require_device(name)) == name
    assert torch.backends.cudnn.allow_tf32 is False
    for name in ("cuda:1", "cudax", "gpu"):
        with pytest.raises(SpecError, match=f"'{name}' is not available here; use cpu or cuda"):
            require_device(name)


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


def test_backbones_of_unfiltered_lists_are_refused_where_later_classes_are_hidden() -> None:
    given = {"benchmark": "coco-20i", "fold": 0, "preset": "tiny"}
    unfiltered = make_fewshot_spec({**given, "lists": "unfiltered"})
    hiding, showing = benchmarks()["coco-to-voc"], benchmarks()["voc-15-5"]
    with pytest.raises(SpecError, match=r"coco-to-voc hides images with later classes"):
        _require_lists(unfiltered, "head", "overlap", hiding)
    _require_lists(unfiltered, "head", "overlap", showing)
    _require_lists(make_fewshot_spec(given), "head", "overlap", hiding)


@pytest.mark.parametrize("lists", ["unfiltered", "all"])
def test_so_are_those_whose_stage_1_saw_such_lists_wherever_they_began(lists: str) -> None:
    """BAM's loss goes through its stage 1 into the backbone, also where that began without it."""
    given = {"benchmark": "scenes-5i", "fold": 3, "preset": "tiny", "start": "pretrained", "stage1": {"lists": lists}}
    protocol = benchmarks()["scenes-15-5"]
    with pytest.raises(
        SpecError, match=r"disjoint scenario of scenes-15-5 hides .* the stage 1 that it was trained with"
    ):
        _require_lists(make_fewshot_spec({**given, "head": "bam"}), "head", "disjoint", protocol)
    _require_lists(make_fewshot_spec({**given, "head": "aspp"}), "head", "disjoint", protocol)
    filtered = {**given, "head": "bam", "stage1": {"lists": "filtered"}}
    _require_lists(make_fewshot_spec(filtered), "head", "disjoint", protocol)


@pytest.mark.parametrize("stage", ["stage 1", "head"])
@pytest.mark.parametrize(
    ("stage1", "words"),
    [
        ({"lists": "all"}, r"has no image without a base class, .*stage1\.lists=unfiltered"),
        ({"lists": "unfiltered", "novel": "ignore"}, r"so their masks were used; .*stage1\.novel=background"),
        ({"lists": "unfiltered", "novel": "background"}, None),
        ({"lists": "filtered", "novel": "ignore"}, None),
    ],
)
def test_nor_may_stage_1_know_more_than_the_base_step_shows(
    tmp_path: Path, stage: str, stage1: dict[str, str], words: str | None
) -> None:
    store, protocol = Store(tmp_path), benchmarks()["scenes-15-5"]
    content = {"benchmark": "scenes-5i", "fold": 3, "preset": "tiny", "head": "cwt"}
    name = stored(store, stage, {**content, "stage1": {"novel": "background", **stage1}})
    with nullcontext() if words is None else pytest.raises(SpecError, match=words):
        fewshot_backbone(name, "resnet_scenes", store, protocol, "overlap", DataSpec())


@pytest.mark.parametrize("stage", ["stage 1", "head"])
@pytest.mark.parametrize("fold", [0, 1, 2])
def test_no_other_fold_may_start_15_5(tmp_path: Path, stage: str, fold: int) -> None:
    store, protocol = Store(tmp_path), benchmarks()["scenes-15-5"]
    name = stored(store, stage, {"benchmark": "scenes-5i", "fold": fold, "preset": "tiny", "head": "aspp"})
    with pytest.raises(SpecError, match="has seen masks of"):
        fewshot_backbone(name, "resnet_scenes", store, protocol, "overlap", DataSpec())


@pytest.mark.parametrize(
    ("few_shot", "data", "words"),
    [
        ({"train_list": "val"}, {}, "was trained on images of 'val', which voc-15-5 scores"),
        ({"train_list": "val"}, {"eval_list": "dev"}, None),
        ({}, {}, None),
    ],
)
def test_nor_may_the_images_that_are_scored_have_been_trained_on(
    tmp_path: Path, few_shot: dict[str, str], data: dict[str, str], words: str | None
) -> None:
    store, protocol = Store(tmp_path), benchmarks()["voc-15-5"]
    content = {"benchmark": "pascal-5i", "fold": 3, "preset": "tiny", "head": "aspp", "data": few_shot}
    name = stored(store, "head", {**content, "backbone": {"backbone": "resnet_scenes"}})
    with nullcontext() if words is None else pytest.raises(SpecError, match=words):
        fewshot_backbone(name, "resnet_scenes", store, protocol, "overlap", DataSpec(**data))  # type: ignore[arg-type]


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


def stored(store: Store, stage: str, content: dict[str, object]) -> str:
    """A few-shot model with hardly any weights; returns how a student names it."""
    known = {"mean": [0.5] * 3, "std": [0.5] * 3, "arguments": {}}
    recipe = Recipe("heads", {"stage": stage}, {})
    with store.build(recipe) as folder:
        about = {"spec": make_fewshot_spec(content).model_dump(mode="json"), "input": known}
        save_head({"backbone.body.conv1.weight": torch.zeros(1)}, about, folder)
        store.publish(recipe, folder, {})
    return f"heads:{recipe.digest}"


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
