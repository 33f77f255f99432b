"""A folder that grows: what was labelled is not labelled again, and what is not the same is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from stores.labels.sets import LabelSet
from stores.plans.run import Run
from stores.plans.session import Session
from tasks.labels import begin_labels, label_set, label_shard
from tests.flows.test_own_data import BASE, NEW, own_folder
from wilss.foundation.label import Labelling
from wilss.settings import Settings
from wilss.spec import make_spec

CUSTOM = {"name": "mine", "data": "folder", "steps": [list(BASE), list(NEW)]}


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the images that scorer and grouper see."""
    seen: list[str] = []
    look = Labelling.look

    def watched(self: Labelling, data: Any, batch: Any, images: torch.Tensor) -> Any:
        seen.extend(data.images.ids[position] for position in batch)
        return look(self, data, batch, images)

    monkeypatch.setattr(Labelling, "look", watched)
    return seen


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return own_folder(tmp_path / "data", masks=True)


def labelled(root: Path, folder: Path, **changes: Any) -> LabelSet:
    spec = make_spec({"benchmark": "mine", "custom": CUSTOM, "preset": "tiny", **changes})
    run = Run(spec, Session(Settings(root=root, data=folder)))
    begun = begin_labels.fn(run, 1)
    shards = [label_shard.fn(run, 1, begun, shard) for shard in range(begun.counts["shards"])]
    return LabelSet.open(run.store.folder(label_set.fn(run, 1, shards)))


def add(data: Path, name: str, of: str) -> None:
    """A photograph like another one, tagged with the first new class."""
    shutil.copy(data / "images" / f"{of}.png", data / "images" / f"{name}.png")
    with (data / "labels.csv").open("a") as table:
        table.write(f"{name}.png,{NEW[0]}\n")


def test_one_added_photograph_is_one_that_is_labelled(
    tmp_path: Path, data: Path, looked_at: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    first = labelled(tmp_path / "root", data)
    assert sorted(looked_at) == sorted(first.index.ids)
    add(data, "added", first.index.ids[0])
    looked_at.clear()
    second = labelled(tmp_path / "root", data)
    assert looked_at == ["added"]
    said = capsys.readouterr()
    assert "18 of 19 images are labelled as before; new or changed: added" in said.out + said.err
    assert {*second.index.ids} == {*first.index.ids, "added"}
    fresh = labelled(tmp_path / "fresh", data)
    for name in ("initial", "refined", "soft", *second.columns, "size", "original"):
        both = (labels.read(name, 0, len(labels)) for labels in (second, fresh))
        torch.testing.assert_close(*both, rtol=1e-2, atol=1e-2, equal_nan=True)


def change_pixels(data: Path, name: str) -> None:
    with Image.open(data / "images" / f"{name}.png") as image:
        image.convert("RGB").point(lambda value: 255 - value).save(data / "images" / f"{name}.png")


def change_tags(data: Path, name: str) -> None:
    table = (data / "labels.csv").read_text().splitlines()
    (data / "labels.csv").write_text("\n".join(f"{name}.png,{';'.join(NEW)}" if name in row else row for row in table))


@pytest.mark.parametrize("change", [change_pixels, change_tags])
def test_what_changed_is_labelled_anew(
    tmp_path: Path, data: Path, looked_at: list[str], change: Callable[[Path, str], None]
) -> None:
    first = labelled(tmp_path / "root", data)
    looked_at.clear()
    changed = first.index.ids[int((first.index.tags.sum(1) == 1).argmax())]
    change(data, changed)
    labelled(tmp_path / "root", data)
    assert looked_at == [changed]


@pytest.mark.parametrize(
    "changes",
    [{"seed": 3}, {"foundation": {"cosegment": {"threshold": 0.3}}}, {"data": {"canvas": 48}}],
)
def test_another_recipe_takes_nothing(
    tmp_path: Path, data: Path, looked_at: list[str], changes: dict[str, Any]
) -> None:
    first = labelled(tmp_path / "root", data)
    add(data, "added", first.index.ids[0])
    looked_at.clear()
    second = labelled(tmp_path / "root", data, **changes)
    assert sorted(looked_at) == sorted(second.index.ids)


def test_damage_of_the_other_set_is_labelled_anew(tmp_path: Path, data: Path, looked_at: list[str]) -> None:
    first = labelled(tmp_path / "root", data)
    add(data, "added", first.index.ids[0])
    shard = first.folder / "labels.zarr/refined/c/0/0/0"
    content = shard.read_bytes()
    shard.write_bytes(content[:40] + bytes([content[40] ^ 1]) + content[41:])
    looked_at.clear()
    second = labelled(tmp_path / "root", data)
    assert len(looked_at) > 1
    assert "added" in looked_at
    shard.write_bytes(content)
    old = LabelSet.open(first.folder)
    for image_id in set(old.index.ids) - set(looked_at):
        both = [labels.read("refined", at, at + 1) for labels in (old, second) for at in [labels.position(image_id)]]
        assert torch.equal(*both)
