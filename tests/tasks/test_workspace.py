"""What is checked before any task computes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from flows.environment import prepare_prefect
from stores.artefacts import Manifest, Recipe, Store
from tasks.fewshot_start import _require_lists
from tasks.fewshot_workspace import FewShotWorkspace, open_fewshot
from tasks.workspace import build_once, require_device
from wilss.errors import SpecError
from wilss.fewshot.spec import make_fewshot_spec
from wilss.protocol import benchmarks
from wilss.spec import Settings


def test_only_devices_that_are_there_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    for name in ("cpu", "cuda", "cuda:0"):
        require_device(name)
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
            build_once(there, recipe, lambda folder: make(there, folder))
        return looks[-1]

    monkeypatch.setattr(here, "find", too_early)
    ref = build_once(here, recipe, lambda folder: make(here, folder))
    assert looks[0] is None
    assert ref == build_once(here, recipe, lambda folder: make(here, folder))
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


def test_stage_1_sees_the_images_that_are_asked_for(tmp_path: Path) -> None:
    def opened(lists: str) -> FewShotWorkspace:
        given = {"benchmark": "scenes-5i", "fold": 0, "preset": "tiny", "stage1": {"lists": lists}}
        return open_fewshot(make_fewshot_spec(given), Settings(root=tmp_path))

    filtered, unfiltered, everything = (set(opened(lists).stage1_ids()) for lists in ("filtered", "unfiltered", "all"))
    assert filtered < unfiltered < everything == set(opened("all").train.ids("train"))
