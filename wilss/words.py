"""Specifications in words: assignments from the command line, and what is wrong with one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ByteSize, TypeAdapter, ValidationError

from wilss.errors import SpecError, did_you_mean
from wilss.outside import DEPTH, parse_yaml
from wilss.section import Section

MOST_PROBLEMS = 8
"""Of a specification that are told at once."""


def counted(n: int, what: str) -> str:
    """A number of things in words, such as "1 image" or "3 classes"."""
    plural = "es" if what.endswith("s") else "s"
    return f"{n} {what}{'' if n == 1 else plural}"


def bytes_of(named: str, size: str) -> int:
    """Bytes of a size in words, such as "2GiB". Raises ValueError for what is none.

    Args:
        named: what it is the size of, for people.
    """
    try:
        return TypeAdapter(ByteSize).validate_python(size)
    except ValidationError as error:
        raise ValueError(f"{named} is '{size[:40]}', which is no size such as 2GiB or 800MB") from error


def nested(assignments: list[str]) -> dict[str, Any]:
    """Turn ``["step.epochs=3", "fmwiss.alpha=0.7"]`` into nested mappings.

    Raises SpecError for an entry without "=".
    """
    content: dict[str, Any] = {}
    for entry in assignments:
        path, separator, value = entry.partition("=")
        if not separator or not path:
            raise SpecError(
                f"'{entry[:100]}' is no assignment; write --set section.key=value, e.g. --set step.epochs=3"
            )
        here = content
        *sections, key = path.strip().split(".")
        if len(sections) > DEPTH:
            raise SpecError(f"'{path[:60]}...' names {len(sections)} sections one in the other; there are at most four")
        for section in sections:
            here = here.setdefault(section, {})
            if not isinstance(here, dict):
                raise SpecError(f"'{path}' goes into '{section}', which already has a value")
        here[key] = _parsed(value.strip(), entry)
    return content


def _parsed(value: str, entry: str) -> Any:
    """Lists in brackets and ``null`` become what they say; the rest is text that the specification converts."""
    if value == "null":
        return None
    if not value.startswith("["):
        return value
    return parse_yaml(value, f"'{entry[:100]}' holds no list", "write it as [1, 2, 3]")


def merge(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """``second`` over ``first``, section by section."""
    merged = dict(first)
    for key, value in second.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def with_section_defaults(model: type[BaseModel], content: Any) -> Any:
    """Fill sections that are given in part from the section's default in ``model``, which may not be its class's."""
    if not isinstance(content, Mapping):
        return content
    sections = {
        name: field.default.model_dump()
        for name, field in model.model_fields.items()
        if isinstance(field.default, BaseModel) and isinstance(content.get(name), Mapping)
    }
    return {**content, **{name: merge(default, content[name]) for name, default in sections.items()}}


def explain(error: ValidationError, model: type[BaseModel], within: str = "") -> str:
    """A pydantic error in words: the key, the value seen, the rule, and the closest known key.

    Args:
        model: whose keys are known. within: the section that it is, before its keys.
    """
    lines = []
    problems = error.errors()
    wrong_inside = {problem["loc"][:-1] for problem in problems if problem["loc"]}
    for problem in problems:
        if problem["type"] == "too_short" and problem["loc"] in wrong_inside:
            continue  # pydantic counts only the entries that are right
        location = [str(part) for part in problem["loc"]]
        key = ".".join([within, *location] if within else location)
        if problem["type"] == "extra_forbidden":
            known = _fields_at(model, location[:-1])
            lines.append(f"unknown key '{key}'.{did_you_mean(location[-1], known)}")
        elif problem["type"] == "value_error":
            lines.append(str(problem["ctx"]["error"]))
        elif problem["type"] == "literal_error" and problem["loc"]:
            choices = [choice.strip("'") for choice in re.split(", | or ", problem["ctx"]["expected"])]
            lines.append(f"unknown {key} '{problem['input']}'.{did_you_mean(str(problem['input']), choices)}")
        else:
            lines.append(f"'{key}' is {problem.get('input')!r:.200}: {problem['msg'][0].lower()}{problem['msg'][1:]}")
    return "; ".join(lines[:MOST_PROBLEMS])


def _fields_at(model: type[BaseModel], path: list[str]) -> list[str]:
    for part in path:
        annotation: Any = model.model_fields[part].annotation
        annotation = next((a for a in get_args(annotation) if a is not type(None)), annotation)
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return [*model.model_fields, *(model.own_kinds() if issubclass(model, Section) else ())]
