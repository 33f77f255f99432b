"""What all parts of a specification share."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

Seed = Annotated[int, Field(ge=0, lt=2**62)]
"""Seed of a generator: PyTorch takes 64 bits, and some uses add a little to it."""


class _Later:
    """Type of `LATER`."""


LATER: Final = _Later()
"""Marks a field that came when digests of its section were in use already: ``name: Annotated[int, LATER] = 0``."""


class Section(BaseModel):
    """A part of a specification: frozen, without unknown keys, and with finite numbers only, for it has a digest."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

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
