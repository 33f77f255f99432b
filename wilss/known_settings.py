"""Every setting by its key: what it means, its default, its range, and which preset sets it to what. No torch."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from wilss.errors import SpecError, did_you_mean
from wilss.section import OneOf, Section, in_words

GROUPS = ("benchmarks", "heads", "methods", "tunings")
"""Keys of presets that hold parts by name, for what a run is of."""
SIGNS = {Ge: (">=", "ge"), Gt: (">", "gt"), Le: ("<=", "le"), Lt: ("<", "lt")}


@dataclass(frozen=True)
class Setting:
    """One setting: "step.epochs"; presets: name -> the value that it sets, as "paper" or "paper, pfenet, coco-20i"."""

    key: str
    default: str
    allowed: str
    meaning: str
    presets: Mapping[str, str]


def known_settings(model: type[Section], section: str | None = None, reserved: Collection[str] = ()) -> list[Setting]:
    """The settings of a specification, or of one of its sections, in the order of its fields.

    Args:
        section: such as "step" or "foundation.cosegment". reserved: keys that are no settings.

    Raises SpecError for a section that there is not.
    """
    presets = dict(part for name, preset in model.filled_by.items() for part in _parts(name, preset))
    found = [one for one in _settings(model, "", presets, None) if one.key not in reserved]
    if section is None:
        return found
    inside = [one for one in found if one.key == section or one.key.startswith(f"{section}.")]
    if not inside:
        known = {one.key.rpartition(".")[0] for one in found} | {one.key for one in found}
        raise SpecError(f"there is no section '{section}'.{did_you_mean(section, known - {''})}")
    return inside


def _parts(name: str, preset: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A preset and, within it, its parts (`GROUPS`), by what they are called together."""
    yield name, {key: value for key, value in preset.items() if key not in GROUPS}
    for group in GROUPS:
        for inner, part in preset.get(group, {}).items():
            yield from _parts(f"{name}, {inner}", part)


def _settings(
    model: type[BaseModel], prefix: str, presets: Mapping[str, Any], default: BaseModel | None
) -> Iterator[Setting]:
    own: Mapping[str, type[BaseModel]] = model.own_kinds() if issubclass(model, Section) else {}
    for name, field in model.model_fields.items():
        value = getattr(default, name) if default is not None else field.get_default(call_default_factory=True)
        parts = {preset: part[name] for preset, part in presets.items() if isinstance(part, Mapping) and name in part}
        inner = _section_of(field)
        if inner is not None and (value is not None or parts):  # a section that presets alone bring is told too
            yield from _settings(inner, f"{prefix}{name}.", parts, value if isinstance(value, BaseModel) else None)
        elif name != "own":
            shown = "required" if value is PydanticUndefined else in_words(_plain(value))
            told = {preset: in_words(_plain(part)) for preset, part in parts.items()}
            yield Setting(f"{prefix}{name}", shown, _allowed(field), field.description or "", told)
    for name, kind in own.items():
        yield from _settings(kind, f"{prefix}{name}.", {}, kind())


def _section_of(field: FieldInfo) -> type[BaseModel] | None:
    kinds = (field.annotation, *get_args(field.annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


def _allowed(field: FieldInfo) -> str:
    """Choices, bounds and lengths of a field, else its plain types, as ``--set`` takes them."""
    notes = []
    kinds = (field.annotation, *get_args(field.annotation))
    for kind in kinds:
        if get_origin(kind) is Literal:
            notes.append(" | ".join(map(str, get_args(kind))))
    for mark in field.metadata:
        if isinstance(mark, OneOf):
            notes.append(" | ".join(mark.names()))
        elif type(mark) in SIGNS:
            sign, attribute = SIGNS[type(mark)]
            notes.append(f"{sign} {getattr(mark, attribute):g}")
        elif isinstance(mark, MinLen):
            notes.append(f"at least {mark.min_length} entries")
        elif isinstance(mark, MaxLen):
            notes.append(f"at most {mark.max_length} entries")
    return ", ".join(notes or [kind.__name__ for kind in kinds if kind in (bool, int, float, str)])
