"""Facts of this machine: what is given, else environment variables, else defaults; and registrations of one's own."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from wilss.errors import SpecError
from wilss.layout import whole
from wilss.settings import Settings, weights_folder
from wilss.words import explain

# what Apple's GPU cannot do is done on the CPU; PyTorch reads it when it is imported, which comes later
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")


def machine_settings(**given: Any) -> Settings:
    """Settings from what is given and not None, else from ``WILSS_<FIELD>``, such as ``WILSS_ROOT``.

    Without any weights folder, one called ``weights`` inside or beside the data folder is used. Files of one's own are
    imported, so that what they register is known.

    Raises SpecError for a value that a setting cannot have, WeightsNotFoundError for a weights folder that is none.
    """
    found = {**_of_environment(), **{name: value for name, value in given.items() if value is not None}}
    try:
        settings = Settings.model_validate(found)
    except ValidationError as error:
        name = error.errors()[0]["loc"][0]
        advice = f"give another with --{name}, or with WILSS_{str(name).upper()}"
        raise SpecError(f"{explain(error, Settings)}; {advice}") from error
    return with_registrations(with_weights(settings))


def variables_of(settings: Settings) -> dict[str, str]:
    """Settings as the ``WILSS_*`` variables of another process, their paths absolute, as it may work elsewhere."""
    told = {}
    for field in type(settings).model_fields:
        value = getattr(settings, field)
        parts = value if isinstance(value, tuple) else (value,)
        said = [part for part in parts if part not in (None, False, "")]
        if words := [str(whole(part)) if isinstance(part, Path) else str(part) for part in said]:
            told[f"WILSS_{field.upper()}"] = os.pathsep.join(words)
    return told


def with_registrations(settings: Settings) -> Settings:
    """The same, with the files of one's own imported. Raises WeightsNotFoundError for a weights folder that is none."""
    weights_folder(settings.weights)
    _import_files(settings.imports)
    return settings


def import_named_files() -> None:
    """Import the files of ``WILSS_IMPORTS``, whatever the other variables say."""
    _import_files(map(Path, _of_environment().get("imports", ())))


def _import_files(paths: Iterable[Path]) -> None:
    for path in paths:
        from wilss.register import load_registrations

        load_registrations(path)


def _of_environment() -> dict[str, Any]:
    named = {name: os.environ.get(f"WILSS_{name.upper()}") for name in Settings.model_fields}
    found: dict[str, Any] = {name: value for name, value in named.items() if value}
    return {name: tuple(v.split(os.pathsep)) if name in ("imports", "again") else v for name, v in found.items()}


def with_weights(settings: Settings) -> Settings:
    """The same; without any weights folder, one called ``weights`` inside or beside the data folder is used."""
    if settings.weights is not None or settings.data is None:
        return settings
    beside = (settings.data / "weights", whole(settings.data).parent / "weights")
    return settings.model_copy(update={"weights": next((folder for folder in beside if folder.is_dir()), None)})
