"""What all parts of a specification share."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticKnownError, PydanticUndefined, core_schema

from wilss.digest import canonical_json

Seed = Annotated[int, Field(ge=0, lt=2**62)]
"""Seed of a generator: PyTorch takes 64 bits, and some uses add a little to it."""
Precision = Literal["auto", "bf16", "fp32"]
"""Of a network's arithmetic, see `wilss.precision`."""


class _Later:
    """Type of `LATER`."""


LATER: Final = _Later()
"""Marks a field that came when digests of its section were in use already: ``name: Annotated[int, LATER] = 0``."""


@dataclass(frozen=True)
class OneOf:
    """Marks a name of a table that may grow; it is refused, and listed in the schema, as a ``Literal`` of them all is.

    names: asked whenever a value is looked at.
    """

    names: Callable[[], Iterable[str]]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """See the class."""
        return core_schema.no_info_after_validator_function(self._known, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """See the class."""
        return {**handler(schema), "enum": list(self.names())}

    def _known(self, name: str) -> str:
        if name not in (known := list(self.names())):
            raise PydanticKnownError("literal_error", {"expected": " or ".join(map(repr, known))})
        return name


class Section(BaseModel):
    """A part of a specification: frozen, without unknown keys, and with finite numbers only, for it has a digest.

    A form posts whatever its schema has for a field, and what is posted goes over the preset. So the JSON schema has
    no values of its own: defaults are told in the descriptions, and a yes or no is a choice that nobody has made yet
    (Prefect's form posts false for a ``boolean`` that was not touched).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __hash__(self) -> int:
        return hash(canonical_json(self.model_dump(mode="json")))  # fields may hold mappings

    def plain(self, exclude: Collection[str] = ()) -> dict[str, Any]:
        """Plain data for a digest, sections within included: every field, but one marked `LATER` only if it is set.

        So a new field leaves all digests as they are until someone changes it.
        """
        content = self.model_dump(mode="json", exclude=set(exclude))
        for name in list(content):
            field, value = type(self).model_fields[name], getattr(self, name)
            if LATER in field.metadata and value == field.get_default(call_default_factory=True):
                del content[name]
            elif isinstance(value, Section):
                content[name] = value.plain()
        return content

    def shown(self) -> dict[str, Any]:
        """Plain data for a report: every field, and the sections of what a user registered."""
        own = {name: section.model_dump(mode="json") for name, section in self.own_sections.items()}
        return {**self.model_dump(mode="json"), **own}

    prefilled: ClassVar[frozenset[str]] = frozenset()
    """Fields that no preset fills: a form may post their defaults."""
    filled_by: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Presets that fill its fields, by name; what they set is told in the descriptions."""

    @classmethod
    def own_kinds(cls) -> Mapping[str, type[Section]]:
        """Sections of what a user registered, beside its fields (`wilss.own.Extensible`)."""
        return {}

    @property
    def own_sections(self) -> Mapping[str, Section]:
        """Those of them that it reads."""
        return {}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """See the class."""
        schema = handler(core_schema)
        for name, field in handler.resolve_ref_schema(schema).get("properties", {}).items():
            if name not in cls.prefilled:
                without_default(field, cls._notes(name))
        return schema

    @classmethod
    def _notes(cls, name: str) -> list[str]:
        """What a field is when nobody sets it: its default, and what each preset says."""
        default = cls.model_fields[name].get_default(call_default_factory=True)
        if isinstance(default, BaseModel):  # the defaults of its own fields are told there
            default = default.model_dump(mode="json", include=default.model_fields_set) or None
        notes = [] if default in (None, {}, PydanticUndefined) else [f"default: {in_words(default)}"]
        return notes + [f"{preset}: {in_words(part[name])}" for preset, part in cls.filled_by.items() if name in part]


def without_default(field: dict[str, Any], notes: list[str]) -> None:
    """Take the default out of a field's JSON schema, and tell it in the description; see `Section`."""
    field.pop("default", None)
    for part in (field, *field.get("anyOf", ())):
        if part.get("type") == "boolean":
            del part["type"]
            part["enum"] = [True, False]
    if told := [text for text in (field.get("description"), *notes) if text]:
        field["description"] = "; ".join(told)


def in_words(value: Any) -> str:
    """Settings as ``--set`` takes them: ``epochs=3 memory.side=64``; anything else as JSON, text as it is."""
    if isinstance(value, Mapping):
        return " ".join(f"{name}={in_words(inner)}" for name, inner in flat(value).items())
    return value if isinstance(value, str) else json.dumps(value, default=str)


def flat(values: Mapping[str, Any], within: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dots between their keys; an empty one stays as it is."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{within}.{key}" if within else key
        found |= flat(value, name) if isinstance(value, Mapping) and value else {name: value}
    return found


def lines_of(section: Section, leave_out: frozenset[str] = frozenset(), name: str = "") -> list[str]:
    """A line for each part of a specification that holds values: ``step: epochs=40 batch_size=24``."""
    own = {key: value for key, value in section if key not in leave_out}
    plain = section.model_dump(mode="json", include={key for key, v in own.items() if not isinstance(v, Section)})
    lines = [f"{name}: {in_words(plain)}" if name else in_words(plain)] if plain else []
    for key, value in {**own, **section.own_sections}.items():
        if isinstance(value, Section):
            lines += lines_of(value, name=f"{name}.{key}" if name else key)
    return lines
