"""The table of data families."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from wilss.data.families import FAMILIES, family_of, incremental_families, open_source
from wilss.data.spec import DataSpec
from wilss.errors import DataNotFoundError, SpecError
from wilss.fewshot.presets import FEWSHOT_PRESETS
from wilss.fewshot.spec import FAMILIES as OF_FEWSHOT
from wilss.presets import PRESETS
from wilss.protocol import benchmarks
from wilss.settings import Settings
from wilss.spec import RunSpec, make_spec


def test_every_benchmark_has_a_family_with_a_preset() -> None:
    assert {family_of(known.family).preset for known in benchmarks().values()} <= set(PRESETS)
    assert {family_of(name).fewshot_preset for name in OF_FEWSHOT.values()} <= set(FEWSHOT_PRESETS)
    assert set(incremental_families()) == set(FAMILIES) - {"coco"}
    assert all(set(entry.reads) <= set(DataSpec.model_fields) for entry in FAMILIES.values())
    assert {name: len(entry.classes) for name, entry in FAMILIES.items()} == {
        "scenes": 20,
        "voc": 20,
        "coco": 80,
        "coco-voc": 80,
        "folder": 0,
    }


def test_an_opened_family_has_the_classes_of_its_entry(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path)
    source = open_source("scenes", DataSpec(n_train=3), settings)
    assert (source.classes, len(source.ids("train"))) == (FAMILIES["scenes"].classes, 3)


@pytest.mark.parametrize(
    ("family", "changes", "error", "message"),
    [
        ("voc", {}, DataNotFoundError, "voc needs photographs: give the VOC folder .* with --data DIR"),
        ("coco-voc", {"data": "x"}, DataNotFoundError, "coco-voc also needs the VOC folder .* with --voc DIR"),
        ("folder", {"data": "x", "labels_csv": "t.csv"}, SpecError, "'t.csv' would be ignored"),
        ("scene", {}, SpecError, "unknown data family 'scene'. Did you mean 'scenes'"),
    ],
)
def test_what_a_family_lacks_is_told(
    family: str, changes: dict[str, Path], error: type[Exception], message: str, tmp_path: Path
) -> None:
    settings = Settings.model_validate({"root": tmp_path, **changes})
    with pytest.raises(error, match=message):
        open_source(family, DataSpec(), settings)


def test_the_schema_lists_the_families_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    def listed() -> list[str]:
        return RunSpec.model_json_schema()["$defs"]["CustomBenchmark"]["properties"]["data"]["enum"]

    assert listed() == ["scenes", "voc", "coco-voc", "folder"]
    monkeypatch.setitem(FAMILIES, "mine", replace(FAMILIES["folder"], name="mine", preset="tiny"))
    assert listed()[-1] == "mine"
    custom = {"name": "own", "data": "mine", "steps": [["a"], ["b"]]}
    assert make_spec({"benchmark": "own", "custom": custom}).preset == "tiny"
