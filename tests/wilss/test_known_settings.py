"""What is told of every setting."""

from __future__ import annotations

import pytest

from wilss.errors import SpecError
from wilss.fewshot.sections import ShapesSpec
from wilss.fewshot.spec import FewShotSpec
from wilss.known_settings import Setting, known_settings
from wilss.presets import PRESETS
from wilss.section import Section
from wilss.spec import RunSpec

SECTIONS = {"custom", "shapes"}
"""Left out by default, each a whole section: its own fields have types, not the key itself."""


def setting(model: type[Section], key: str) -> Setting:
    (found,) = known_settings(model, key)
    return found


@pytest.mark.parametrize("model", [RunSpec, FewShotSpec, ShapesSpec])
def test_every_setting_has_a_meaning_and_says_what_it_takes(model: type[Section]) -> None:
    found = known_settings(model)
    assert [one.key for one in found if not one.meaning] == []
    assert {one.key for one in found if not one.allowed} <= SECTIONS


def test_what_a_setting_takes() -> None:
    assert setting(RunSpec, "step.epochs").allowed == ">= 1, <= 100000"
    assert setting(RunSpec, "step.optimizer").allowed == "sgd | adamw"
    assert setting(RunSpec, "method").allowed == "fmwiss | fmwiss+ | wilson | finetune | joint"
    assert setting(RunSpec, "student.aspp_rates").allowed == "at least 1 entries, at most 16 entries"
    assert setting(RunSpec, "start").allowed == "str"
    assert setting(FewShotSpec, "augment.scale").allowed == "float, float"
    assert setting(FewShotSpec, "train.use_nesterov").allowed == "bool"


def test_a_section_has_its_own_defaults_and_keeps_what_it_does_not_override() -> None:
    assert (setting(RunSpec, "base.epochs").default, setting(RunSpec, "step.epochs").default) == ("30", "40")
    assert setting(FewShotSpec, "stage1.epochs").default == "100"
    assert setting(FewShotSpec, "stage1.epochs").meaning == setting(RunSpec, "step.epochs").meaning
    assert "query images" in setting(FewShotSpec, "train.epochs").meaning
    assert setting(FewShotSpec, "train.batch_size").allowed == ">= 2, <= 4096"
    assert setting(RunSpec, "benchmark").default == "required"


def test_a_name_picks_a_section_in_the_order_of_its_fields() -> None:
    step = [one.key for one in known_settings(RunSpec, "step")]
    assert step[:3] == ["step.epochs", "step.batch_size", "step.optimizer"]
    assert all(key.startswith("step.") for key in step)
    augment = [one.key for one in known_settings(FewShotSpec, "augment")]  # and not augment1
    assert {key.partition(".")[0] for key in augment} == {"augment"}
    inner = {one.key for one in known_settings(RunSpec, "foundation.cosegment")}
    assert "foundation.cosegment.threshold" in inner
    assert "foundation.scorer" not in inner
    assert inner < {one.key for one in known_settings(RunSpec, "foundation")}


def test_a_section_that_there_is_not() -> None:
    with pytest.raises(SpecError, match=r"no section 'stpe'\. Did you mean 'step'"):
        known_settings(RunSpec, "stpe")
    with pytest.raises(SpecError, match=r"Did you mean 'foundation\.cosegment'"):
        known_settings(RunSpec, "foundation.cosegmnt")
    with pytest.raises(SpecError, match="no section 'stage1'"):
        known_settings(RunSpec, "stage1")


def test_values_of_presets_are_told_where_they_set_any() -> None:
    assert setting(RunSpec, "step.epochs").presets == {"demo": "10", "small": "6", "paper-coco": "30", "tiny": "2"}
    assert setting(RunSpec, "foundation.cosegment.threshold").presets == {
        "demo": "0.35",
        "small": "0.4",
        "tiny": "0.35",
    }
    assert setting(RunSpec, "data.world.image_size").presets == {"tiny": "64"}
    assert setting(RunSpec, "step.momentum").presets == {}
    assert setting(FewShotSpec, "psp.channels").presets == {"demo": "128", "small": "128", "tiny": "16"}


def test_what_presets_set_for_a_benchmark_a_head_or_a_tuning_is_told() -> None:
    rates = setting(FewShotSpec, "train.lr_head").presets
    assert rates["paper, pfenet"] == "0.025"
    assert rates["paper, pfenet, svf"] == "0.015"
    assert rates["paper, pfenet, coco-20i"] == "0.05"
    of_parts = {preset for one in known_settings(RunSpec) for preset in one.presets if "," in preset}
    small = [name for name, part in PRESETS["small"]["benchmarks"].items() if "methods" in part]
    assert of_parts == {
        *(f"{name}, {inner}" for name, part in PRESETS.items() for inner in part.get("benchmarks", {})),
        "small, fmwiss+",
        *(f"small, {name}, fmwiss+" for name in small),
    }


def test_what_the_preset_best_and_presets_for_one_method_set_is_told() -> None:
    assert setting(RunSpec, "fmwiss.memory.grows").presets["best"] == "true"
    hidden = setting(RunSpec, "fmwiss.paste.max_hidden").presets
    assert (hidden["best"], hidden["small, fmwiss+"], hidden["small, voc-10-10, fmwiss+"]) == ("0.3", "1.0", "0.3")


def test_a_section_that_only_presets_bring_is_told_by_its_settings() -> None:
    epochs = setting(FewShotSpec, "shapes.train.epochs")
    assert epochs.meaning
    assert epochs.presets
    assert "custom" in {one.key for one in known_settings(RunSpec)}  # a definition, which no preset brings
