"""``wilss foundations`` and ``wilss pretrain``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from flows.cli.options import MaybeOut, RootFolder, Set
from flows.cli.printing import megabytes, print_json, print_table, show
from flows.machine import machine_settings
from flows.server import server_at_hand

if TYPE_CHECKING:
    from wilss.settings import Settings


foundations_app = App(name="foundations", help="Look at foundation models: scorers and groupers.")


@foundations_app.command(name="list")
def foundations_list(*, weights: Path | None = None, json: bool = False) -> None:
    """List well-known models: role, where their weights are, licence, size; any name of open_clip or timm works too."""
    from wilss.foundation.check import list_foundations

    entries = list_foundations(machine_settings(weights=weights).weights)
    if json:
        print_json(entries)
        return
    rows = []
    for e in entries:
        where = e["weights"] if e["weights"] in ("shipped", "hub") else "file"
        rows.append([e["name"], e["role"], where, e["licence"] or "see its page", megabytes(e["size_bytes"])])
    print_table("foundation models", ["name", "role", "weights", "licence", "MB"], rows)


@foundations_app.command(name="check")
def foundations_check(
    name: str,
    *,
    weights: Path | None = None,
    image: Path | None = None,
    prompt: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    out: MaybeOut = None,
    scenes: int = 500,
    device: str | None = None,
    json: bool = False,
) -> None:
    """Load a model, look at one image through it, and measure the small models on held-out scenes.

    Args:
        name: e.g. clip:scenes, clip:ViT-B-16/openai, dino:vit_base_patch16_224.dino
        weights: folder of pretrained weights; else WILSS_WEIGHTS
        image: picture to look at; a scene of the built-in world when left out
        prompt: what a scorer looks for; may be repeated
        out: path of the PNG; a file under the root when left out
        scenes: number of held-out scenes
        device: cpu, cuda or mps; else WILSS_DEVICE, else auto: cuda, else mps, else cpu
        json: print JSON
    """
    from stores.progress import stage_progress
    from wilss.foundation.check import check_foundation
    from wilss.outputs import picture_path, require_free

    settings = machine_settings(weights=weights, device=device)
    out = picture_path(out, settings.root / "sheets" / f"{re.sub(r'[^A-Za-z0-9_.]+', '-', name)[-80:]}.png")
    require_free([out], True, [image] if image else [])
    facts = check_foundation(name, settings.weights, image, prompt, out, settings.device, scenes, stage_progress)
    if json:
        print_json(facts)
        return
    metrics = facts.pop("metrics", {})
    facts["size"] = f"{megabytes(facts.pop('size_bytes'))} MB"
    for key, value in {**facts, **metrics}.items():
        show(f"{key:<14} {value:.3f}" if isinstance(value, float) else f"{key:<14} {value}")


def pretrain(
    model: str,
    *,
    out: MaybeOut = None,
    set: Set = (),
    root: RootFolder = None,
    device: str | None = None,
    devices: int | None = None,
) -> None:
    """Train a small model that is shipped for the built-in world; the same command goes on after a stop.

    Args:
        model: clip, dino, or shapes: the network over random silhouettes that few-shot heads start from
        out: folder of the weights file; one under the root, named by the settings, when left out
        set: a setting of the training as key=value, e.g. --set seed=1; may be repeated
        root: folder of artefacts; else WILSS_ROOT, else ./wilss-data
        device: cpu, cuda or mps; else WILSS_DEVICE, else auto: cuda, else mps, else cpu
        devices: that share the training, a process each; else WILSS_DEVICES, else 1
    """
    from wilss.foundation.pretrain.run import training_spec
    from wilss.words import nested

    settings = machine_settings(root=root, device=device, devices=devices)
    if model == "shapes":
        _pretrain_shapes(nested(list(set)), settings, out)
        return
    spec = training_spec(model, nested(list(set)))
    with server_at_hand(settings.root):
        from flows.pretrain import run_pretraining
    path = run_pretraining(model, spec.model_dump(mode="json"), settings.root, out, settings.device, settings.devices)
    name = {"clip": "foundation.scorer=clip", "dino": "foundation.grouper=dino"}[model]
    show(path)
    show(f"use it with --set {name}:scenes@{path}; check it with wilss foundations check {model}:scenes@{path}")


def _pretrain_shapes(changes: dict[str, object], settings: Settings, out: Path | None) -> None:
    from wilss.fewshot.shipped import shapes_training

    shapes_training(changes)  # mistakes are said before anything starts
    with server_at_hand(settings.root):
        from flows.fewshot import run_shapes_pretraining
    path = run_shapes_pretraining(changes, settings, out)
    show(path)
    show("few-shot runs of the same settings find it in the root that trained it, with --set shapes.weights=train")
