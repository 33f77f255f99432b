"""Templates of pages that are served: their own, then the parts of static reports. Everything is escaped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined

import wilss.report

REPORT = Path(wilss.report.__file__).parent


def page_environment(templates: Path, **names: Any) -> Environment:
    """Of the templates in a folder; a name that nothing gives is an error.

    Args:
        names: that every template has.
    """
    environment = Environment(
        autoescape=True,
        loader=ChoiceLoader([FileSystemLoader(templates), FileSystemLoader(REPORT)]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(names)
    return environment
