"""What is asked of a method's entry and of its settings."""

from __future__ import annotations

from typing import Any

import pytest

from wilss.errors import SpecError
from wilss.learn.methods import METHODS, build_method
from wilss.learn.spec import MethodSettings
from wilss.spec import RunSpec, make_spec


def spec_of(**given: Any) -> RunSpec:
    return make_spec({"benchmark": "scenes-15-5", "preset": "tiny", **given})


def test_every_entry_goes_by_its_name_and_its_section_too() -> None:
    assert all(name == entry.name for name, entry in METHODS.items())
    sections = {name: entry.reads for name, entry in METHODS.items() if entry.settings}
    assert sections == {"fmwiss": "fmwiss", "fmwiss+": "fmwiss", "wilson": "wilson"}
    assert all(RunSpec.model_fields[own].annotation is METHODS[name].settings for name, own in sections.items())
    assert RunSpec.model_json_schema()["properties"]["method"]["enum"] == list(METHODS)


@pytest.mark.parametrize(
    ("method", "uses_labels", "merged", "pastes", "warmup"),
    [
        ("fmwiss", True, False, True, 1),
        ("fmwiss+", True, False, True, 1),
        ("wilson", False, False, False, 1),
        ("finetune", True, False, False, 0),
        ("joint", False, True, False, 0),
    ],
)
def test_what_a_run_asks(method: str, uses_labels: bool, merged: bool, pastes: bool, warmup: int) -> None:
    spec = spec_of(method=method)
    assert (spec.uses_labels, spec.merged, spec.memory is not None) == (uses_labels, merged, pastes)
    assert spec.method_settings.warmup == warmup
    assert spec.method_settings.without_bank().bank is None
    assert ("foundation" in spec.idle) is not uses_labels


def test_fmwiss_plus_has_other_defaults_of_the_same_section() -> None:
    plain, plus = spec_of().fmwiss, spec_of(method="fmwiss+").fmwiss
    assert (plain.memory.grows, plus.memory.grows) == (False, True)
    assert plain.memory.margin == 0 < plus.memory.margin
    assert plus.warmup_epochs == plain.warmup_epochs
    assert plus.memory.side == plain.memory.side
    changed = spec_of(method="fmwiss+", fmwiss={"memory": {"grows": False}, "alpha": 0.25})
    assert (changed.fmwiss.memory.grows, changed.fmwiss.alpha) == (False, 0.25)
    assert changed.fmwiss.paste == plus.paste
    assert "fmwiss" not in spec_of(method="fmwiss+").idle
    with pytest.raises(SpecError, match=r"^fmwiss.warmup_epochs is 9"):
        spec_of(method="fmwiss+", fmwiss={"warmup_epochs": 9})


@pytest.mark.parametrize(
    ("benchmark", "most"),
    [
        ("voc-15-5", 1.0),
        ("voc-15-1", 1.0),
        ("voc-10-5-5", 1.0),
        ("voc-10-10", 0.3),
        ("coco-to-voc", 0.3),
        ("scenes-15-5", 0.3),
    ],
)
def test_a_preset_may_set_a_methods_values_and_best_has_them_for_every_method(benchmark: str, most: float) -> None:
    plus = make_spec({"benchmark": benchmark, "method": "fmwiss+"}).fmwiss
    assert (plus.paste.max_hidden, plus.memory.margin) == (most, 0.2)
    assert make_spec({"benchmark": benchmark, "preset": "best"}).fmwiss == plus
    assert make_spec({"benchmark": benchmark, "preset": "best", "method": "fmwiss+"}).fmwiss == plus
    given = {"benchmark": benchmark, "method": "fmwiss+", "fmwiss": {"paste": {"max_hidden": 0.5}}}
    assert make_spec(given).fmwiss.paste.max_hidden == 0.5
    assert make_spec({"benchmark": benchmark}).fmwiss.paste.max_hidden == 1.0


def test_a_method_without_settings_has_those_that_ask_for_nothing() -> None:
    assert spec_of(method="finetune").method_settings == MethodSettings()
    assert spec_of(fmwiss={"paste": {"probability": 0}}).memory is None


def test_a_method_of_one_step_builds_nothing() -> None:
    with pytest.raises(SpecError, match="joint learns all classes at once"):
        build_method("joint", None)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match=r"unknown method .jont.\. Did you mean .joint."):
        build_method("jont", None)  # type: ignore[arg-type]


@pytest.mark.parametrize("tuning", ["frozen", "svf"])
def test_another_tuning_than_the_presets_needs_no_word_of_stages(tuning: str) -> None:
    small = {"benchmark": "voc-15-5"}
    assert make_spec(small).base.tuned_stages == 2
    assert make_spec({**small, "base": {"tuning": tuning}}).base.tuned_stages is None
    assert make_spec({**small, "base": {"tuning": "full"}}).base.tuned_stages is None
    with pytest.raises(SpecError, match="tuned_stages is for tuning=full"):
        make_spec({**small, "base": {"tuning": tuning, "tuned_stages": 2}})


def test_the_preset_best_is_the_benchmarks_own_with_what_helps_and_a_given_key_comes_first() -> None:
    for name, own in (("scenes-15-1", "demo"), ("voc-10-10", "small")):
        best, plus = (
            make_spec({"benchmark": name, "preset": preset, "method": method})
            for preset, method in (("best", "fmwiss"), (own, "fmwiss+"))
        )
        assert best.fmwiss == plus.fmwiss
        assert best.model_dump(exclude={"preset", "method"}) == plus.model_dump(exclude={"preset", "method"})
    given = make_spec({"benchmark": "scenes-15-1", "preset": "best", "fmwiss": {"memory": {"grows": False}}})
    assert not given.fmwiss.memory.grows
    assert given.fmwiss.memory.margin > 0
