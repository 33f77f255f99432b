"""The shipped network of the pretraining on silhouettes: made by one recipe, and never taken for another one's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from wilss.errors import FormatError
from wilss.fewshot.spec import FewShotSpec, make_fewshot_spec
from wilss.nets.pretrained import SHIPPED, file_digest, read_weights

SHAPES_FILE = "shapes_scenes.safetensors"


@dataclass(frozen=True)
class ShapesFile:
    """A trained network over silhouettes.

    recipe: digest of what it was trained with. digest: of the file's bytes. history: mean losses of every epoch.
    """

    path: Path
    recipe: str
    digest: str
    history: list[dict[str, float]]

    def state(self) -> dict[str, Tensor]:
        """All tensors of `wilss.fewshot.build.build_shapes`, as float32. Raises WeightsNotFoundError when damaged."""
        return read_weights(self.path)


def shapes_training(changes: Mapping[str, object]) -> FewShotSpec:
    """What trains such a network anew: the built-in world's few-shot settings with changes of ``shapes.*``.

    Raises SpecError, in words.
    """
    return make_fewshot_spec({"benchmark": "scenes-5i", "fold": 0, "shapes": {**changes, "weights": "train"}})


@lru_cache(maxsize=4)
def read_shapes(path: Path) -> ShapesFile:
    """What is known of a file. Raises FormatError for one that is damaged or no network over silhouettes."""
    try:
        with safe_open(path, "pt") as handle:
            notes = handle.metadata() or {}
        return ShapesFile(path, notes["recipe"], file_digest(path), json.loads(notes["history"]))
    except (SafetensorError, KeyError, ValueError) as error:
        raise FormatError(
            f"'{path}' is damaged or no network over silhouettes ({error}); install wilss anew"
        ) from error


def shipped_shapes(recipe: str) -> ShapesFile | None:
    """The shipped network, if it was trained with the recipe of this digest."""
    path = SHIPPED / SHAPES_FILE
    if not path.is_file():
        return None
    shipped = read_shapes(path)
    return shipped if shipped.recipe == recipe else None
