"""The file of a network over silhouettes, as it is shipped: where it goes, and writing it."""

from __future__ import annotations

import json
from pathlib import Path

from stores.models.heads import load_head
from tasks.fewshot_shapes import shapes_recipe
from tasks.fewshot_workspace import open_fewshot
from tasks.workspace import heavy_task
from wilss.errors import FormatError
from wilss.fewshot.shipped import SHAPES_FILE, read_shapes
from wilss.fewshot.spec import FewShotSpec
from wilss.foundation.pretrain.run import write_weights
from wilss.outputs import writable_folder
from wilss.spec import Settings


@heavy_task
def shapes_path(spec: FewShotSpec, settings: Settings, out: Path | None) -> Path:
    """Path of the file, in a folder that is there and can be written; None for ``out`` names one by the settings.

    Raises FormatError for a file of other settings, SpecError for a folder that cannot be written.
    """
    recipe = shapes_recipe(spec, open_fewshot(spec, settings).own_weights).digest
    path = (out or settings.root / "pretrained" / f"shapes-{recipe[:12]}") / SHAPES_FILE
    if path.is_file() and _recipe_of(path) != recipe:
        raise FormatError(f"'{path}' was trained with other settings; choose another folder with --out")
    writable_folder(path.parent)
    return path


def _recipe_of(path: Path) -> str:
    try:
        return read_shapes(path).recipe
    except FormatError as error:
        raise FormatError(f"'{path}' is no network over silhouettes; delete it, or choose another folder") from error


@heavy_task
def export_shapes(spec: FewShotSpec, settings: Settings, path: Path) -> None:
    """Write the network that `tasks.fewshot_stage1.shapes_net` has trained."""
    ws = open_fewshot(spec, settings)
    ws.require_pretrained()
    recipe = shapes_recipe(spec, ws.own_weights)
    state, about = load_head(ws.store.path("heads", recipe.digest))
    notes = {
        "recipe": recipe.digest,
        "facts": json.dumps(recipe.facts),
        "history": json.dumps(about["history"]),
        "licence": "Apache-2.0",
    }
    write_weights(state, path, notes)
