"""`wilss data check`: what is given is obeyed, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands import Wilss
from tests.flows.test_cli import voc_folder
from tests.wilss.odd_files import corner, folder, in_palette
from tests.wilss.test_coco import coco_folder


def checked(wilss: Wilss, data: Path, *arguments: object) -> tuple[int, str]:
    """Exit code, and all that is said, in one line."""
    code, out, err = wilss("data", "check", data, "--out", data.parent / "sheet.png", *arguments)
    return code, " ".join((out + err).split())


@pytest.mark.parametrize("layout", ["folder", "voc", "coco"])
def test_pictures_are_left_out_without_a_benchmark_too(wilss: Wilss, tmp_path: Path, layout: str) -> None:
    if layout == "folder":
        data = folder(tmp_path / "data", {name: in_palette(corner()) for name in "ab"}, "a,cat\n")
        broken = data / "images" / "b.jpg"
    elif layout == "voc":
        data = voc_folder(tmp_path / "data")
        broken = data / "JPEGImages" / "2007_000000.jpg"
    else:
        data = coco_folder(tmp_path / "data")
        broken = data / "train2017" / "000000000002.jpg"
    assert broken.is_file()
    broken.write_bytes(b"no image")
    assert checked(wilss, data)[0] == 2
    code, said = checked(wilss, data, "--skip-unreadable")
    assert code == 1, said
    assert str(broken) in said
    assert "(left out)" in said


@pytest.mark.parametrize(
    ("layout", "options", "message"),
    [
        ("folder", ["--set", "step.epochs=3"], "'--set step.epochs' changes nothing without a benchmark; name one"),
        ("folder", ["--preset", "paper"], "'--preset' changes nothing without a benchmark"),
        ("folder", ["--scenario", "disjoint"], "'--scenario' changes nothing without a benchmark"),
        ("folder", ["--train-list", "train"], "'data.train_list' is given, which voc data have, and"),
        ("folder", ["--labels-csv", "l.csv"], "'l.csv' would be ignored: only VOC's image-level labels"),
        ("voc", ["--set", "data.coco_train=a"], "'data.coco_train' is given, which coco data have, and"),
        ("voc", ["--set", "data.canvas=64"], "'data.canvas' is given, which changes nothing that is looked at"),
        ("voc", ["--set", "data.trainlist=a"], "unknown key 'data.trainlist'"),
        ("voc", ["--train-list", "none"], "none.txt' does not exist"),
        ("voc", ["--labels-csv", "none.csv"], "'none.csv' does not exist"),
        ("coco", ["--set", "data.coco_eval=none"], "has no COCO split 'none'"),
        ("coco", ["--eval-list", "val"], "'data.eval_list' is given, which voc data have, and"),
    ],
)
def test_what_is_given_without_a_benchmark_is_obeyed_or_refused(
    wilss: Wilss, tmp_path: Path, layout: str, options: list[str], message: str
) -> None:
    made = {"voc": voc_folder, "coco": coco_folder}
    masks = {"a": in_palette(corner())}
    data = made[layout](tmp_path / "data") if layout in made else folder(tmp_path / "data", masks, "a,cat\n")
    code, said = checked(wilss, data, *options)
    assert code == 2
    assert message in said


def test_coco_is_checked_with_the_benchmark_that_uses_it(wilss: Wilss, tmp_path: Path) -> None:
    coco, voc = coco_folder(tmp_path / "coco"), voc_folder(tmp_path / "voc", 24)
    arguments = ["--benchmark", "coco-to-voc", "--voc", voc, "--set", "data.eval_list=dev"]
    splits = ["data.coco_eval=train2017"]
    code, said = checked(wilss, coco, *arguments, *splits, "--json")
    facts = json.loads(said)
    assert code == 1, said  # VOC's images are equal
    assert (facts["layout"], facts["images"], facts["sound"]) == ("coco-voc", 33, True)
    assert facts["classes"].keys() >= {"traffic light", "person"}
    (coco / "train2017" / "000000000003.jpg").write_bytes(b"no image")
    code, said = checked(wilss, coco, *arguments, *splits)
    assert code == 2
    assert "000000000003.jpg' cannot be decoded as an image" in said
    assert (
        "needs the VOC folder (the one that holds JPEGImages) with --voc DIR"
        in checked(wilss, coco, "--benchmark", "coco-to-voc")[1]
    )
