"""The file of a network over silhouettes as tasks."""

from __future__ import annotations

from pathlib import Path

from stores.models.shapes_file import path_in, write_shapes
from stores.plans.shapes import shapes_recipe
from tasks.fewshot_workspace import open_fewshot
from tasks.workspace import heavy_task
from wilss.fewshot.spec import FewShotSpec
from wilss.spec import Settings


@heavy_task
def shapes_path(spec: FewShotSpec, settings: Settings, out: Path | None) -> Path:
    """Path of the file, see `stores.models.shapes_file.path_in`; None for ``out`` names a folder by the settings."""
    recipe = shapes_recipe(spec, open_fewshot(spec, settings).own_weights).digest
    return path_in(out or settings.root / "pretrained" / f"shapes-{recipe[:12]}", recipe)


@heavy_task
def export_shapes(spec: FewShotSpec, settings: Settings, path: Path) -> None:
    """Write the network that `tasks.fewshot_stage1.shapes_net` has trained."""
    ws = open_fewshot(spec, settings)
    ws.require_pretrained()
    write_shapes(shapes_recipe(spec, ws.own_weights), ws.store, path)
