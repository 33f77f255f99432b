"""Benchmarks of one's own: what is accepted, and how mistakes are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wilss.custom import CustomBenchmark, read_benchmark
from wilss.errors import DataNotFoundError, SpecError
from wilss.protocol import step_images
from wilss.spec import make_spec

PETS: dict[str, Any] = {"name": "pets", "data": "folder", "steps": [["cat", "dog"], ["hamster"]]}


def spec_of(**changes: Any) -> Any:
    custom = {**PETS, **changes}
    return make_spec({"benchmark": custom["name"], "custom": custom, "preset": "tiny"})


def test_classes_are_numbered_in_the_order_of_the_steps() -> None:
    protocol = spec_of().protocol
    assert protocol.steps == ((1, 2), (3,))
    assert protocol.family == "folder"
    assert spec_of() == spec_of()
    assert hash(spec_of()) == hash(spec_of())  # workspaces are cached by it


def test_known_data_keep_their_own_class_ids() -> None:
    custom = CustomBenchmark(name="rails", data="voc", steps=(("train", "bus"), ("person",)))
    assert custom.benchmark().steps == ((19, 6), (15,))
    tags = [(19,), (15, 6), (1,)]
    assert [step_images(tags, custom.benchmark(), step, "overlap") for step in (0, 1)] == [(0, 1), (1,)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": [["cat", "dog"], ["dog"]]}, "class 'dog' is in step 0 and in step 1; a class is learnt once"),
        ({"steps": [["cat", "cat"]]}, "class 'cat' is twice in step 0"),
        ({"steps": [["cat"], []]}, "step 1 of 'pets' has no classes"),
        ({"steps": []}, "'custom.steps' is \\[\\]"),
        ({"name": "../up"}, "benchmark name '../up' must be up to 60 letters"),
        ({"name": "voc-15-5"}, "benchmark name 'voc-15-5' is taken"),
        ({"data": "voc", "steps": [["cat"], ["shep"]]}, "'shep' is no class of pets. Did you mean 'sheep'"),
        ({"prompts": {"hamstr": ["rodent"]}}, "'hamstr' is no class of pets. Did you mean 'hamster'"),
        ({"step": []}, "unknown key 'custom.step'. Did you mean 'steps'"),
        ({"data": "vocs"}, "unknown custom.data 'vocs'. Did you mean 'voc'"),
        ({"steps": [[f"c{k}" for k in range(255)]]}, "has 255 classes; masks hold at most 254"),
    ],
)
def test_mistakes_are_told(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        spec_of(**changes)


def test_the_names_must_agree() -> None:
    with pytest.raises(SpecError, match="benchmark is 'other' but its definition is called 'pets'"):
        make_spec({"benchmark": "other", "custom": PETS})


def test_files_are_read_safely(tmp_path: Path) -> None:
    path = tmp_path / "b.yaml"
    path.write_text("name: pets\ndata: folder\nsteps:\n  - [cat, dog]\n  - [hamster]\n")
    assert read_benchmark(path) == PETS
    with pytest.raises(DataNotFoundError, match="does not exist"):
        read_benchmark(tmp_path / "none.yaml")
    path.write_text("- a\n")
    with pytest.raises(SpecError, match="holds no mapping"):
        read_benchmark(path)
    path.write_text("a: [")
    with pytest.raises(SpecError, match="is no usable YAML"):
        read_benchmark(path)
    path.write_text("name: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(SpecError, match="is no usable YAML"):
        read_benchmark(path)


def test_joint_cannot_start_from_a_checkpoint() -> None:
    with pytest.raises(SpecError, match="joint learns all classes at once; it cannot start"):
        make_spec({"benchmark": "scenes-15-5", "method": "joint", "start": "abc"})
