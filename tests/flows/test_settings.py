"""``wilss settings``."""

from __future__ import annotations

import json

import pytest

from flows.cli.options import FEWSHOT_RESERVED, RESERVED
from wilss.fewshot.spec import FewShotSpec
from wilss.known_settings import known_settings
from wilss.spec import RunSpec


def test_a_section_as_json(wilss) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = wilss("settings", "--json", "step")
    assert code == 0
    epochs = json.loads(out)[0]
    assert (epochs["key"], epochs["default"], epochs["allowed"]) == ("step.epochs", "40", ">= 1, <= 100000")
    assert epochs["meaning"] == "passes over the training images"
    assert epochs["presets"]["demo"] == "10"


@pytest.mark.parametrize(
    ("arguments", "told", "other"),
    [
        (["base"], "passes over the training images; demo: 9", "step.epochs"),
        (["--few-shot", "train"], "train.svf_stages", "stage1.epochs"),
    ],
)
def test_a_section_as_a_table(wilss, arguments: list[str], told: str, other: str) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = wilss("settings", *arguments)
    assert code == 0
    assert told in out
    assert other not in out


def test_an_unknown_section_is_one_message(wilss) -> None:  # type: ignore[no-untyped-def]
    code, out, err = wilss("settings", "--few-shot", "stage2")
    assert (code, out) == (2, "")
    assert err == "wilss: there is no section 'stage2'. Did you mean 'stage1'?\n"


@pytest.mark.parametrize(
    ("option", "model", "command"),
    [
        ([], RunSpec, ["protocol", "scenes-15-5"]),
        (["--few-shot"], FewShotSpec, ["few-shot", "train", "--fold", "0"]),
    ],
)
def test_what_is_listed_is_what_may_be_set(  # type: ignore[no-untyped-def]
    wilss, option: list[str], model: type[RunSpec] | type[FewShotSpec], command: list[str]
) -> None:
    listed = {one["key"] for one in json.loads(wilss("settings", "--json", *option)[1])}
    reserved = {one.key for one in known_settings(model)} - listed
    assert reserved == set(FEWSHOT_RESERVED if option else RESERVED)
    for key in reserved:
        code, _, err = wilss(*command, "--set", f"{key}=1")
        assert (code, f"'{key}' is no setting; give it as " in err) == (2, True), err
