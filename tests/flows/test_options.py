"""What options make of the data folder of a machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.cli.few_shot import FewShotOptions
from flows.cli.options import MachineOptions, RunOptions, run_content, specify
from wilss.errors import SpecError
from wilss.fewshot.spec import make_fewshot_spec


@pytest.fixture
def machine(tmp_path: Path) -> MachineOptions:
    """A machine with a VOC folder that has no val list."""
    folder = tmp_path / "voc" / "ImageSets" / "Segmentation"
    folder.mkdir(parents=True)
    for name in ("train_aug", "dev"):
        (folder / f"{name}.txt").write_text("2007_000032\n")
    return MachineOptions(root=tmp_path / "root", data=tmp_path / "voc")


def test_a_voc_folder_lends_its_lists_to_voc_only(machine: MachineOptions) -> None:
    photographs = FewShotOptions(benchmark="pascal-5i").content(machine)
    assert photographs["data"] == {"eval_list": "dev"}
    for other in ("scenes-5i", "coco-20i"):
        content = FewShotOptions(benchmark=other).content(machine)
        assert "data" not in content
        make_fewshot_spec({**content, "fold": 0})
    settings = machine.settings()
    assert run_content("voc-15-5", RunOptions(), settings)["data"] == {"eval_list": "dev"}
    assert "data" not in run_content("scenes-15-5", RunOptions(), settings)


def test_a_benchmark_of_ones_own_over_voc_takes_its_lists_and_nonsense_is_named(machine: MachineOptions) -> None:
    file = machine.settings().root.with_name("own.yaml")
    for data, lists in (("voc", {"eval_list": "dev"}), ("folder", None), ("[voc]", None)):
        file.write_text(f"name: own\ndata: {data}\nsteps: [[cat], [dog]]\n")
        assert run_content(str(file), RunOptions(), machine.settings()).get("data") == lists
    with pytest.raises(SpecError, match="data"):
        specify(str(file), "fmwiss", 0, RunOptions(), machine)


def test_the_folder_of_the_later_step_lends_its_lists(machine: MachineOptions) -> None:
    crossing = MachineOptions(root=machine.root, voc=machine.data)
    assert FewShotOptions(benchmark="coco-to-pascal").content(crossing)["data"] == {"eval_list": "dev"}
    assert run_content("coco-to-voc", RunOptions(), crossing.settings())["data"] == {"eval_list": "dev"}
    assert "data" not in run_content("coco-to-voc", RunOptions(), machine.settings())
