"""Sections for what a user registered, beside those that a specification has as fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError, field_validator, model_validator

from wilss.errors import did_you_mean
from wilss.section import Section
from wilss.words import explain, merge


class Extensible(Section):
    """A specification that has a section for each entry of its `own_kinds`.

    It is given as others are, ``{NAME: {...}}``, and kept in the field ``own`` where it differs from its defaults; so
    it is in a digest only then. A section whose registration is not loaded is refused.
    """

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, content: Any) -> Any:
        if not isinstance(content, Mapping):
            return content
        given = {name: content[name] for name in cls.own_kinds() if name in content}
        if not given:
            return content
        kept = content.get("own")
        rest = {name: value for name, value in content.items() if name not in given}
        return {**rest, "own": merge(kept, given) if isinstance(kept, Mapping) else given}

    @field_validator("own", mode="before", check_fields=False)
    @classmethod
    def _own_settings(cls, own: Any) -> Any:
        if not isinstance(own, Mapping):
            return own
        return {name: changed for name, given in own.items() if (changed := _changed(cls, name, given))}

    def section_of(self, name: str) -> Section:
        """The section of a name, a field or an own one."""
        if name in type(self).model_fields:
            section: Section = getattr(self, name)
            return section
        kept: Mapping[str, Any] = getattr(self, "own", {})
        return self.own_kinds()[name].model_validate(kept.get(name, {}))


def _changed(cls: type[Section], name: str, given: Any) -> dict[str, Any]:
    """Plain data of a section, nothing where it is as its defaults are."""
    kinds = cls.own_kinds()
    if name not in kinds:
        known = did_you_mean(name, kinds) if kinds else ""
        raise ValueError(f"'{name}' is not registered; load the file that registers it with --import.{known}")
    try:
        settings = kinds[name].model_validate(given)
    except ValidationError as error:
        raise ValueError(explain(error, kinds[name], name)) from error
    return {} if settings == kinds[name]() else settings.model_dump(mode="json")
