"""What foundation models there are by name: role, licence, and where their weights would come from on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import wilss._torchvision  # noqa: F401

import timm

from wilss.foundation.kinds import GROUPERS, SCORERS, WELL_KNOWN, kind_of
from wilss.foundation.loading import SCENES_FILES
from wilss.nets.pretrained import SHIPPED, pretrained_config


@dataclass(frozen=True)
class Entry:
    """One foundation model.

    weights: "shipped", the path of a local file, or "hub".
    licence: None where the libraries do not record it; ask the page that the weights come from.
    size_bytes: of the file at hand, None where it would have to be fetched.
    """

    name: str
    role: str
    weights: str
    licence: str | None
    size_bytes: int | None


def catalogue(folder: Path | None) -> list[Entry]:
    """The well-known models, and whether their weights are at hand.

    Args:
        folder: local weights folder.
    """
    return [describe(name, folder) for name in WELL_KNOWN]


def describe(name: str, folder: Path | None) -> Entry:
    """Facts about one name, without loading or fetching anything. Raises SpecError for an unknown kind."""
    kind, _, model = name.partition(":")
    role = "grouper" if kind in GROUPERS else "scorer"
    kind_of(name, GROUPERS if role == "grouper" else SCORERS, role)
    shipped = {f"clip:{scenes}": path for scenes, path in SCENES_FILES.items()}
    shipped["dino:scenes"] = SHIPPED / "dino_scenes.safetensors"
    if name in shipped and shipped[name].is_file():
        return Entry(name, role, "shipped", "Apache-2.0", shipped[name].stat().st_size)
    path = _local_file(kind, model, folder)
    where = str(path) if path else "hub"
    return Entry(name, role, where, _licence(kind, model), path.stat().st_size if path else None)


def _local_file(kind: str, model: str, folder: Path | None) -> Path | None:
    if "@" in model:
        places = [Path(model.partition("@")[2]).expanduser()]
    elif kind == "clip":
        stem, file = model.replace("/", "-", 1), Path(model.partition("/")[2]).expanduser()
        places = [folder / f"{stem}{suffix}" for suffix in (".safetensors", ".pt")] if folder else []
        places += [file, Path(model).expanduser() / "open_clip_model.safetensors"]
    else:
        places = [folder / f"{model}.safetensors"] if folder else []
    return next((path for path in places if path.is_file()), None)


def _licence(kind: str, model: str) -> str | None:
    """The licence that timm records; open_clip records none."""
    if kind == "clip" or not timm.is_model(model.partition(".")[0]):
        return None
    return pretrained_config(model).license
