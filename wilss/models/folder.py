"""A student in a folder as model hubs have them: ``config.json``, ``model.safetensors`` and a README."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from safetensors.torch import save
from torch import nn

from wilss.damage import mark_of
from wilss.errors import FormatError
from wilss.layout import CONFIG
from wilss.models.card import WEIGHTS, StudentCard
from wilss.models.config import MEND, Shared
from wilss.nets.segmenter import Segmenter
from wilss.report.records import percent

README = "README.md"
ACTIVATIONS = ("torch.nn.modules.activation", "timm.layers.activations")
"""Modules of what counts as an activation."""


@dataclass(frozen=True)
class Provenance:
    """What the README tells of a model, beyond its card.

    digest: of the model in its store. shares: IoU in [0, 1] by class name, background included, of ``images`` images.
    means: of old, new and all classes, convention C. facts: how it was trained, as rows of a table.
    """

    digest: str = ""
    images: int = 0
    shares: Mapping[str, float | None] = field(default_factory=dict)
    means: Mapping[str, float | None] = field(default_factory=dict)
    facts: Sequence[tuple[str, str]] = ()


UNKNOWN = Provenance()


def write_folder(network: Segmenter, card: StudentCard, folder: Path, told: Provenance = UNKNOWN) -> None:
    """Write a model folder; what it holds is read by `wilss.models.files.load_student`.

    Args:
        folder: that exists; files of the same names are replaced.
    """
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    (folder / WEIGHTS).write_bytes(save(state, metadata={"format": "pt"}))  # save_file hides it from other users
    names = {0: "background", **dict(zip(card.class_ids, card.classes, strict=True))}
    shared = Shared(
        wilss_version=version("wilss"),
        digest=told.digest,
        id2label={str(k): name for k, name in names.items()},
        palette={str(k): colour for k, colour in ({0: (0, 0, 0), **card.colour_of}).items()},
        activations=activations_of(network.backbone),
        weights=mark_of(folder / WEIGHTS),
    )
    content = {**shared.model_dump(mode="json"), "card": card.model_dump(mode="json")}
    (folder / CONFIG).write_text(json.dumps(content, indent=1), encoding="utf-8")
    (folder / README).write_text(readme(card, told), encoding="utf-8")


def activations_of(network: nn.Module) -> tuple[str, ...]:
    """Names of the classes of a network's activations, sorted: another release of a library may build others."""
    return tuple(sorted({type(m).__name__ for m in network.modules() if type(m).__module__ in ACTIVATIONS}))


def require_activations(network: nn.Module, shared: Shared, folder: Path) -> None:
    """Raise FormatError for a backbone that is built with other activations here than the weights were trained with."""
    built = activations_of(network)
    if shared.activations and built != shared.activations:
        raise FormatError(
            f"the model in '{folder}' was trained with the activations {', '.join(shared.activations)}, and its "
            f"backbone is built here with {', '.join(built) or 'none'}; install the release of timm that it was made "
            f"with, or {MEND}"
        )


def readme(card: StudentCard, told: Provenance) -> str:
    """The model's README as Markdown, with the front matter that hubs read."""
    rows = []
    start = 0
    for step, size in enumerate(card.step_sizes):
        for place in range(start, start + size):
            name, class_id = card.classes[place], card.class_ids[place]
            rows.append((class_id, name, step, percent(told.shares.get(name)) if told.shares else "–"))
        start += size
    template = _environment().get_template("README.md.j2")
    return template.render(card=card, told=told, rows=rows, p=percent, version=version("wilss"))


@cache
def _environment() -> Environment:
    """Of Markdown: names of classes come from others, and may neither end a cell nor begin a line or a tag."""
    own = Environment(loader=FileSystemLoader(Path(__file__).parent), trim_blocks=True)
    own.filters["cell"] = lambda text: " ".join(str(text).split()).translate(PLAIN)
    return own


PLAIN = {ord(letter): f"\\{letter}" for letter in "\\|`*_[]#"} | {ord("<"): "&lt;", ord(">"): "&gt;", ord("&"): "&amp;"}
