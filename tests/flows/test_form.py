"""What Prefect's form posts when nobody touches it is what ``prefect deployment run`` sends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.hydration import HydrationContext, hydrate
from prefect.utilities.schema_tools.validation import validate

from deployments.catalogue import DEPLOYMENTS, Deployed, flow_of
from wilss.fewshot.grid import FewShotGrid
from wilss.fewshot.presets import FEWSHOT_PRESETS
from wilss.fewshot.spec import FAMILIES, FewShotSpec
from wilss.grid import Comparison
from wilss.presets import PRESETS
from wilss.section import Section
from wilss.spec import RunSpec

NOTHING: Any = object()


def posted(field: dict[str, Any], value: Any, definitions: dict[str, Any]) -> Any:
    """The value that the form of Prefect 3.8 has for a field once it is shown; NOTHING for none.

    A field without a value takes its default. Without one the first of several types is shown, a yes or no becomes
    false, null null, a mapping or anything without a type empty JSON; numbers, texts, lists and choices stay unset.
    """
    if "allOf" in field:
        others = {key: inner for key, inner in field.items() if key != "allOf"}
        field = {key: inner for part in field["allOf"] for key, inner in resolved(part, definitions).items()} | others
    field = resolved(field, definitions)
    if value is NOTHING and "default" in field:
        value = field["default"]
    if "anyOf" in field:
        others = {key: inner for key, inner in field.items() if key != "anyOf"}
        kinds = [resolved(kind, definitions) for kind in field["anyOf"]]
        shown = 0 if value is NOTHING else next(n for n, kind in enumerate(kinds) if fits(value, kind))
        return posted({**kinds[shown], **others}, value, definitions)
    kind = field.get("type")
    if kind == "object" and "properties" in field:
        given = {} if value in (NOTHING, None) else dict(value)
        for name, inner in field["properties"].items():
            if (found := posted(inner, given.get(name, NOTHING), definitions)) is not NOTHING:
                given[name] = found
        return given or value
    if kind == "object" or (kind is None and "enum" not in field):
        return {"__prefect_kind": "json", **({} if value is NOTHING else {"value": json.dumps(value)})}
    if value is NOTHING:
        return {"boolean": False, "null": None}.get(str(kind), NOTHING)
    return value


def resolved(field: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in field:
        return field
    return {**definitions[field["$ref"].rpartition("/")[2]], **{k: v for k, v in field.items() if k != "$ref"}}


def fits(value: Any, kind: dict[str, Any]) -> bool:
    names = {type(None): "null", bool: "boolean", int: "integer", float: "number", str: "string", dict: "object"}
    return kind.get("type") == names.get(type(value), "array")


def form(flow: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    """The flow's parameters as the form posts them and the server takes them."""
    schema = parameter_schema(flow).model_dump()
    body = posted(schema, parameters, schema["definitions"])
    sent = hydrate(body, HydrationContext())
    assert not validate(sent, schema, raise_on_error=True)
    return sent


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda entry: entry.full_name)
def test_an_untouched_form_is_the_same_run(deployment: Deployed) -> None:
    flow, given = flow_of(deployment), dict(deployment.parameters)
    by_form, by_command = (flow.validate_parameters(parameters) for parameters in (form(flow, given), given))
    for name in flow.fn.__annotations__.keys() - {"return"}:
        assert facts_of(by_form.get(name)) == facts_of(by_command.get(name)), name


def facts_of(value: Any) -> Any:
    return value.facts() if hasattr(value, "facts") else value


@pytest.mark.parametrize("preset", PRESETS)
def test_so_it_is_with_every_preset(preset: str) -> None:
    from flows.benchmark import run_benchmark

    for benchmark in ("scenes-15-5", "voc-10-10"):
        content = {"benchmark": benchmark, "preset": preset, "method": "finetune", "step": {"epochs": 7}}
        sent = form(run_benchmark, {"spec": content})["spec"]
        assert RunSpec.model_validate(sent).facts() == RunSpec.model_validate(content).facts()


@pytest.mark.parametrize("preset", FEWSHOT_PRESETS)
def test_and_with_every_few_shot_preset(preset: str) -> None:
    from flows.fewshot import run_fewshot

    for benchmark in FAMILIES:
        for head in ("aspp", "cwt", "ipmt"):
            content = {"benchmark": benchmark, "fold": 1, "preset": preset, "head": head}
            sent = form(run_fewshot, {"spec": content})["spec"]
            assert FewShotSpec.model_validate(sent).facts() == FewShotSpec.model_validate(content).facts()


def fields_of(spec: type[Section], schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from schema["properties"].items()
    for name, definition in schema["$defs"].items():
        for key, field in definition.get("properties", {}).items():
            yield f"{name}.{key}", field


@pytest.mark.parametrize("spec", [RunSpec, FewShotSpec])
def test_no_field_that_a_preset_fills_has_a_value_of_its_own(spec: type[Section]) -> None:
    for name, field in fields_of(spec, spec.model_json_schema()):
        if name not in spec.prefilled:
            assert "default" not in field, name
            assert field.get("type") != "boolean", f"{name}: the form posts false"
    filled = {key for preset in spec.filled_by.values() for key in nested_keys(preset)}
    assert not filled & spec.prefilled


def nested_keys(preset: dict[str, Any]) -> set[str]:
    keys = set(preset)
    for group in ("heads", "tunings", "benchmarks"):
        for part in preset.get(group, {}).values():
            keys |= nested_keys(part)
    return keys


def test_descriptions_say_what_is_taken_then() -> None:
    run, few_shot = RunSpec.model_json_schema(), FewShotSpec.model_json_schema()
    canvas, teacher = (
        run["$defs"]["DataSpec"]["properties"]["canvas"],
        run["$defs"]["FmwissSpec"]["properties"]["teacher"],
    )
    assert canvas["description"] == "longer sides above this are shrunk to it; default: 512"
    assert teacher["description"].endswith("(ablation); default: true")
    step = run["properties"]["step"]["description"]
    assert "default: epochs=40 lr_backbone=0.001" in step
    assert "paper-coco: epochs=30" in step
    assert "demo: canvas=96" in run["properties"]["data"]["description"]
    assert "world.image_size=64" in run["properties"]["data"]["description"]
    assert few_shot["properties"]["size"]["description"].endswith("default: 473; demo: 97; small: 257; tiny: 65")


def test_what_a_grid_takes_by_itself_is_shown() -> None:
    assert Comparison.model_json_schema()["properties"]["seeds"]["default"] == [0, 1, 2]
    assert FewShotGrid.model_json_schema()["properties"]["folds"]["default"] == [0, 1, 2, 3]
