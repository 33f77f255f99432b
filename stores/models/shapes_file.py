"""The file of a network over silhouettes, as it is shipped: where it goes, and writing it."""

from __future__ import annotations

import json
from pathlib import Path

from stores.artefacts import Recipe
from wilss.errors import FormatError
from wilss.fewshot.shipped import SHAPES_FILE, read_shapes
from wilss.foundation.pretrain.run import write_weights
from wilss.models.card import FewShotCard, load_card
from wilss.models.files import load_state
from wilss.outputs import writable_folder


def path_in(folder: Path, recipe: str) -> Path:
    """Path of the file in a folder, which is made unless it is there.

    Args:
        recipe: digest of the recipe that the network has.

    Raises FormatError for a file of other settings, SpecError for a folder that cannot be written.
    """
    path = folder / SHAPES_FILE
    if path.is_file() and _recipe_of(path) != recipe:
        raise FormatError(f"'{path}' was trained with other settings; choose another folder with --out")
    writable_folder(path.parent)
    return path


def _recipe_of(path: Path) -> str:
    try:
        return read_shapes(path).recipe
    except FormatError as error:
        raise FormatError(f"'{path}' is no network over silhouettes; delete it, or choose another folder") from error


def write_shapes(recipe: Recipe, folder: Path, path: Path) -> None:
    """Write the network of a recipe, which lies in a folder of the store."""
    card = load_card(folder, FewShotCard)
    notes = {
        "recipe": recipe.digest,
        "facts": json.dumps(recipe.facts),
        "history": json.dumps(card.history),
        "licence": "Apache-2.0",
    }
    write_weights(load_state(folder), path, notes)
