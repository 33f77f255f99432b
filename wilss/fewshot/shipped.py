"""The shipped network of the pretraining on silhouettes: made by one recipe, and never taken for another one's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from wilss.errors import FormatError, SpecError
from wilss.fewshot.spec import FewShotSpec, make_fewshot_spec
from wilss.nets.pretrained import SHIPPED, read_weights
from wilss.nets.vectors import weights_digest
from wilss.outside import parse_json

SHAPES_FILE = "shapes_scenes.safetensors"


@dataclass(frozen=True)
class ShapesFile:
    """A trained network over silhouettes.

    recipe: digest of what it was trained with. history: mean losses of every epoch. state: all tensors of
    `wilss.fewshot.build.build_shapes`, float32. digest: of the state. licence: None where the file tells none.
    """

    path: Path
    recipe: str
    history: list[dict[str, float]]
    state: dict[str, Tensor]
    digest: str
    licence: str | None


def shapes_training(changes: Mapping[str, object]) -> FewShotSpec:
    """What trains such a network anew: the built-in world's few-shot settings with changes of ``shapes.*``.

    Raises SpecError, in words.
    """
    for key in ("share", "weights"):
        if key in changes:
            raise SpecError(f"'{key}' is none of the pretraining's settings; give shapes.{key} to wilss few-shot train")
    return make_fewshot_spec({"benchmark": "scenes-5i", "fold": 0, "shapes": {**changes, "weights": "train"}})


def read_shapes(path: Path) -> ShapesFile:
    """Read a file. Raises FormatError for one that is damaged or no network over silhouettes."""
    try:
        with safe_open(path, "pt") as handle:
            notes = handle.metadata() or {}
        recipe, history = notes["recipe"], parse_json(notes["history"], "its history is damaged", "fetch it again")
    except (OSError, SafetensorError, KeyError, FormatError) as error:
        raise FormatError(
            f"'{path}' cannot be read as a network over silhouettes ({error}); install wilss anew, or train one with "
            "--set shapes.weights=train"
        ) from error
    state = read_weights(path)
    return ShapesFile(path, recipe, history, state, weights_digest(state), notes.get("licence"))


def shipped_shapes(recipe: str) -> ShapesFile | None:
    """The shipped network, if it was trained with the recipe of this digest. Raises as `read_shapes`."""
    shipped = read_shapes(SHIPPED / SHAPES_FILE)
    return shipped if shipped.recipe == recipe else None
